import type { SourceStream } from './source.ts';

/** Most bytes that `head()` of a source gives. */
export const headBytes = 128 * 1024;

/** Reads from `read` until `into` is full or the end; resolves the count. */
export async function fill(
  read: (into: Uint8Array, done: number) => Promise<number>,
  into: Uint8Array,
): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const count = await read(into.subarray(filled), filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

/** `head` again, followed by what is left in `rest`. */
export function replay(head: Uint8Array, rest: SourceStream): SourceStream {
  let position = 0;
  return {
    async read(into) {
      if (position === head.length) return rest.read(into);
      const part = head.subarray(position, position + into.length);
      into.set(part);
      position += part.length;
      return part.length;
    },
    close: () => rest.close(),
  };
}
