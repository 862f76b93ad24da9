import { visible } from './visible.ts';

/** One line on standard error that tells how far a piece of work is; none where nobody watches. */
export class Meter {
  readonly #name: string;
  readonly #began = performance.now();
  #last = Number.NEGATIVE_INFINITY;
  #isOpen = false;

  constructor(name: string) {
    this.#name = visible(name);
  }

  show(bytes: number, total: number | null): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#last < 200) return;
    this.#last = now;
    this.#isOpen = true;
    const rate = bytes / 1e3 / Math.max(1, now - this.#began);
    const of = total ? ` of ${megabytes(total)} (${Math.floor((bytes / total) * 100)}%)` : '';
    // Carriage return, then "erase to the end of the line" (ECMA-48, EL).
    process.stderr.write(`\r${this.#name}: ${megabytes(bytes)}${of}, ${rate.toFixed(1)} MB/s\u001b[K`);
  }

  end(): void {
    if (this.#isOpen) process.stderr.write('\r\u001b[K');
    this.#isOpen = false;
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
