/** Reused memory between files and sockets: its size follows how many share it and how fast each one drains. */

const kibibyte = 1024;
const sizes = [64 * kibibyte, 256 * kibibyte, 512 * kibibyte] as const;

/** Buffers that transfers borrow. What is kept for reuse is bounded; what is lent is bounded by the transfers. */
export class Slots {
  readonly #free = new Map<number, Buffer[]>();
  readonly #keepBytes: number;
  #keptBytes = 0;
  #lentBytes = 0;

  /** `keepBytes`: most bytes that wait for reuse. */
  constructor(keepBytes = 48 * 1024 * kibibyte) {
    this.#keepBytes = keepBytes;
  }

  /** Bytes that are lent at the moment. */
  get lentBytes(): number {
    return this.#lentBytes;
  }

  /** Borrows at least 64 KiB; `bytes` is rounded to one of three sizes. */
  take(bytes: number): Buffer {
    const size = sizes.findLast((candidate) => candidate <= bytes) ?? sizes[0];
    this.#lentBytes += size;
    const reused = this.#free.get(size)?.pop();
    if (reused) {
      this.#keptBytes -= size;
      return reused;
    }
    return Buffer.allocUnsafeSlow(size);
  }

  /** Gives a borrowed buffer back; nobody may touch it afterwards. */
  give(slot: Buffer): void {
    this.#lentBytes -= slot.length;
    if (this.#keptBytes + slot.length > this.#keepBytes) return;
    this.#keptBytes += slot.length;
    const free = this.#free.get(slot.length);
    if (free) free.push(slot);
    else this.#free.set(slot.length, [slot]);
  }
}

/**
 * How many bytes one transfer reads at once: large pieces while few share the memory, small ones for many and for
 * a client that took longer than `slowMilliseconds` for its last piece, since that memory lies idle meanwhile.
 */
export function pieceBytes(transfers: number, lastMilliseconds: number): number {
  const fair = transfers <= 64 ? sizes[2] : transfers <= 128 ? sizes[1] : sizes[0];
  return lastMilliseconds > slowMilliseconds ? sizes[0] : fair;
}

const slowMilliseconds = 250;
