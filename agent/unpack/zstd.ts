import { constants, createZstdDecompress } from 'node:zlib';
import type { Unpacker } from './unpacker.ts';
import { type ZlibStream, zlibUnpacker } from './zlibhandle.ts';

/** Zstandard (RFC 8878): any number of frames, skippable ones too; checksums are checked where present. */
export function zstdUnpacker(image: string): Unpacker {
  const stream = createZstdDecompress({ chunkSize: 1 << 20 }) as unknown as ZlibStream;
  const flush = { none: constants.ZSTD_e_continue, finish: constants.ZSTD_e_end };
  return zlibUnpacker(stream, { image, format: 'zst', flush });
}
