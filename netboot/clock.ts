/**
 * The system's clock, whose jumps are noticed. A box without a clock of its own begins in 1970 and jumps to today when
 * the network answers; somebody sets a clock; a laptop sleeps. Nothing that runs may end for that, so time goes on as
 * before until everything that was noted with the old time was moved, and only then follows.
 */

/** Milliseconds of a difference that is no jump: clocks are steered by little steps. */
const tolerance = 2000;

export class Clock {
  readonly #wall: () => number;
  readonly #steady: () => number;
  #offset: number;

  /** `wall`: milliseconds since 1970. `steady`: milliseconds that never jump. */
  constructor(wall: () => number = Date.now, steady: () => number = () => performance.now()) {
    this.#wall = wall;
    this.#steady = steady;
    this.#offset = wall() - steady();
  }

  /** Milliseconds since 1970. */
  readonly now = (): number => {
    const [wall, expected] = [this.#wall(), this.#steady() + this.#offset];
    if (Math.abs(wall - expected) >= tolerance) return Math.round(expected);
    this.#offset += wall - expected;
    return wall;
  };

  /** Milliseconds by which the clock jumped, 0 when it did not. */
  get jump(): number {
    const by = this.#wall() - this.#steady() - this.#offset;
    return Math.abs(by) < tolerance ? 0 : Math.round(by);
  }

  /** From now on it tells the new time, `by` milliseconds from the old one. */
  follow(by: number): void {
    this.#offset += by;
  }
}
