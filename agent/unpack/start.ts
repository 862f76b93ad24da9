import { Failure } from '../../shared/failure.ts';
import { makeUnpacker, type PackedAs } from './packings.ts';
import type { SlotWriter } from './unpacker.ts';

/** Image bytes that are enough to recognise every format and to hold a partition table. */
const wanted = 1 << 17;

class Enough extends Error {}

/**
 * The first image bytes that `stored`, the first stored bytes, unpack to: up to 128 KiB, fewer or none where a
 * packing needs more stored bytes than there are. Damage later in the stream is not noticed here.
 */
export async function unpackStart(packed: PackedAs, stored: Uint8Array, image: string): Promise<Uint8Array> {
  const found = new Uint8Array(wanted);
  let filled = 0;
  const out: SlotWriter = {
    space: () => {
      if (filled === wanted) throw new Enough();
      return found.subarray(filled);
    },
    advance: (count) => {
      filled += count;
    },
  };
  // One block is enough: threads would take longer to start than it takes to decode.
  const unpacker = makeUnpacker(packed, image, { threads: 0 });
  try {
    await unpacker.push(stored, out);
    await unpacker.finish(out);
  } catch (error) {
    if (error instanceof Failure) {
      // What fails from its first byte is told now rather than after the disk was cleared.
      if (filled === 0 && error.code !== 'IMAGE_TRUNCATED') throw error;
    } else if (!(error instanceof Enough)) throw error;
  } finally {
    await unpacker.close();
  }
  return found.subarray(0, filled);
}
