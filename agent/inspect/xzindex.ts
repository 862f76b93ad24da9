/** Exact size of an xz file by the index of each of its streams, read from the end (.xz file format 1.2.1). */

import { crc32 } from 'node:zlib';
import { failure } from '../../shared/failure.ts';
import { hasBytes, hasText, isZero, u8, u16be, u32le } from './bytes.ts';
import { exactSize, type UnpackedSize } from './unpackedsize.ts';
import type { Window } from './window.ts';

const HEADER_BYTES = 12;
const MOST_INDEX_BYTES = 16 * 1024 * 1024;

interface Index {
  readonly unpacked: number;
  /** Bytes of all blocks in the file, with their padding. */
  readonly stored: number;
}

/** Rejects with IMAGE_TRUNCATED or IMAGE_CORRUPT; gives up after about `fetches` reads. */
export async function xzSize(window: Window, image: string, fetches: number): Promise<UnpackedSize> {
  const corrupt = (offset: number, problem: string) =>
    failure('IMAGE_CORRUPT', { image, format: 'xz', problem, offset });
  const truncated = () => failure('IMAGE_TRUNCATED', { image, format: 'xz', offset: window.size });
  // All parts of the format are multiples of four bytes (section 2).
  if (window.size % 4 !== 0) throw truncated();
  let total = 0;
  let found = false;
  let end = window.size;
  while (end > 0) {
    if (window.spent(fetches)) return { bytes: null, exact: false, atLeast: total };
    const padding = await window.bytes(end - 4, 4);
    // Stream padding: a multiple of four zero bytes (section 2.2).
    if (isZero(padding, 0, 4) && padding.length === 4) {
      end -= 4;
      continue;
    }
    const footer = await window.bytes(end - HEADER_BYTES, HEADER_BYTES);
    if (footer.length < HEADER_BYTES || !hasText(footer, 10, 'YZ')) {
      throw found ? corrupt(end, 'something precedes a stream that is none') : truncated();
    }
    if (crc32(footer.subarray(4, 10)) !== u32le(footer, 0)) throw corrupt(end, 'a stream footer is damaged');
    const flags = u16be(footer, 8);
    const indexBytes = (u32le(footer, 4) + 1) * 4;
    const indexStart = end - HEADER_BYTES - indexBytes;
    if (indexStart < HEADER_BYTES) throw corrupt(end, 'a stream footer points before the file');
    if (indexBytes > MOST_INDEX_BYTES) return { bytes: null, exact: false, atLeast: total };
    const index = parseIndex(await window.bytes(indexStart, indexBytes));
    if (index === null) throw corrupt(indexStart, 'the index of a stream is damaged');
    const start = indexStart - index.stored - HEADER_BYTES;
    const header = await window.bytes(start, HEADER_BYTES);
    if (!hasBytes(header, 0, 'fd377a585a00') || u16be(header, 6) !== flags) {
      throw corrupt(Math.max(0, start), 'the index of a stream does not lead to its header');
    }
    total += index.unpacked;
    if (!Number.isSafeInteger(total)) throw corrupt(indexStart, 'its size is absurd');
    end = start;
    found = true;
  }
  if (!found) throw truncated();
  return exactSize(total);
}

/** Section 4: a zero byte, the number of records, the records, padding, CRC-32. Null when unsound. */
function parseIndex(bytes: Uint8Array): Index | null {
  const body = bytes.length - 4;
  if (body < 4 || u8(bytes, 0) !== 0 || crc32(bytes.subarray(0, body)) !== u32le(bytes, body)) return null;
  const numbers = new Numbers(bytes.subarray(0, body), 1);
  const count = numbers.next();
  if (count === null) return null;
  let unpacked = 0;
  let stored = 0;
  for (let record = 0; record < count; record++) {
    const storedSize = numbers.next();
    const unpackedSize = numbers.next();
    if (storedSize === null || unpackedSize === null) return null;
    stored += Math.ceil(storedSize / 4) * 4;
    unpacked += unpackedSize;
    if (!Number.isSafeInteger(stored) || !Number.isSafeInteger(unpacked)) return null;
  }
  return { unpacked, stored };
}

/** Multibyte integers (section 1.2): seven bits each, the lowest first, up to nine bytes. */
class Numbers {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  next(): number | null {
    let value = 0;
    for (let place = 0; place < 9; place++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) return null;
      value += (byte & 0x7f) * 2 ** (7 * place);
      if ((byte & 0x80) === 0) return Number.isSafeInteger(value) ? value : null;
    }
    return null;
  }
}
