/** Where an image's stored bytes come from: a file, a URL, standard input. */

/** How failures call the image that comes on standard input. */
export const standardInput = 'standard input';

/** How failures call the image at `location`. */
export const titleOf = (location: string): string => (location === '-' ? standardInput : location);

/** Bytes that can be read at any position. */
export interface RandomReader {
  /** Size in bytes. */
  readonly size: number;
  /** Reads up to `into.length` bytes at `position`; resolves the count, 0 at the end. Rejects with a Failure. */
  read(into: Uint8Array, position: number): Promise<number>;
}

/** Stored bytes in order. */
export interface SourceStream {
  /** Reads up to `into.length` bytes; resolves the count, 0 at the end. Rejects with a Failure. */
  read(into: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

export interface ImageSource {
  readonly kind: 'file' | 'http' | 'stdin';
  /** As the person gave it: path, URL or "-". */
  readonly location: string;
  /** Base name, used to guess the format when the content does not tell. */
  readonly name: string;
  /** Stored bytes, null when unknown. */
  readonly size: number | null;
  /** Random access, null where the medium has none (standard input, a server without Range). */
  readonly random: RandomReader | null;
  /** True when `open` works more than once. */
  readonly reopenable: boolean;
  /** The first bytes (up to 128 KiB, fewer only if the image is shorter), without consuming them. */
  head(): Promise<Uint8Array>;
  /** Starts reading at byte 0. Aborting `signal` makes pending reads reject with its reason. */
  open(signal: AbortSignal): Promise<SourceStream>;
  close(): Promise<void>;
}

/** Reads exactly `length` bytes at `position`, fewer only at the end of the source. */
export async function readFully(reader: RandomReader, position: number, length: number): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const count = await reader.read(into.subarray(filled), position + filled);
    if (count === 0) break;
    filled += count;
  }
  return into.subarray(0, filled);
}
