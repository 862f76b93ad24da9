import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FlashEvent, TargetResult } from '../../shared/flash/event.ts';
import type { DiskHandle } from '../disk/handle.ts';
import { openDisk } from '../disk/open.ts';
import { type FlashOptions, flash } from './flash.ts';
import type { FlashControl, FlashPlan, FlashTarget } from './plan.ts';
import { type FlashRequest, prepareFlash } from './prepare.ts';

export const plain: FlashRequest = {
  image: '',
  catalog: undefined,
  verify: 'full',
  sparse: false,
  sha256: undefined,
  computeSha256: true,
  bmap: undefined,
};

export const neverEnding: FlashControl = {
  signal: new AbortController().signal,
  skipVerify: new AbortController().signal,
};

/** A file of `size` bytes as a disk; `wrap` may put a faulty one in front of it. */
export function diskAt(
  path: string,
  size: number,
  wrap = (disk: DiskHandle): DiskHandle => disk,
): FlashTarget {
  const open = async () => wrap(await openDisk({ kind: 'virtual', path, imageName: 'image' }));
  return { target: path, size, open };
}

/** Makes an empty disk file of `size` bytes in `folder`, full of old data where `fill` is given. */
export async function diskFile(folder: string, size: number, fill?: number, name = 'disk'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, fill === undefined ? '' : Buffer.alloc(size, fill));
  await truncate(path, size);
  return path;
}

export interface Ran {
  readonly events: readonly FlashEvent[];
  readonly outcome: string;
  readonly sha256: string | null;
  /** Result of each disk, in the order of the targets. */
  readonly results: readonly TargetResult[];
}

/** Flashes to the end and collects what was said; `each` sees every event. */
export async function collect(
  plan: FlashPlan,
  targets: readonly FlashTarget[],
  control: FlashControl = neverEnding,
  options: Partial<FlashOptions> = {},
  each: (event: FlashEvent) => void = () => {},
): Promise<Ran> {
  const events: FlashEvent[] = [];
  for await (const event of flash(plan, targets, control, options)) {
    events.push(event);
    each(event);
  }
  const last = events.at(-1);
  if (last?.kind !== 'finished') throw new Error('the last event is not "finished"');
  const results = targets.map(({ target }) => {
    const found = events.filter((event) => event.kind === 'target-finished' && event.target === target);
    if (found.length !== 1) throw new Error(`${target} was reported ${found.length} times`);
    return found[0] as FlashEvent & { kind: 'target-finished' };
  });
  return { events, outcome: last.outcome, sha256: last.sha256, results };
}

/** Prepares `image` and flashes it. */
export async function flashImage(
  request: Partial<FlashRequest> & { readonly image: string },
  targets: readonly FlashTarget[],
  control: FlashControl = neverEnding,
  options: Partial<FlashOptions> = {},
  each: (event: FlashEvent) => void = () => {},
): Promise<Ran> {
  const prepared = await prepareFlash({ ...plain, ...request }, control.signal);
  try {
    return await collect(prepared.plan, targets, control, options, each);
  } finally {
    await prepared.close();
  }
}
