import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface Options {
  readonly rounds: number;
  /** Size of the image in MiB. */
  readonly mebibytes: number;
  /** Names of the groups to run; null means all. */
  readonly only: readonly string[] | null;
  readonly media: readonly Medium[];
  /** Folder for the virtual disk; null leaves the choice to the bench. */
  readonly work: string | null;
  /** Program to measure instead of the one that is built. */
  readonly program: string | null;
  /** Only make the program and the images that are read, so that a later run starts at once. */
  readonly prepare: boolean;
  /** File for the report; null means docs/performance.md, and only after a full run. */
  readonly report: string | null;
}
export type Medium = 'disk' | 'tmpfs';

/** What the figures in docs/performance.md are made with. */
export const fullRun = { rounds: 5, mebibytes: 4096 } as const;
const smallest = 256;

export const usage = `npm run bench -- [options]
  --rounds N        rounds (default ${fullRun.rounds})
  --size MIB        size of the image in MiB (default ${fullRun.mebibytes}, at least ${smallest})
  --only NAME,...   only these groups; an unknown name lists them
  --medium NAME     disk or tmpfs (default both)
  --work DIR        where the virtual disk is made (default: the folder for temporary files)
  --bty FILE        measure this program instead of dist/bin/bty
  --prepare         make the images (minutes, once) and measure nothing
  --report FILE     write the report there, also after a short run (default: docs/performance.md after a full run)
`;

/** Reads the command line. Fails with a sentence; relative paths start at `folder`. */
export function parseOptions(args: readonly string[], groups: readonly string[], folder: string): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: String(fullRun.rounds) },
      size: { type: 'string', default: String(fullRun.mebibytes) },
      only: { type: 'string' },
      medium: { type: 'string' },
      work: { type: 'string' },
      bty: { type: 'string' },
      prepare: { type: 'boolean', default: false },
      report: { type: 'string' },
    },
  });
  const only = values.only?.split(',').filter(Boolean) ?? null;
  const unknown = only?.filter((name) => !groups.includes(name)) ?? [];
  if (unknown.length > 0) {
    throw new Error(`--only: there is no "${unknown.join(', ')}"; the groups are ${groups.join(', ')}.`);
  }
  const path = (value: string | undefined) => (value === undefined ? null : resolve(folder, value));
  return {
    rounds: whole('--rounds', values.rounds, 1),
    mebibytes: whole('--size', values.size, smallest),
    only,
    media: mediaOf(values.medium),
    work: path(values.work),
    program: path(values.bty),
    prepare: values.prepare,
    report: path(values.report),
  };
}

/** True when nothing was left out and nothing made smaller. */
export function isFullRun({ rounds, mebibytes, only, media, program }: Options): boolean {
  return (
    rounds >= fullRun.rounds &&
    mebibytes === fullRun.mebibytes &&
    only === null &&
    media.length === 2 &&
    program === null
  );
}

function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least || value > 1e6) {
    throw new Error(`${option} takes a whole number from ${least}, not "${text}".`);
  }
  return value;
}

function mediaOf(text: string | undefined): readonly Medium[] {
  if (text === undefined) return ['disk', 'tmpfs'];
  if (text === 'disk' || text === 'tmpfs') return [text];
  throw new Error(`--medium takes disk or tmpfs, not "${text}".`);
}
