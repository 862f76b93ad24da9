/** Who guesses passwords waits: longer after each wrong one. Decisions only; the caller brings the time. */

/** Wrong passwords from one address that cost nothing but themselves. */
export const freeGuesses = 5;
const firstWait = 30_000;
const longestWait = 15 * 60_000;
/** After this long without a wrong password an address is forgotten. */
const memory = 60 * 60_000;
/** Addresses that are remembered; beyond it the oldest is forgotten. */
const most = 10_000;

interface Guesser {
  readonly wrong: number;
  readonly lockedUntil: number;
  readonly at: number;
}

export class Lockout {
  readonly #guessers = new Map<string, Guesser>();

  /** Milliseconds that `address` has to wait, 0 when it may try. */
  wait(address: string, now: number): number {
    const found = this.#guessers.get(address);
    return found ? Math.max(0, found.lockedUntil - now) : 0;
  }

  /** Notes a wrong password. Answers the milliseconds of the lock that this one began, 0 for none. */
  wrong(address: string, now: number): number {
    const found = this.#guessers.get(address);
    const wrong = found && now - found.at < memory ? found.wrong + 1 : 1;
    const over = wrong - freeGuesses;
    const wait = over < 0 ? 0 : Math.min(longestWait, firstWait * 2 ** over);
    this.#guessers.delete(address);
    this.#guessers.set(address, { wrong, lockedUntil: now + wait, at: now });
    if (this.#guessers.size > most) {
      const [oldest] = this.#guessers.keys();
      if (oldest !== undefined) this.#guessers.delete(oldest);
    }
    return wait;
  }

  right(address: string): void {
    this.#guessers.delete(address);
  }
}
