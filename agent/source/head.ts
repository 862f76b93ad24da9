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

/** The first bytes that `read` gives, which consumes them. */
export async function readHead(read: (into: Uint8Array) => Promise<number>): Promise<Uint8Array> {
  const into = new Uint8Array(headBytes);
  return into.slice(0, await fill(read, into));
}

/** Calls `make` when it is first asked, and gives the same result ever after. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** What `head` gave again, followed by what is left in `rest`. */
export function replay(head: () => Promise<Uint8Array>, rest: SourceStream): SourceStream {
  let left: Uint8Array | null = null;
  return {
    async read(into) {
      left ??= await head();
      if (left.length === 0) return rest.read(into);
      const part = left.subarray(0, into.length);
      into.set(part);
      left = left.subarray(part.length);
      return part.length;
    },
    close: () => rest.close(),
  };
}
