/** Every operation of the appliance, in the order in which they are documented. */
import { accessOperations } from './access.ts';
import { bootOperations } from './boot.ts';
import { dhcpOperations } from './dhcp.ts';
import { eventOperations } from './event.ts';
import { formOperations } from './form.ts';
import { imageOperations } from './image.ts';
import { jobOperations } from './job.ts';
import { machineOperations } from './machine.ts';
import type { Operation } from './operation.ts';
import { rolloutOperations } from './rollout.ts';
import { storyOperations } from './story.ts';
import { systemOperations } from './system.ts';
import { taskOperations } from './task.ts';
import { uiOperations } from './ui.ts';

export const operationGroups: readonly {
  readonly title: string;
  readonly operations: readonly Operation[];
}[] = [
  { title: 'Logging in', operations: Object.values(accessOperations) },
  { title: 'Machines', operations: Object.values(machineOperations) },
  { title: 'Roll-outs', operations: Object.values(rolloutOperations) },
  { title: 'Images', operations: Object.values(imageOperations) },
  { title: 'Jobs', operations: Object.values(jobOperations) },
  { title: 'Tasks', operations: Object.values(taskOperations) },
  { title: 'Events', operations: Object.values(eventOperations) },
  { title: 'DHCP', operations: Object.values(dhcpOperations) },
  { title: 'Boots', operations: Object.values(storyOperations) },
  { title: 'What machines ask', operations: Object.values(bootOperations) },
  { title: 'The appliance itself', operations: Object.values(systemOperations) },
  { title: 'Pages', operations: [...Object.values(uiOperations), ...Object.values(formOperations)] },
];

export const allOperations: readonly Operation[] = operationGroups.flatMap(({ operations }) => operations);
