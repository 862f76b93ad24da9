/** The form of an entry of the failure table, and the words that entries share. */

/** Exit codes of the `bty` command line. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  misuse: 2,
  needsRoot: 3,
  toolMissing: 4,
  targetRaced: 5,
  cancelled: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export interface Entry<Details> {
  readonly exit: ExitCode;
  readonly http: number;
  readonly sentence: (details: Details) => string;
  readonly advice: string;
}

export function entry<Details>(
  exit: ExitCode,
  http: number,
  sentence: (details: Details) => string,
  advice: string,
): Entry<Details> {
  return { exit, http, sentence, advice };
}
export type None = Record<never, never>;
export interface Where {
  /** The disk, as the person named it. */
  readonly target: string;
}
export interface Range extends Where {
  /** First byte and length of the range, in bytes from the start of the disk. */
  readonly offset: number;
  readonly length: number;
}

/** `bytes` as a person reads it. */
export function amount(bytes: number): string {
  const short =
    bytes >= 1e9
      ? ` (${(bytes / 1e9).toFixed(1)} GB)`
      : bytes >= 1e6
        ? ` (${(bytes / 1e6).toFixed(1)} MB)`
        : '';
  return `${bytes} bytes${short}`;
}
