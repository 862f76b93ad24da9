import { failure } from '../../shared/failure.ts';
import type { VerifyMode } from '../../shared/flash/event.ts';
import type { DiskHandle } from '../disk/handle.ts';
import type { Expectation } from './chunk.ts';
import { classify } from './classify.ts';
import type { Digester } from './digester.ts';
import type { Held } from './held.ts';
import { Ring } from './ring.ts';

export interface Verification {
  readonly disk: DiskHandle;
  /** What is not on the disk yet; it is read back by itself when it is written. */
  readonly held: Held;
  /** What was written, in the order in which it was. */
  readonly expected: readonly Expectation[];
  readonly mode: Exclude<VerifyMode, 'none'>;
  readonly digester: Digester;
  /** Ends the read-back early: the result is "written, not verified". */
  readonly skip: AbortSignal;
  readonly signal: AbortSignal;
  readonly onProgress: (bytes: number) => void;
}

const slots = 4;

/** Bytes that the read-back will look at. */
export function bytesToVerify(expected: readonly Expectation[], mode: VerifyMode, sparse: boolean): number {
  const looked = expected.filter((chunk) => isLookedAt(chunk, mode, sparse));
  return looked.reduce((sum, { length }) => sum + length, 0);
}

function isLookedAt(chunk: Expectation, mode: VerifyMode, sparse: boolean): boolean {
  if (mode === 'none') return false;
  return mode === 'full' || !(chunk.zero && (sparse || chunk.xxh64 === 0n));
}

/**
 * Reads back what was written, from the medium, and compares it with the digests of what was meant. True when
 * all of it was seen, false when it was skipped; rejects with VERIFY_MISMATCH naming the first bad range.
 */
export async function verify(work: Verification, sparse: boolean): Promise<boolean> {
  const { disk, expected, mode, skip, signal } = work;
  await disk.dropCache();
  const largest = expected.reduce(
    (most, { length, xxh64 }) => (xxh64 === 0n ? most : Math.max(most, length)),
    0,
  );
  const slotBytes = Math.max(1 << 20, Math.ceil(largest / 65536) * 65536);
  // Whole blocks are read, also where a chunk begins inside one.
  const amidst = expected.some(({ offset }) => offset % disk.blockSize !== 0);
  const ring = Ring.create(slots, slotBytes + (amidst ? Math.max(65536, disk.blockSize) : 0));
  const stop = () => ring.close();
  signal.addEventListener('abort', stop);
  const pending = new Set<Promise<void>>();
  const mismatches: { offset: number; length: number }[] = [];
  let done = 0;
  let refused = false;
  try {
    for (const piece of pieces(expected, mode, sparse, slotBytes)) {
      if (skip.aborted || mismatches.length > 0 || refused) break;
      signal.throwIfAborted();
      const slot = await ring.take();
      const check = compare(work, ring, slot, piece)
        .then((same) => {
          if (!same) mismatches.push({ offset: piece.offset, length: piece.length });
          done += piece.length;
          work.onProgress(done);
        })
        .finally(() => ring.release(slot));
      pending.add(check);
      check.then(
        () => pending.delete(check),
        () => {
          refused = true;
        },
      );
    }
    await Promise.all(pending);
  } finally {
    signal.removeEventListener('abort', stop);
    await Promise.allSettled(pending);
  }
  const [first] = mismatches.sort((a, b) => a.offset - b.offset);
  if (first) throw failure('VERIFY_MISMATCH', { target: disk.path, ...first });
  return !skip.aborted;
}

/** Zero ranges may be longer than a slot and are cut; chunks with a digest always fit. */
function* pieces(
  expected: readonly Expectation[],
  mode: VerifyMode,
  sparse: boolean,
  slotBytes: number,
): Generator<Expectation> {
  for (const chunk of expected) {
    if (!isLookedAt(chunk, mode, sparse)) continue;
    if (chunk.length <= slotBytes) yield chunk;
    else {
      for (let at = 0; at < chunk.length; at += slotBytes) {
        yield { ...chunk, offset: chunk.offset + at, length: Math.min(slotBytes, chunk.length - at) };
      }
    }
  }
}

async function compare(work: Verification, ring: Ring, slot: number, piece: Expectation): Promise<boolean> {
  const { disk, held, digester } = work;
  const { offset, length } = piece;
  // Whole blocks are read; the digest looks at the piece alone.
  const lead = offset % disk.blockSize;
  const whole = Math.ceil((lead + length) / disk.blockSize) * disk.blockSize;
  const view = ring.view(slot).subarray(0, Math.min(whole, ring.slotBytes));
  let filled = 0;
  try {
    while (filled < lead + length) {
      const count = await disk.read(filled === 0 ? view : view.subarray(filled), offset - lead + filled);
      if (count === 0) throw new Error('it ended early');
      filled += count;
    }
  } catch (error) {
    throw await classify(
      error,
      disk,
      'read',
      await unreadable(error, disk, view, { offset: offset - lead, length: whole }),
    );
  }
  if (lead > 0) view.copyWithin(0, lead, lead + length);
  held.overlay(view.subarray(0, length), offset);
  const byDigest = piece.xxh64 !== 0n;
  const found = await digester.slot(
    ring,
    slot,
    { start: 0, length },
    { sha256: false, xxh64: byDigest, zero: !byDigest },
  );
  return byDigest ? found.xxh64 === piece.xxh64 : found.zero;
}

/** The first range, down to 4 KiB, that cannot be read; all of `range` where the error is none of the medium. */
async function unreadable(
  error: unknown,
  disk: DiskHandle,
  into: Uint8Array,
  range: { readonly offset: number; readonly length: number },
): Promise<{ readonly offset: number; readonly length: number }> {
  if ((error as NodeJS.ErrnoException).code !== 'EIO') return range;
  let found = range;
  for (const step of [1 << 17, Math.max(4096, disk.blockSize)]) {
    for (let at = found.offset; at < found.offset + found.length; at += step) {
      const length = Math.min(step, found.offset + found.length - at);
      try {
        await disk.read(into.subarray(0, length), at);
      } catch {
        found = { offset: at, length };
        break;
      }
    }
  }
  return found;
}
