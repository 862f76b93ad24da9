/** Size of an lz4 file by walking its frames (LZ4 frame format 1.6.x). */

import { failure } from '../../shared/failure.ts';
import { u8, u32le, u64le } from './bytes.ts';
import { exactSize, type UnpackedSize, unknownSize } from './unpackedsize.ts';
import type { Window } from './window.ts';

const MAGIC = 0x184d2204;

/** Rejects with IMAGE_TRUNCATED or IMAGE_CORRUPT; gives up after about `fetches` reads. */
export async function lz4Size(window: Window, image: string, fetches: number): Promise<UnpackedSize> {
  const truncated = () => failure('IMAGE_TRUNCATED', { image, format: 'lz4', offset: window.size });
  const corrupt = (offset: number, problem: string) =>
    failure('IMAGE_CORRUPT', { image, format: 'lz4', problem, offset });
  let sum = 0;
  let atLeast = 0;
  let known = true;
  for (let at = 0; at < window.size; ) {
    const header = await window.bytes(at, 15);
    const magic = u32le(header, 0);
    if ((magic & 0xfffffff0) >>> 0 === 0x184d2a50) {
      at += 8 + u32le(header, 4);
      if (header.length < 8 || at > window.size) throw truncated();
      if (window.spent(fetches) && at < window.size) return { bytes: null, exact: false, atLeast };
      continue;
    }
    if (header.length < 7) throw truncated();
    // Only the first frame says that this is lz4; what follows may be a legacy frame, which the unpacker refuses.
    if (magic !== MAGIC) throw corrupt(at, 'something follows that is no frame');
    const flags = u8(header, 4);
    if (flags >> 6 !== 1) throw corrupt(at, 'a frame header has an unknown version');
    const sized = (flags & 0x08) !== 0;
    const size = sized ? u64le(header, 6) : null;
    if (size === Number.POSITIVE_INFINITY) throw corrupt(at, 'its content size is absurd');
    at += 7 + (sized ? 8 : 0) + ((flags & 0x01) === 0 ? 0 : 4);
    let stored = 0;
    for (;;) {
      const block = await window.bytes(at, 4);
      if (block.length < 4) throw truncated();
      const word = u32le(block, 0);
      at += 4;
      if (word === 0) break;
      const length = word & 0x7fffffff;
      if (word >= 0x80000000) stored += length;
      at += length + ((flags & 0x10) === 0 ? 0 : 4);
      if (at > window.size) throw truncated();
      if (window.spent(fetches)) {
        const least = atLeast + (size ?? stored);
        return { bytes: known && size !== null ? sum + size : null, exact: false, atLeast: least };
      }
    }
    at += (flags & 0x04) === 0 ? 0 : 4;
    if (at > window.size) throw truncated();
    known &&= size !== null;
    sum += size ?? 0;
    atLeast += size ?? stored;
    if (!Number.isSafeInteger(sum) || !Number.isSafeInteger(atLeast)) return unknownSize;
  }
  return known ? exactSize(sum) : { bytes: null, exact: false, atLeast };
}
