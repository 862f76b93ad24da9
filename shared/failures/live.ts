import { ExitCode, entry } from './entry.ts';

const { failed } = ExitCode;

/** The live system's agent, in front of a bare machine. */
export const liveFailures = {
  APPLIANCE_UNREACHABLE: entry<{ server: string; problem: string }>(
    failed,
    503,
    (d) => `The appliance ${d.server} does not answer: ${d.problem}.`,
    'Check the cable and that bty-web runs; the agent keeps trying.',
  ),
} as const;
