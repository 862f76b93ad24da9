/**
 * What readers see of a file on its way: those who wait for its bytes read them while they come; the last of them only
 * once the digest of all is right, so that nobody can take a wrong file for a finished one.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { Content } from '../http/file.ts';
import { codeOf } from './words.ts';

/** Bytes at the end that are held back until the whole is verified. */
const heldBack = 64 * 1024;

type State =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'coming' }
  | { readonly kind: 'verified' }
  | { readonly kind: 'failed'; readonly error: unknown };

/** What readers see of a transfer; it may be there before anything came. */
export class Incoming {
  readonly sha256: string | null;
  total: number | null;
  /** Grows when everything begins anew: what was read before is void then. */
  generation = 0;
  #available = 0;
  #state: State = { kind: 'waiting' };
  #partial: string | null = null;
  #waiters: (() => void)[] = [];

  constructor(sha256: string | null, total: number | null) {
    this.sha256 = sha256;
    this.total = total;
  }

  begin(partial: string): void {
    this.#partial = partial;
    this.#state = { kind: 'coming' };
    this.#wake();
  }

  advance(available: number, total: number | null): void {
    if (available < this.#available) this.generation++;
    this.#available = available;
    this.total = total ?? this.total;
    this.#wake();
  }

  /** `path` is where the whole lies now. */
  succeed(path: string, size: number): void {
    this.#partial = path;
    this.#available = size;
    this.total = size;
    this.#state = { kind: 'verified' };
    this.#wake();
  }

  fail(error: unknown): void {
    this.#state = { kind: 'failed', error };
    this.#wake();
  }

  /** Resolves when the length is known or will never be; rejects when the transfer failed. */
  async ready(signal: AbortSignal): Promise<void> {
    while (
      this.#state.kind === 'waiting' ||
      (this.#state.kind === 'coming' && this.total === null && this.#available === 0)
    )
      await this.#change(signal);
    if (this.#state.kind === 'failed') throw this.#state.error;
  }

  /** The bytes as a content that can be sent while they come. */
  content(): Content {
    const generation = this.generation;
    let file: FileHandle | null = null;
    const size = this.total;
    return {
      size,
      modified: null,
      etags: this.sha256 === null ? [] : [`"${this.sha256}"`],
      sha256: this.sha256,
      read: async (into, position, signal) => {
        const count = await this.#wait(position, into.length, generation, signal);
        if (count === 0) return 0;
        file ??= await this.#open(signal);
        const { bytesRead } = await file.read(into, 0, count, position);
        if (this.generation !== generation) throw begunAnew();
        return bytesRead;
      },
      close: async () => {
        await file?.close();
        file = null;
      },
    };
  }

  /** How many bytes at `position` may be read, 0 at the end. */
  async #wait(position: number, most: number, generation: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      signal.throwIfAborted();
      if (this.generation !== generation) throw begunAnew();
      if (this.#state.kind === 'failed') throw this.#state.error;
      const verified = this.#state.kind === 'verified';
      const shown = verified ? this.#available : this.#available - heldBack;
      if (position < shown) return Math.min(most, shown - position);
      if (verified) return 0;
      await this.#change(signal);
    }
  }

  async #open(signal: AbortSignal): Promise<FileHandle> {
    for (;;) {
      if (this.#partial === null) throw new Error('nothing came yet');
      const path = this.#partial;
      try {
        return await open(path, 'r');
      } catch (error) {
        // Between getting its final name and telling of it.
        if (codeOf(error) !== 'ENOENT') throw error;
        if (this.#partial === path && this.#state.kind === 'coming') await this.#change(signal);
        else if (this.#partial === path) throw error;
      }
    }
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        signal.removeEventListener('abort', stop);
        resolve();
      };
      const stop = (): void => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== wake);
        reject(signal.reason);
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      this.#waiters.push(wake);
    });
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

const begunAnew = () => new Error('the transfer began anew');
