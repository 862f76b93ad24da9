/** The first image bytes of a packed source, unpacked from as little of it as possible. */

import type { Transform } from 'node:stream';
import { constants, createGunzip, createInflateRaw, createZstdDecompress } from 'node:zlib';
import { Failure, failure } from '../../shared/failure.ts';
import type { Packing } from '../../shared/image.ts';
import { type ImageSource, readFully } from '../source/source.ts';
import type { PackedAs } from '../unpack/packings.ts';
import type { SlotWriter, Unpacker } from '../unpack/unpacker.ts';
import type { ZipEntry } from './zipentry.ts';

export interface PrefixRequest {
  readonly source: ImageSource;
  readonly packing: Exclude<Packing, 'raw'>;
  /** What to unpack from a zip. */
  readonly entry: ZipEntry | null;
  /** The most image bytes that are wanted. */
  readonly bytes: number;
  readonly signal: AbortSignal;
}

/**
 * Unpacks the first bytes: fewer than asked for where the image is shorter or not enough of it is at hand, null where
 * this packing is not unpacked here. Rejects with IMAGE_CORRUPT when not one byte comes out of a damaged stream.
 */
export type UnpackPrefix = (request: PrefixRequest) => Promise<Uint8Array | null>;

/** Stored bytes that are looked at; a well packed image of zeros is all in here. */
const MOST_STORED = 1024 * 1024;

/** Unpacks gz, zst and zip with what the runtime has; for the others see {@link prefixWith}. */
export const unpackPrefix: UnpackPrefix = async (request) => {
  const { packing, entry, bytes, source } = request;
  const stored = await storedPrefix(request);
  switch (packing) {
    case 'gz':
      return await inflate(createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }), stored, request);
    case 'zst':
      return await inflate(createZstdDecompress({ finishFlush: constants.ZSTD_e_flush }), stored, request);
    case 'zip':
      if (entry === null) return null;
      if (entry.method === 'store') return stored.subarray(0, bytes);
      return await inflate(createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH }), stored, request);
    case 'xz':
    case 'bz2':
    case 'lz4':
      return null;
    default:
      throw failure('INTERNAL', {
        problem: `${source.location}: no such packing: ${packing satisfies never}`,
      });
  }
};

/** Unpacks any packing with the unpackers that flashing uses. */
export function prefixWith(makeUnpacker: (packed: PackedAs, image: string) => Unpacker): UnpackPrefix {
  return async (request) => {
    const { packing, entry, source, bytes, signal } = request;
    if (packing === 'zip') return await unpackPrefix(request);
    if (entry !== null) return null;
    const stored = await storedPrefix(request);
    const out = new Collector(bytes);
    const unpacker = makeUnpacker({ packing }, source.location);
    try {
      const piece = 64 * 1024;
      for (let at = 0; at < stored.length; at += piece) {
        signal.throwIfAborted();
        await unpacker.push(stored.subarray(at, at + piece), out);
      }
      await unpacker.finish(out);
    } catch (error) {
      if (error !== out.enough) signal.throwIfAborted();
      if (error !== out.enough && !(error instanceof Failure)) throw error;
      // The stored bytes are cut on purpose; only a stream that is broken from its start is worth a word.
      if (error instanceof Failure && error.code === 'IMAGE_CORRUPT' && out.bytes().length === 0) throw error;
    } finally {
      await unpacker.close();
    }
    return out.bytes();
  };
}

/** Keeps the first bytes, then throws `enough`. */
class Collector implements SlotWriter {
  readonly enough = new Error('enough');
  readonly #into: Uint8Array;
  #filled = 0;

  constructor(bytes: number) {
    this.#into = new Uint8Array(bytes);
  }

  space(): Uint8Array {
    if (this.#filled === this.#into.length) throw this.enough;
    return this.#into.subarray(this.#filled);
  }

  advance(count: number): void {
    this.#filled += count;
  }

  bytes(): Uint8Array {
    return this.#into.subarray(0, this.#filled);
  }
}

/** The stored bytes from the start of the packed stream on, as the source allows. */
async function storedPrefix({ source, entry, signal }: PrefixRequest): Promise<Uint8Array> {
  const start = entry?.dataOffset ?? 0;
  const length = Math.min(MOST_STORED, entry?.compressedSize ?? MOST_STORED);
  if (source.random)
    return await readFully(source.random, start, Math.min(length, source.random.size - start));
  const head = await source.head();
  if (source.size !== null && head.length >= source.size) return head.subarray(start, start + length);
  if (start > 0 || !source.reopenable) return head.subarray(start, start + length);
  const stream = await source.open(signal);
  try {
    const into = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = await stream.read(into.subarray(filled));
      if (count === 0) break;
      filled += count;
    }
    return into.subarray(0, filled);
  } finally {
    await stream.close();
  }
}

/** Up to `request.bytes` of what `stored` unpacks to; the rest is never made, however much it would be. */
async function inflate(stream: Transform, stored: Uint8Array, request: PrefixRequest): Promise<Uint8Array> {
  const { source, packing, bytes, signal } = request;
  const into = new Uint8Array(bytes);
  let filled = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  stream.on('data', (chunk: Uint8Array) => {
    const part = chunk.subarray(0, bytes - filled);
    into.set(part, filled);
    filled += part.length;
    if (filled === bytes) resolve();
  });
  stream.on('end', resolve);
  stream.on('error', (error) => {
    const { code } = error as NodeJS.ErrnoException;
    // A window of more than 128 MiB (zstd --long=28 and up) is no damage.
    if (filled > 0 || code === 'ZSTD_error_frameParameter_windowTooLarge') return resolve();
    const problem = error.message;
    reject(failure('IMAGE_CORRUPT', { image: source.location, format: packing, problem }, error));
  });
  try {
    signal.throwIfAborted();
    stream.end(stored);
    await promise;
  } finally {
    signal.removeEventListener('abort', abort);
    stream.destroy();
  }
  return into.subarray(0, filled);
}
