import { ExitCode, entry, type Where } from './entry.ts';

const { failed, misuse, needsRoot, toolMissing, cancelled } = ExitCode;

/** What was asked for. */
export const requestFailures = {
  USAGE: entry<{ problem: string }>(misuse, 400, (d) => d.problem, 'Run bty --help to see what it takes.'),
  INTERNAL: entry<{ problem: string }>(
    failed,
    500,
    (d) => `bty met a fault of its own: ${d.problem}`,
    'Please report this with the command you ran.',
  ),
  CANCELLED: entry<{ untouched?: boolean }>(
    cancelled,
    499,
    (d) =>
      d.untouched
        ? 'The flash was cancelled before anything was written; the disk is as it was.'
        : 'The flash was cancelled; the disk has no valid start and does not boot.',
    'Flash it again to use it.',
  ),
  NEEDS_ROOT: entry<Where>(
    needsRoot,
    403,
    (d) => `Writing to ${d.target} needs root; this process may not open it for writing.`,
    'Run the same command with sudo.',
  ),
  TOOL_MISSING: entry<{ tool: string; purpose: string; package?: string }>(
    toolMissing,
    500,
    (d) =>
      `"${d.tool}" is needed to ${d.purpose}, and it is not on this machine's PATH${d.package === undefined ? '' : ` (Debian's package ${d.package} holds it)`}.`,
    'Install the package that holds it and run the command again.',
  ),
  NATIVE_UNLOADABLE: entry<{ problem: string }>(
    failed,
    500,
    (d) => `bty cannot load the library through which it calls the system: ${d.problem}.`,
    'Remount one of /dev/shm, /run, /tmp or /var/tmp without noexec and with some room, then run the command again.',
  ),
  TOOL_FAILED: entry<{ tool: string; purpose: string; problem: string }>(
    misuse,
    500,
    (d) => `"${d.tool}" could not ${d.purpose}: ${d.problem}`,
    'Run the tool by hand to see what it says.',
  ),
} as const;
