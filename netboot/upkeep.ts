/** What has to be done from time to time. */
import type { Part } from './appliance.ts';
import { trimEvents } from './events/retention.ts';
import type { Services } from './services.ts';

const second = 1000;

/** Ends silences of machines, takes away what is older than the settings say. */
export function upkeepPart(services: Services): Part {
  const { machines, log } = services;
  const guarded = (name: string, work: () => Promise<unknown>) => () => {
    work().catch((error: unknown) => log.error('upkeep', { task: name, problem: String(error) }));
  };
  const timers = [
    setInterval(
      guarded('silences', () => machines.tick()),
      5 * second,
    ),
  ];
  const trim = guarded('retention', () => trimEvents(services));
  trim();
  timers.push(setInterval(trim, 3600 * second));
  return {
    name: 'upkeep',
    close: () => {
      for (const timer of timers) clearInterval(timer);
    },
  };
}
