import { constants, createGunzip } from 'node:zlib';
import type { Unpacker } from './unpacker.ts';
import { type ZlibStream, zlibUnpacker } from './zlibhandle.ts';

/** gzip (RFC 1952): any number of members, zero padding after the last; CRC and length of each are checked. */
export function gzipUnpacker(image: string): Unpacker {
  const stream = createGunzip({ chunkSize: 1 << 20 }) as unknown as ZlibStream;
  const flush = { none: constants.Z_NO_FLUSH, finish: constants.Z_FINISH };
  return zlibUnpacker(stream, { image, format: 'gz', flush });
}
