/** How much is held before the sender is asked to stop. */
export interface Limits {
  readonly bytes: number;
  /** Small chunks cost more than their bytes. */
  readonly chunks: number;
}

/**
 * Hands bytes that arrive in chunks of the sender's choosing to one reader that asks for its own amounts. What
 * arrived before an error or the end is delivered before it.
 */
export class Inbox {
  readonly #limits: Limits;
  readonly #onRoom: () => void;
  readonly #onSpent: (chunk: Uint8Array) => void;
  readonly #chunks: Uint8Array[] = [];
  #skip = 0;
  #bytes = 0;
  #ending: { readonly error: unknown } | 'end' | null = null;
  #waiting: { readonly into: Uint8Array; resolve(count: number): void; reject(error: unknown): void } | null =
    null;

  /** `onRoom` asks a stopped sender to go on. `onSpent` gives a chunk back to it. */
  constructor(limits: Limits, onRoom: () => void, onSpent: (chunk: Uint8Array) => void = () => {}) {
    this.#limits = limits;
    this.#onRoom = onRoom;
    this.#onSpent = onSpent;
  }

  get #full(): boolean {
    return this.#bytes >= this.#limits.bytes || this.#chunks.length >= this.#limits.chunks;
  }

  /** True while a reader waits for bytes. */
  get wanted(): boolean {
    return this.#waiting !== null;
  }

  /** Takes a chunk; false when the sender should stop until `onRoom`. */
  put(chunk: Uint8Array): boolean {
    if (this.#ending !== null || chunk.length === 0) return !this.#full;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#serve();
    return !this.#full;
  }

  end(): void {
    this.#ending ??= 'end';
    this.#serve();
  }

  fail(error: unknown): void {
    this.#ending ??= { error };
    this.#serve();
  }

  /** Resolves the count of bytes that were put into `into`, 0 at the end. One read at a time. */
  read(into: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#waiting) throw new Error('two reads at once');
      this.#waiting = { into, resolve, reject };
      this.#serve();
    });
  }

  #serve(): void {
    const waiting = this.#waiting;
    if (!waiting || (this.#bytes === 0 && this.#ending === null)) return;
    this.#waiting = null;
    if (this.#bytes > 0) {
      const wasFull = this.#full;
      waiting.resolve(this.#take(waiting.into));
      if (wasFull && !this.#full) this.#onRoom();
    } else if (this.#ending === 'end') waiting.resolve(0);
    else waiting.reject(this.#ending?.error);
  }

  #take(into: Uint8Array): number {
    let filled = 0;
    for (let chunk = this.#chunks[0]; chunk && filled < into.length; chunk = this.#chunks[0]) {
      const count = Math.min(chunk.length - this.#skip, into.length - filled);
      into.set(chunk.subarray(this.#skip, this.#skip + count), filled);
      filled += count;
      this.#skip += count;
      if (this.#skip < chunk.length) break;
      this.#skip = 0;
      this.#chunks.shift();
      this.#onSpent(chunk);
    }
    this.#bytes -= filled;
    return filled;
  }
}

/** Buffers for reads from a descriptor (net.Socket `onread`), used again once their bytes are spent. */
export class ReadBuffers {
  readonly #size: number;
  readonly #spare: Uint8Array[] = [];
  readonly next = (): Uint8Array => this.#spare.pop() ?? new Uint8Array(this.#size);
  /** Takes back the buffer that `chunk` is the start of; chunks from elsewhere are let go. */
  readonly spent = ({ buffer }: Uint8Array): void => {
    if (buffer instanceof ArrayBuffer && buffer.byteLength === this.#size) {
      this.#spare.push(new Uint8Array(buffer));
    }
  };

  constructor(size: number) {
    this.#size = size;
  }
}
