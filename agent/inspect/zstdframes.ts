/** Size of a zstd file by walking its frames (RFC 8878) or by its seek table (zstd's seekable format 0.1.0). */

import { failure } from '../../shared/failure.ts';
import { u8, u16le, u32le, u64le } from './bytes.ts';
import { exactSize, type UnpackedSize, unknownSize } from './unpackedsize.ts';
import type { Window } from './window.ts';

const MAGIC = 0xfd2fb528;
const SEEKABLE_MAGIC = 0x8f92eab1;
const MOST_TABLE_BYTES = 16 * 1024 * 1024;

/** A frame, or as much of it as the walk saw. */
interface Frame {
  /** Where the next one starts. */
  readonly end: number;
  /** Content size if the frame header has it. */
  readonly size: number | null;
  /** What its uncompressed and repeated blocks alone amount to. */
  readonly atLeast: number;
  /** False when the walk was given up inside. */
  readonly whole: boolean;
}

/** Rejects with IMAGE_TRUNCATED or IMAGE_CORRUPT; gives up after about `fetches` reads. */
export async function zstdSize(window: Window, image: string, fetches: number): Promise<UnpackedSize> {
  const listed = await seekTableSize(window);
  if (listed !== null) return exactSize(listed);
  let sum = 0;
  let atLeast = 0;
  let known = true;
  for (let at = 0; at < window.size; ) {
    const skipped = await skippableEnd(window, at, image);
    if (skipped !== null) {
      at = skipped;
      if (window.spent(fetches) && at < window.size) return guess(known, sum, atLeast);
      continue;
    }
    const frame = await walkFrame(window, at, image, fetches);
    known &&= frame.size !== null;
    sum += frame.size ?? 0;
    atLeast += frame.size ?? frame.atLeast;
    if (!Number.isSafeInteger(sum) || !Number.isSafeInteger(atLeast)) return unknownSize;
    if (!frame.whole) return guess(known, sum, atLeast);
    at = frame.end;
  }
  return known ? exactSize(sum) : { bytes: null, exact: false, atLeast };
}

function guess(known: boolean, sum: number, atLeast: number): UnpackedSize {
  return { bytes: known ? sum : null, exact: false, atLeast };
}

/** Where the skippable frame at `at` ends, null when there is none. */
export async function skippableEnd(window: Window, at: number, image: string): Promise<number | null> {
  const header = await window.bytes(at, 8);
  if ((u32le(header, 0) & 0xfffffff0) >>> 0 !== 0x184d2a50) return null;
  const end = at + 8 + u32le(header, 4);
  if (header.length < 8 || end > window.size) throw truncated(window, image);
  return end;
}

async function walkFrame(window: Window, start: number, image: string, fetches: number): Promise<Frame> {
  const header = await window.bytes(start, 18);
  if (u32le(header, 0) !== MAGIC) {
    if (header.length < 4) throw truncated(window, image);
    throw corrupt(image, start, 'something follows that is no frame');
  }
  const descriptor = u8(header, 4);
  if ((descriptor & 0x08) !== 0) throw corrupt(image, start, 'a reserved bit of a frame header is set');
  const single = (descriptor & 0x20) !== 0;
  const sizeField = descriptor >> 6;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][sizeField] ?? 0;
  const sizeAt = 5 + (single ? 0 : 1) + ([0, 1, 2, 4][descriptor & 0x03] ?? 0);
  if (header.length < sizeAt + sizeBytes) throw truncated(window, image);
  const size = contentSize(header, sizeAt, sizeBytes);
  if (size === Number.POSITIVE_INFINITY) throw corrupt(image, start, 'its content size is absurd');

  let at = start + sizeAt + sizeBytes;
  let atLeast = 0;
  for (;;) {
    const block = await window.bytes(at, 3);
    if (block.length < 3) throw truncated(window, image);
    const value = u16le(block, 0) | (u8(block, 2) << 16);
    const kind = (value >> 1) & 3;
    const length = value >> 3;
    if (kind === 3) throw corrupt(image, at, 'a block is of the reserved kind');
    if (kind !== 2) atLeast += length;
    at += 3 + (kind === 1 ? 1 : length);
    if (at > window.size) throw truncated(window, image);
    if ((value & 1) !== 0) break;
    if (window.spent(fetches)) return { end: at, size, atLeast, whole: false };
  }
  const end = at + ((descriptor & 0x04) === 0 ? 0 : 4);
  if (end > window.size) throw truncated(window, image);
  return { end, size, atLeast, whole: true };
}

function contentSize(header: Uint8Array, at: number, length: number): number | null {
  switch (length) {
    case 1:
      return u8(header, at);
    case 2:
      return u16le(header, at) + 256;
    case 4:
      return u32le(header, at);
    case 8:
      return u64le(header, at);
    default:
      return null;
  }
}

/** Sum of the sizes in the seek table at the end; null when there is none that fits the file. */
async function seekTableSize(window: Window): Promise<number | null> {
  const footer = await window.bytes(window.size - 9, 9);
  if (footer.length < 9 || u32le(footer, 5) !== SEEKABLE_MAGIC || (u8(footer, 4) & 0x7c) !== 0) return null;
  const entryBytes = (u8(footer, 4) & 0x80) === 0 ? 8 : 12;
  const count = u32le(footer, 0);
  const tableBytes = count * entryBytes + 9;
  const start = window.size - tableBytes - 8;
  if (tableBytes > MOST_TABLE_BYTES || start < 0) return null;
  const table = await window.bytes(start, tableBytes + 8);
  if (u32le(table, 0) !== 0x184d2a5e || u32le(table, 4) !== tableBytes) return null;
  let stored = 0;
  let size = 0;
  for (let entry = 0; entry < count; entry++) {
    stored += u32le(table, 8 + entry * entryBytes);
    size += u32le(table, 8 + entry * entryBytes + 4);
  }
  return stored === start ? size : null;
}

function truncated(window: Window, image: string) {
  return failure('IMAGE_TRUNCATED', { image, format: 'zst', offset: window.size });
}

function corrupt(image: string, offset: number, problem: string) {
  return failure('IMAGE_CORRUPT', { image, format: 'zst', problem, offset });
}
