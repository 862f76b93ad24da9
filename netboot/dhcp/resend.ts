/** Replies that the kernel had no room for go out again a little later. No sockets: who sends is handed in. */
import { isSystemError } from '../system/native.ts';

/** Milliseconds until a reply is sent again, try by try, and how many may wait at once. */
const waits = [50, 250, 1000] as const;
const usualMost = 2048;

/** Sends once, and tells how that went. */
export type Attempt = (done: (error: Error | null) => void) => void;

/**
 * When more machines are here than the kernel keeps neighbours (arp(7) gc_thresh3), it refuses even to send broadcasts
 * with ENOBUFS, until it has forgotten some of them: within seconds. The same when the queue of the interface is full.
 */
export class Resend {
  readonly #most: number;
  readonly #timers = new Set<NodeJS.Timeout>();
  #closed = false;

  constructor(most: number = usualMost) {
    this.#most = most;
  }

  /** `refused`: what is not sent, and whether it was for want of room. */
  send(attempt: Attempt, refused: (error: Error, full: boolean) => void): void {
    this.#try(attempt, refused, 0);
  }

  #try(attempt: Attempt, refused: (error: Error, full: boolean) => void, tries: number): void {
    attempt((error) => {
      if (error === null || this.#closed) return;
      const full = isSystemError(error, 'ENOBUFS');
      const wait = full && this.#timers.size < this.#most ? waits[tries] : undefined;
      if (wait === undefined) return refused(error, full);
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#try(attempt, refused, tries + 1);
      }, wait).unref();
      this.#timers.add(timer);
    });
  }

  /** Nothing goes out any more. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
