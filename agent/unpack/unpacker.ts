/** Turns stored bytes into image bytes. Runs in the unpack worker, never on the main thread. */

/** Where image bytes go: page-aligned slots of the ring, one at a time. */
export interface SlotWriter {
  /**
   * Room left in the current slot, never empty. Blocks this thread until a slot is free; throws when the
   * flash is cancelled. The view is valid until `advance` is called.
   */
  space(): Uint8Array;
  /** Says that the first `count` bytes of `space()` were filled. */
  advance(count: number): void;
}

export interface Unpacker {
  /** Consumes all of `input`, which may be reused as soon as this returns or resolves. Throws a Failure. */
  push(input: Uint8Array, out: SlotWriter): void | Promise<void>;
  /** No more input follows: flushes, and throws IMAGE_TRUNCATED unless the stream is complete. */
  finish(out: SlotWriter): void | Promise<void>;
  /** Frees what the unpacker holds (children, workers, memory); called exactly once, also after a failure. */
  close(): void | Promise<void>;
}

/** Copies `bytes` to the ring. */
export function emit(bytes: Uint8Array, out: SlotWriter): void {
  let done = 0;
  while (done < bytes.length) {
    const space = out.space();
    const count = Math.min(space.length, bytes.length - done);
    space.set(bytes.subarray(done, done + count));
    out.advance(count);
    done += count;
  }
}
