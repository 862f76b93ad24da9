/** Machines whose try was left out under load. Some firmware asks twice and gives up: nobody is left out two times in a row. */

const usualMost = 16_384;

export class LeftOut {
  readonly #clients = new Set<string>();
  readonly #most: number;

  /** `most`: clients that are remembered; the oldest is forgotten first. */
  constructor(most = usualMost) {
    this.#most = most;
  }

  /** Whether this try of `client` may be left out; then the next one may not. */
  add(client: string): boolean {
    if (this.#clients.delete(client)) return false;
    this.#clients.add(client);
    if (this.#clients.size > this.#most) this.#clients.delete(this.#clients.values().next().value ?? '');
    return true;
  }
}
