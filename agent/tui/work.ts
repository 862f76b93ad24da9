/** What the terminal program does to disks: the look before, and the flash. */
import { asFailure, type FailureReport } from '../../shared/failure.ts';
import type { FlashEvent } from '../../shared/flash/event.ts';
import type { DeviceTarget } from '../disk/guard.ts';
import { heldByOthers, openDisk } from '../disk/open.ts';
import { inspectTarget } from '../disk/target.ts';
import { flash } from '../flash/flash.ts';
import { type Prepared, prepareFlash } from '../flash/prepare.ts';
import type { DiskRow, ImageRow, Review } from './state.ts';

export interface Probed {
  readonly review: Review;
  readonly prepared: Prepared;
  readonly spec: DeviceTarget;
}

/** Opens the image and looks at the disk. Writes nothing. Rejects with the image's failure. */
export async function probe(
  image: ImageRow,
  disk: DiskRow,
  allowLoop: boolean,
  signal: AbortSignal,
): Promise<Probed> {
  const prepared = await prepareFlash(
    {
      image: image.location,
      catalog: undefined,
      verify: 'full',
      sparse: false,
      sha256: image.sha256 ?? undefined,
      computeSha256: true,
      bmap: undefined,
    },
    signal,
  );
  try {
    const { plan, size, notes } = prepared;
    const spec: DeviceTarget = {
      kind: 'device',
      path: disk.path,
      allowLoop,
      // The disk that was picked from the list, not whatever is found under its path by now.
      expected: { size: disk.size, serial: disk.serial, diskseq: disk.diskseq },
      imageBytes: plan.imageBytes,
      imageAtLeast: size.atLeast,
      imageName: plan.image,
      ...(plan.source.kind === 'file' ? { source: { path: plan.source.location } } : {}),
    };
    const { failures } = await inspectTarget(spec);
    const held = failures.length === 0 ? await heldByOthers(spec) : null;
    const refusals = [...failures, ...(held === null ? [] : [held])].map((each) => each.report());
    signal.throwIfAborted();
    return {
      prepared,
      spec,
      review: {
        image: plan.image,
        format: plan.format,
        storedBytes: plan.source.size,
        imageBytes: plan.imageBytes,
        sha256: plan.sha256.expected,
        notes,
        refusals,
      },
    };
  } catch (error) {
    await prepared.close();
    throw error;
  }
}

export interface WriteOptions {
  readonly verify: boolean;
  readonly signal: AbortSignal;
  readonly skipVerify: AbortSignal;
  readonly onEvent: (event: FlashEvent) => void;
}

/** Writes what was probed. Resolves why the engine ended without a result, null when it ended with one. */
export async function write(
  { prepared, spec }: Probed,
  options: WriteOptions,
): Promise<FailureReport | null> {
  const { signal, skipVerify, onEvent } = options;
  const plan = { ...prepared.plan, verify: options.verify ? prepared.plan.verify : ('none' as const) };
  const target = {
    target: spec.path,
    size: spec.expected?.size ?? 0,
    // Looking at a disk wakes udev, which then holds it shortly.
    open: () => openDisk(spec, { signal, patience: 10_000 }),
  };
  try {
    for await (const event of flash(plan, [target], { signal, skipVerify })) onEvent(event);
    return null;
  } catch (error) {
    return asFailure(error).report();
  } finally {
    await prepared.close();
  }
}
