/** How many bytes an image will be, learned from its stored bytes without unpacking them. */

import { failure } from '../../shared/failure.ts';
import type { Packing } from '../../shared/image.ts';
import type { RandomReader } from '../source/source.ts';
import { hasBytes, u32le, u64be } from './bytes.ts';
import { lz4Size } from './lz4frames.ts';
import { exactSize, type UnpackedSize, unknownSize } from './unpackedsize.ts';
import { Window } from './window.ts';
import { xzSize } from './xzindex.ts';
import { openZipEntry } from './zipentry.ts';
import { zstdSize } from './zstdframes.ts';

export type { UnpackedSize } from './unpackedsize.ts';

export interface SizeOptions {
  /** Reads of the source that may be spent on walking through frames; over a network each is a request. */
  readonly fetches?: number;
}

/** Where a frame walk reads: large enough for many small frames, small enough to skip large ones. */
const WALK_WINDOW = 4096;

/**
 * The unpacked size of what `reader` holds, packed with `packing`: exact for raw, zip and xz; for zstd and lz4 when
 * the frames say it and the walk through them ends within `options.fetches` (default 4096); a guess for gzip, which
 * stores it modulo 4 GiB; unknown for bzip2. Rejects with IMAGE_TRUNCATED or IMAGE_CORRUPT when what was read shows
 * that the image is damaged, with IMAGE_REFUSED or IMAGE_UNSUPPORTED for a zip that holds no single readable image,
 * and with the failures of `reader`.
 */
export async function unpackedSize(
  packing: Packing,
  reader: RandomReader,
  image: string,
  options: SizeOptions = {},
): Promise<UnpackedSize> {
  const fetches = options.fetches ?? 4096;
  switch (packing) {
    case 'raw':
      return exactSize(reader.size);
    case 'gz':
      return await gzipSize(reader);
    case 'xz':
      return await xzSize(new Window(reader, WALK_WINDOW), image, fetches);
    case 'zst':
      return await zstdSize(new Window(reader, WALK_WINDOW), image, fetches);
    case 'lz4':
      return await lz4Size(new Window(reader, WALK_WINDOW), image, fetches);
    case 'zip':
      return exactSize((await openZipEntry(reader, image)).size);
    case 'bz2':
      return unknownSize;
  }
}

/** Virtual size in a qcow2 header (bytes 24 to 31). Throws IMAGE_CORRUPT when no disk is that large. */
export function qcow2VirtualSize(head: Uint8Array, image: string): number {
  const size = u64be(head, 24);
  if (!hasBytes(head, 0, '514649fb') || head.length < 72) {
    throw failure('IMAGE_TRUNCATED', { image, format: 'qcow2', offset: head.length });
  }
  if (!Number.isSafeInteger(size)) {
    throw failure('IMAGE_CORRUPT', {
      image,
      format: 'qcow2',
      problem: 'its virtual size is absurd',
      offset: 24,
    });
  }
  return size;
}

/** Deflate makes at most 1032 bytes of one. */
const MOST_EXPANSION = 1032;
const SMALLEST_MEMBER = 20;

/**
 * RFC 1952, section 2.3.1: the last member ends with its size modulo 2^32. A single member is the common case, and
 * deflate hardly ever makes data longer, so the guess is the least size that the stored bytes can have come from.
 */
async function gzipSize(reader: RandomReader): Promise<UnpackedSize> {
  if (reader.size < SMALLEST_MEMBER) return unknownSize;
  const trailer = await new Window(reader, 1).bytes(reader.size - 4, 4);
  const size = u32le(trailer, 0);
  // What follows the last member, such as the zeros of a tape block, is not a size.
  if (trailer.length < 4 || size > (reader.size - SMALLEST_MEMBER + 2) * MOST_EXPANSION) return unknownSize;
  let guess = size;
  while (guess < reader.size * 0.99 - 1024) guess += 2 ** 32;
  return { bytes: guess, exact: false, atLeast: size };
}
