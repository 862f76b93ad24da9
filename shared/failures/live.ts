import { ExitCode, entry } from './entry.ts';

const { failed, misuse } = ExitCode;

/** The live system's agent, in front of a bare machine. */
export const liveFailures = {
  APPLIANCE_UNREACHABLE: entry<{ server: string; problem: string }>(
    failed,
    503,
    (d) => `The appliance ${d.server} does not answer: ${d.problem}.`,
    'Check the cable and that bty-web runs; the agent keeps trying.',
  ),
  APPLIANCE_REFUSED: entry<{ server: string; status: number; what: string }>(
    failed,
    403,
    (d) => `The appliance ${d.server} refuses ${d.what} (HTTP status ${d.status}).`,
    'The token of this boot is spent or too old: boot the machine from the network again.',
  ),
  APPLIANCE_UNTRUSTED: entry<{ server: string; expected: string; actual: string }>(
    failed,
    502,
    (d) =>
      `${d.server} is not the appliance that this machine was booted by: its certificates are ${d.actual}, expected ${d.expected}.`,
    'Somebody else answers under this address, or the certificate was changed since: boot again.',
  ),
  PLAN_INVALID: entry<{ server: string; problem: string }>(
    failed,
    502,
    (d) => `The appliance ${d.server} sent a plan that this agent cannot follow: ${d.problem}.`,
    'Install the live system that belongs to this version of bty-web.',
  ),
  PLAN_WITHDRAWN: entry<{ server: string }>(
    failed,
    409,
    (d) => `The appliance ${d.server} has withdrawn the plan.`,
    'A disk that was being written looks blank; one that was not begun is as it was. Give the machine a new plan.',
  ),
  AGENT_ENDED: entry<{ times: number; code: number }>(
    failed,
    500,
    (d) => `The agent ended ${d.times} times without a word, the last time with code ${d.code}.`,
    'Code 137 or 134 means that the memory ran out: the machine needs 512 MB. Else look at its console, and boot it again.',
  ),
  COMMAND_LINE_INVALID: entry<{ name: string; problem: string }>(
    misuse,
    400,
    (d) => `The kernel command line is no use: ${d.name} ${d.problem}.`,
    'Boot through the appliance; by hand, add bty.server=http://ADDRESS:PORT and bty.mac=MAC.',
  ),
  DISK_NOT_HERE: entry<{ wanted: string; found: string }>(
    failed,
    404,
    (d) => `No disk of this machine is ${d.wanted}. It has ${d.found}.`,
    'Correct the binding of the machine, or connect the disk that is meant. Nothing was written.',
  ),
  DISK_AMBIGUOUS: entry<{ wanted: string; found: string }>(
    failed,
    409,
    (d) => `More than one disk of this machine is ${d.wanted}: ${d.found}.`,
    'Name the disk by its serial number in the binding of the machine. Nothing was written.',
  ),
} as const;
