/** Follows the frames and blocks of a zst file (RFC 8878, 3.1) from header to header, without unpacking. */
import type { Reader } from './look.ts';

const frameMagic = 0xfd2fb528;
/** Skippable frames have sixteen magic numbers (3.1.2). */
const skippableMagic = 0x184d2a50;
/** Blocks hold 128 KiB at most, so this is far more than 8 GiB of packed bytes. */
const mostSteps = 100_000;

export type Walk =
  /** `bytes` is null when a frame does not declare its size, or there is too much to follow. */
  | { readonly kind: 'whole'; readonly bytes: number | null }
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'damaged'; readonly problem: string };

interface Frame {
  readonly end: number;
  readonly bytes: number | null;
}

export async function walkFrames(size: number, read: Reader): Promise<Walk> {
  let at = 0;
  let sum: number | null = 0;
  const budget = { steps: mostSteps };
  while (at < size) {
    const frame: Frame | string | null = await walkFrame(at, size, read, budget);
    if (frame === null) return { kind: 'unfinished' };
    if (typeof frame === 'string') return { kind: 'damaged', problem: `its zst stream ${frame}` };
    sum = sum === null || frame.bytes === null ? null : sum + frame.bytes;
    at = frame.end;
  }
  return { kind: 'whole', bytes: sum !== null && Number.isSafeInteger(sum) ? sum : null };
}

/** A frame, what is wrong with it, or null when the budget is spent. */
async function walkFrame(
  start: number,
  size: number,
  read: Reader,
  budget: { steps: number },
): Promise<Frame | string | null> {
  if (--budget.steps < 0) return null;
  const header = await read(start, 18);
  if (header.length < 8) return 'is cut';
  const magic = header.readUInt32LE(0);
  if ((magic & 0xfffffff0) >>> 0 === skippableMagic) {
    const end = start + 8 + header.readUInt32LE(4);
    return end > size ? 'is cut' : { end, bytes: 0 };
  }
  if (magic !== frameMagic) return `is followed by something else at byte ${start}`;
  const descriptor = header[4] ?? 0;
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const sizeAt = 5 + (single ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0);
  if (header.length < sizeAt + sizeBytes) return 'is cut';
  const bytes = declared(header, sizeAt, sizeBytes);
  let at = start + sizeAt + sizeBytes;
  for (;;) {
    if (--budget.steps < 0) return null;
    const block = await read(at, 3);
    if (block.length < 3) return 'is cut';
    const value = block.readUIntLE(0, 3);
    const kind = (value >> 1) & 3;
    if (kind === 3) return `is damaged at byte ${at}`;
    at += 3 + (kind === 1 ? 1 : value >> 3);
    if (at > size) return 'is cut';
    if ((value & 1) !== 0) break;
  }
  const end = at + ((descriptor & 4) === 0 ? 0 : 4);
  return end > size ? 'is cut' : { end, bytes };
}

function declared(header: Buffer, at: number, length: number): number | null {
  switch (length) {
    case 1:
      return header[at] ?? null;
    case 2:
      return header.readUInt16LE(at) + 256;
    case 4:
      return header.readUInt32LE(at);
    case 8: {
      const value = header.readBigUInt64LE(at);
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null;
    }
    default:
      return null;
  }
}
