import { ExitCode, entry } from './entry.ts';

const { failed, misuse } = ExitCode;

/** The appliance: its configuration, its machines, images and jobs. */
export const applianceFailures = {
  STATE_UNUSABLE: entry<{ path: string; problem: string }>(
    failed,
    500,
    (d) => `The state directory "${d.path}" cannot be used: ${d.problem}.`,
    'Name another one with --state-dir, or give this user the right to write there.',
  ),
  SETTING_INVALID: entry<{ name: string; origin: string; problem: string }>(
    misuse,
    400,
    (d) => `The setting ${d.name} (from ${d.origin}) cannot be used: ${d.problem}.`,
    'Run bty-web --help for what it takes.',
  ),
  STATE_NEWER: entry<{ path: string; found: number; known: number }>(
    failed,
    500,
    (d) =>
      `The database "${d.path}" has version ${d.found}; this bty-web knows versions up to ${d.known}. It was left as it is.`,
    'Run the newer bty-web that wrote it, or restore a backup made with this version.',
  ),
  STATE_FOREIGN: entry<{ path: string }>(
    failed,
    500,
    (d) => `"${d.path}" is a database of another program, not of this appliance.`,
    'Name another directory with --state-dir, or move that file away.',
  ),
  BOOT_LOOP: entry<{ boots: number; minutes: number }>(
    failed,
    409,
    (d) =>
      `The machine started the live system ${d.boots} times in ${d.minutes} minutes and never finished; it was stopped.`,
    'See what its last boot said, mend that, and arm it again.',
  ),
  MACHINE_SILENT: entry<{ phase: string; minutes: number }>(
    failed,
    408,
    (d) => `Nothing was heard from the machine for ${d.minutes} minutes while it was ${d.phase}.`,
    'Look at its console. When it speaks again it goes on by itself.',
  ),
  LIVE_SYSTEM_INVALID: entry<{ folder: string; problem: string }>(
    failed,
    400,
    (d) => `The live system in "${d.folder}" cannot be installed: ${d.problem}.`,
    'Nothing was installed. Build it anew with "npm run live", and name the folder that it was built into.',
  ),
  STATE_BUSY: entry<{ path: string }>(
    failed,
    409,
    (d) => `Another bty-web runs on the state directory "${d.path}".`,
    'Stop that one, or name another directory with --state-dir.',
  ),
  BACKUP_REFUSED: entry<{ path: string; problem: string }>(
    failed,
    400,
    (d) => `The backup "${d.path}" cannot be used: ${d.problem}.`,
    'Name another file.',
  ),
  RESTORE_NOT_OFFERED: entry<{ wanted: string }>(
    failed,
    409,
    (d) => `The backup ${d.wanted.slice(0, 12)} was to be restored, and it is not the one that waits.`,
    'Send it again, look at what it holds, and restore it then.',
  ),
} as const;
