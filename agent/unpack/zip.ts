import { constants, crc32, createInflateRaw } from 'node:zlib';
import { failure } from '../../shared/failure.ts';
import type { ZipEntry } from '../inspect/zipentry.ts';
import type { SlotWriter, Unpacker } from './unpacker.ts';
import { emit } from './unpacker.ts';
import { type ZlibStream, zlibUnpacker } from './zlibhandle.ts';

/** The data of one zip entry (APPNOTE 4.4.5 methods 0 and 8); its length and CRC-32 are checked at the end. */
export function deflateUnpacker(image: string, entry: ZipEntry): Unpacker {
  const inner = entry.method === 'deflate' ? inflater(image) : copier();
  let sum = 0;
  let size = 0;
  const checking = (out: SlotWriter): SlotWriter => ({
    space: () => out.space(),
    advance: (count) => {
      sum = crc32(out.space().subarray(0, count), sum);
      size += count;
      if (size > entry.size)
        throw wrong(`it unpacks to more than the ${entry.size} bytes that its directory says`);
      out.advance(count);
    },
  });
  const wrong = (problem: string) => failure('IMAGE_CORRUPT', { image, format: 'zip', problem });
  return {
    push: (input, out) => inner.push(input, checking(out)),
    async finish(out) {
      await inner.finish(checking(out));
      if (size < entry.size) throw failure('IMAGE_TRUNCATED', { image, format: 'zip' });
      if (sum !== entry.crc32) throw wrong('its CRC-32 does not match');
    },
    close: () => inner.close(),
  };
}

function inflater(image: string): Unpacker {
  const stream = createInflateRaw({ chunkSize: 1 << 20 }) as unknown as ZlibStream;
  const flush = { none: constants.Z_NO_FLUSH, finish: constants.Z_FINISH };
  return zlibUnpacker(stream, { image, format: 'zip', flush });
}

function copier(): Unpacker {
  return { push: emit, finish: () => {}, close: () => {} };
}
