/** What the preload needs to know of the contract, and nothing that a check of forms would bring along. */
import type { Announcement } from './contract.ts';

/** Names of the two channels that the Electron bridge uses. */
export const channels = { call: 'bty:call', announce: 'bty:announce' } as const;

export const announcements = [
  'disks',
  'batch',
  'settings',
  'recent',
  'opening',
  'closing',
  'show',
  'appliance',
  'machines',
  'log',
] as const satisfies readonly Announcement[];
