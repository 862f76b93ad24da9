import { type RandomReader, readFully } from '../source/source.ts';

/** Small reads of a {@link RandomReader}, served from one aligned window of it, and counted. */
export class Window {
  readonly size: number;
  readonly #reader: RandomReader;
  readonly #alignment: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #start = 0;
  #fetches = 0;
  #requests = 0;

  /** `alignment` is the least that is read at once, in bytes. */
  constructor(reader: RandomReader, alignment: number) {
    this.size = reader.size;
    this.#reader = reader;
    this.#alignment = alignment;
  }

  /** True once the reader was asked more than `fetches` times, or this window unreasonably often. */
  spent(fetches: number): boolean {
    return this.#fetches > fetches || this.#requests > fetches * 64;
  }

  /** The `length` bytes at `position`, fewer at the end, none outside; valid until the next call. */
  async bytes(position: number, length: number): Promise<Uint8Array> {
    this.#requests++;
    const until = Math.min(position + length, this.size);
    if (!(position >= 0) || !(until > position)) return new Uint8Array(0);
    if (position < this.#start || until > this.#start + this.#bytes.length) {
      const start = position - (position % this.#alignment);
      const end = Math.min(Math.ceil(until / this.#alignment) * this.#alignment, this.size);
      this.#bytes = new Uint8Array(0);
      this.#fetches++;
      this.#bytes = await readFully(this.#reader, start, end - start);
      this.#start = start;
    }
    return this.#bytes.subarray(position - this.#start, until - this.#start);
  }
}
