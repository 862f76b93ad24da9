/** Every module of routes. One that is not listed here is not served. */
import type { Routes } from '../server.ts';
import { accessRoutes } from './access.ts';
import { bootRoutes } from './boot.ts';
import { dhcpRoutes } from './dhcp.ts';
import { eventRoutes } from './events.ts';
import { formRoutes } from './forms.ts';
import { imageRoutes } from './images.ts';
import { jobRoutes } from './jobs.ts';
import { machineRoutes } from './machines.ts';
import { pxeRoutes } from './pxe.ts';
import { restoreRoutes } from './restore.ts';
import { rolloutRoutes } from './rollouts.ts';
import { storyRoutes } from './story.ts';
import { systemRoutes } from './system.ts';
import { taskRoutes } from './tasks.ts';
import { uiRoutes } from './ui.ts';

export const routes: readonly Routes[] = [
  systemRoutes,
  restoreRoutes,
  accessRoutes,
  uiRoutes,
  machineRoutes,
  pxeRoutes,
  eventRoutes,
  imageRoutes,
  bootRoutes,
  jobRoutes,
  taskRoutes,
  rolloutRoutes,
  dhcpRoutes,
  storyRoutes,
  formRoutes,
];
