import type { SlotWriter } from './unpacker.ts';

/**
 * Undoes the run-length coding of a bzip2 block, its outermost layer, into `out`: each byte of `block` that
 * `counts` points to says how often the byte before it is repeated.
 */
export function expandRuns(block: Uint8Array, counts: Int32Array, out: SlotWriter): void {
  const writer = new Writer(out);
  let start = 0;
  for (const at of counts) {
    writer.copy(block, start, at);
    writer.fill(block[at - 1] as number, block[at] as number);
    start = at + 1;
  }
  writer.copy(block, start, block.length);
  writer.flush();
}

/** Asks for the slot and reports its bytes once for many short pieces. */
class Writer {
  readonly #out: SlotWriter;
  #space: Uint8Array;
  #used = 0;

  constructor(out: SlotWriter) {
    this.#out = out;
    this.#space = out.space();
  }

  copy(block: Uint8Array, start: number, end: number): void {
    for (let from = start; from < end; ) {
      const count = this.#room(end - from);
      const space = this.#space;
      const used = this.#used;
      if (count <= 100) {
        for (let at = 0; at < count; at++) space[used + at] = block[from + at] as number;
      } else {
        space.set(block.subarray(from, from + count), used);
      }
      this.#used = used + count;
      from += count;
    }
  }

  fill(byte: number, length: number): void {
    for (let left = length; left > 0; ) {
      const count = this.#room(left);
      this.#space.fill(byte, this.#used, this.#used + count);
      this.#used += count;
      left -= count;
    }
  }

  flush(): void {
    if (this.#used > 0) this.#out.advance(this.#used);
    this.#used = 0;
  }

  /** How many of `wanted` bytes fit into the slot, at least one. */
  #room(wanted: number): number {
    if (this.#used === this.#space.length) {
      this.flush();
      this.#space = this.#out.space();
    }
    return Math.min(wanted, this.#space.length - this.#used);
  }
}
