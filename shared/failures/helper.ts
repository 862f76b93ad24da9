import { ExitCode, entry } from './entry.ts';

const { failed } = ExitCode;

/** The privileged helper of the desktop app, and what stands between the two. */
export const helperFailures = {
  HELPER_PROTOCOL: entry<{ problem: string }>(
    failed,
    400,
    (d) => `The helper was sent something that it does not take: ${d.problem}.`,
    'Nothing was written. Update both halves of bty to the same version.',
  ),
} as const;
