import type { ExitCode } from '../../shared/failure.ts';
import type { CommandPath, Values } from './grammar.ts';

/** What every command gets beside its values. */
export interface CommandContext {
  /** Aborted by SIGINT, SIGTERM and SIGHUP; its reason is the failure CANCELLED. */
  readonly signal: AbortSignal;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Runs one command: results to standard output, a Failure where it ends in one. */
export type Command<Path extends CommandPath> = (
  values: Values<Path>,
  context: CommandContext,
) => Promise<ExitCode>;
