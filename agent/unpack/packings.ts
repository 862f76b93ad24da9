import type { Packing } from '../../shared/image.ts';
import { bzip2Unpacker } from './bzip2.ts';
import { gzipUnpacker } from './gzip.ts';
import { lz4Unpacker } from './lz4.ts';
import type { Unpacker } from './unpacker.ts';
import { xzUnpacker } from './xz.ts';
import { deflateUnpacker, type ZipEntryData } from './zip.ts';
import { zstdUnpacker } from './zstd.ts';

/** A packing with what its unpacker must know beforehand. */
export type PackedAs =
  | { readonly packing: Exclude<Packing, 'raw' | 'zip'> }
  | { readonly packing: 'zip'; readonly entry: ZipEntryData };

/** The unpacker for an image packed `packed.packing`; `image` names it in failures. */
export function makeUnpacker(packed: PackedAs, image: string): Unpacker {
  switch (packed.packing) {
    case 'gz':
      return gzipUnpacker(image);
    case 'zst':
      return zstdUnpacker(image);
    case 'xz':
      return xzUnpacker(image);
    case 'bz2':
      return bzip2Unpacker(image);
    case 'lz4':
      return lz4Unpacker(image);
    case 'zip':
      return deflateUnpacker(image, packed.entry);
  }
}
