import type { Packing } from '../../shared/image.ts';
import type { ZipEntry } from '../inspect/zipentry.ts';
import { bzip2Unpacker } from './bzip2.ts';
import { gzipUnpacker } from './gzip.ts';
import { lz4Unpacker } from './lz4.ts';
import type { Unpacker } from './unpacker.ts';
import { xzUnpacker } from './xz.ts';
import { deflateUnpacker } from './zip.ts';
import { zstdUnpacker } from './zstd.ts';

/** A packing with what its unpacker must know beforehand. */
export type PackedAs =
  | { readonly packing: Exclude<Packing, 'raw' | 'zip'> }
  | { readonly packing: 'zip'; readonly entry: ZipEntry };

export interface UnpackerOptions {
  /** Threads of its own that the unpacker may start; as many as are useful unless given. */
  readonly threads?: 0;
}

/** The unpacker for an image packed `packed.packing`; `image` names it in failures. */
export function makeUnpacker(packed: PackedAs, image: string, { threads }: UnpackerOptions = {}): Unpacker {
  switch (packed.packing) {
    case 'gz':
      return gzipUnpacker(image);
    case 'zst':
      return zstdUnpacker(image);
    case 'xz':
      return xzUnpacker(image);
    case 'bz2':
      return bzip2Unpacker(image, threads === undefined ? {} : { workers: threads });
    case 'lz4':
      return lz4Unpacker(image);
    case 'zip':
      return window(
        deflateUnpacker(image, packed.entry),
        packed.entry.dataOffset,
        packed.entry.compressedSize,
      );
  }
}

/** Gives `unpacker` only `length` bytes from byte `start` of the source, and swallows the rest. */
function window(unpacker: Unpacker, start: number, length: number): Unpacker {
  let at = 0;
  return {
    push(input, out) {
      const from = Math.max(0, start - at);
      const to = Math.min(input.length, start + length - at);
      at += input.length;
      return from < to ? unpacker.push(input.subarray(from, to), out) : undefined;
    },
    finish: (out) => unpacker.finish(out),
    close: () => unpacker.close(),
  };
}
