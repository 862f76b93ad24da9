import { fill } from './head.ts';
import type { Origin } from './http-origin.ts';
import { HttpStream } from './http-stream.ts';
import type { RandomReader } from './source.ts';

export const blockBytes = 256 * 1024;
const cachedBlocks = 32;
/** Reads of this length and more bypass the cache. */
const largeBytes = 1024 * 1024;
const longestRun = 8;

/**
 * Random access by Range requests. The last 8 MiB are kept in blocks of 256 KiB; blocks that are wanted one after
 * the other are asked for in growing runs. Aborting `signal` rejects pending reads with its reason.
 */
export function rangeReader(origin: Origin, size: number, signal: AbortSignal): RandomReader {
  const blocks = new Map<number, Promise<Uint8Array>>();
  let next = -1;
  let run = 1;

  const fetch = async (start: number, into: Uint8Array): Promise<number> => {
    const stream = new HttpStream(origin, { start, end: start + into.length }, signal);
    try {
      const count = await fill((room) => stream.read(room), into);
      // Consumes the end of the reply, so that the connection serves the next request.
      if (count === into.length) await stream.read(new Uint8Array(1));
      return count;
    } finally {
      await stream.close();
    }
  };

  const load = (first: number): Promise<Uint8Array> => {
    run = first === next ? Math.min(run * 2, longestRun) : 1;
    const last = Math.min(first + run, Math.ceil(size / blockBytes));
    next = last;
    const start = first * blockBytes;
    const bytes = new Uint8Array(Math.min(last * blockBytes, size) - start);
    const fetched = fetch(start, bytes);
    for (let index = first; index < last; index++) {
      const offset = (index - first) * blockBytes;
      const block = fetched.then((count) => bytes.slice(offset, Math.min(offset + blockBytes, count)));
      block.catch(() => blocks.get(index) === block && blocks.delete(index));
      blocks.delete(index);
      blocks.set(index, block);
    }
    for (const index of blocks.keys()) {
      if (blocks.size <= cachedBlocks) break;
      blocks.delete(index);
    }
    return blocks.get(first) ?? Promise.reject(new Error('unreachable'));
  };

  const cached = (index: number): Promise<Uint8Array> => {
    const known = blocks.get(index);
    if (!known) return load(index);
    blocks.delete(index);
    blocks.set(index, known);
    return known;
  };

  return {
    size,
    async read(into, position) {
      signal.throwIfAborted();
      const wanted = Math.min(into.length, size - position);
      if (wanted <= 0) return 0;
      // node:http fills its own memory; a large read needs no second copy in the cache.
      if (wanted >= largeBytes) return fetch(position, into.subarray(0, wanted));
      const index = Math.floor(position / blockBytes);
      const block = await cached(index);
      const part = block.subarray(position - index * blockBytes).subarray(0, wanted);
      into.set(part);
      return part.length;
    },
  };
}
