/** Who guesses passwords waits: longer after each wrong one. Decisions only; the caller brings the time. */

import ipaddr from 'ipaddr.js';

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

/** Who is counted as one: an IPv4 address, or the /64 of an IPv6 address, of which a single host has all. */
function guesserOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return `${parsed.toByteArray().slice(0, 8).join('.')}/64`;
}

export class Lockout {
  readonly #guessers = new Map<string, Guesser>();

  /** Milliseconds that `address` has to wait, 0 when it may try. */
  wait(address: string, now: number): number {
    const found = this.#known(guesserOf(address), now);
    return found ? Math.max(0, found.lockedUntil - now) : 0;
  }

  /** Notes a wrong password. Answers the milliseconds of the lock that this one began, 0 for none. */
  wrong(address: string, now: number): number {
    const guesser = guesserOf(address);
    const found = this.#known(guesser, now);
    const wrong = found && now - found.at < memory ? found.wrong + 1 : 1;
    const over = wrong - freeGuesses;
    const wait = over < 0 ? 0 : Math.min(longestWait, firstWait * 2 ** over);
    this.#guessers.delete(guesser);
    this.#guessers.set(guesser, { wrong, lockedUntil: now + wait, at: now });
    if (this.#guessers.size > most) {
      const [oldest] = this.#guessers.keys();
      if (oldest !== undefined) this.#guessers.delete(oldest);
    }
    return wait;
  }

  right(address: string): void {
    this.#guessers.delete(guesserOf(address));
  }

  /** The clock was set. */
  moveTime(by: number): void {
    for (const [guesser, { wrong, lockedUntil, at }] of this.#guessers)
      this.#guessers.set(guesser, { wrong, lockedUntil: lockedUntil + by, at: at + by });
  }

  /** A clock that was put back must not lengthen a lock: it begins anew at the time that it is now. */
  #known(guesser: string, now: number): Guesser | undefined {
    const found = this.#guessers.get(guesser);
    if (found === undefined || found.at <= now) return found;
    const moved = { wrong: found.wrong, lockedUntil: now + (found.lockedUntil - found.at), at: now };
    this.#guessers.set(guesser, moved);
    return moved;
  }
}
