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
} as const;
