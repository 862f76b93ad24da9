/** Whether a client takes what it asked for: not at all for a while, or too slowly in the long run, ends its transfer. */

export class Pace {
  /** Milliseconds that the client took for the last piece. */
  lastMilliseconds = 0;
  readonly #stallMilliseconds: number;
  readonly #leastRate: number;
  readonly #giveUp: (problem: string) => void;
  readonly #timer: NodeJS.Timeout;
  /** When the piece that is under way was handed over; null when none is. */
  #began: number | null = null;
  #bytes = 0;

  /** `leastRate`: bytes a second. A piece has `stallMilliseconds` in any case. */
  constructor(stallMilliseconds: number, leastRate: number, giveUp: (problem: string) => void) {
    this.#stallMilliseconds = stallMilliseconds;
    this.#leastRate = leastRate;
    this.#giveUp = giveUp;
    this.#timer = setInterval(() => this.#look(), Math.max(10, stallMilliseconds / 4)).unref();
  }

  /** Whether a piece is under way. */
  get waits(): boolean {
    return this.#began !== null;
  }

  /** A piece of `bytes` is under way until `writing` ends. */
  async during(bytes: number, writing: Promise<void>): Promise<void> {
    const began = performance.now();
    this.#began = began;
    this.#bytes = bytes;
    try {
      await writing;
    } finally {
      this.lastMilliseconds = performance.now() - began;
      this.#began = null;
    }
  }

  /** The connection was silent for `stallMilliseconds`. */
  stalled(): void {
    this.#giveUp(`the client took nothing for ${this.#stallMilliseconds / 1000} seconds`);
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /** Who takes a byte now and then is never silent, and would keep its place and its memory for ever. */
  #look(): void {
    if (this.#began === null) return;
    const allowed = Math.max(this.#stallMilliseconds, (this.#bytes / this.#leastRate) * 1000);
    const elapsed = performance.now() - this.#began;
    if (elapsed > allowed)
      this.#giveUp(`the client took less than ${this.#bytes} bytes in ${Math.round(elapsed) / 1000} seconds`);
  }
}
