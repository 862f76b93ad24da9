/**
 * One file on its way from a server into the cache. Those who wait for its bytes read them while they come; the last
 * of them only once the digest of all is right, so that nobody can take a wrong file for a finished one.
 */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { redacted } from '../../shared/address.ts';
import { Failure, failure } from '../../shared/failure.ts';
import type { Content } from '../http/file.ts';
import type { Origin } from './manifest.ts';
import { piecesOf } from './pieces.ts';
import { openRemote } from './remote.ts';
import { checkFree, freeBytes } from './room.ts';
import { codeOf, problemOf } from './words.ts';

/** Bytes at the end that are held back until the whole is verified. */
const heldBack = 64 * 1024;
const mostAttempts = 6;

export interface TransferOptions {
  readonly origin: Origin;
  readonly partial: string;
  readonly folder: string;
  /** Null when nobody knows: the digest is found out then. */
  readonly sha256: string | null;
  /** Null when nobody knows. */
  readonly size: number | null;
  readonly signal: AbortSignal;
  readonly progress: (done: number, total: number | null) => void;
  /** Milliseconds before the second attempt; doubled for each further one. */
  readonly backoff?: number;
  readonly idle?: number;
}

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

export interface Transferred {
  readonly sha256: string;
  readonly size: number;
}

/**
 * Brings all bytes into `partial`, which may hold some already, and verifies them. Rejects with DIGEST_MISMATCH,
 * SOURCE_LENGTH, STORE_FULL, CACHE_FAILED, a failure of the source, or the signal's reason. What is there stays for
 * the next time unless it is wrong or does not fit.
 */
export async function transfer(options: TransferOptions, incoming: Incoming): Promise<Transferred> {
  const handle = await open(options.partial, 'a+', 0o644);
  try {
    return await new Transfer(options, incoming, handle).run();
  } catch (error) {
    const code = error instanceof Failure ? error.code : null;
    if (code === 'DIGEST_MISMATCH' || code === 'SOURCE_LENGTH' || code === 'STORE_FULL') {
      await rm(options.partial, { force: true });
    }
    throw error;
  } finally {
    await handle.close();
  }
}

class Transfer {
  readonly #options: TransferOptions;
  readonly #incoming: Incoming;
  readonly #handle: FileHandle;
  #hash: Hash = createHash('sha256');
  #done = 0;
  #etag: string | null = null;
  /** Bytes that an earlier run of the program left, which may be of another version. */
  #inherited = 0;

  constructor(options: TransferOptions, incoming: Incoming, handle: FileHandle) {
    this.#options = options;
    this.#incoming = incoming;
    this.#handle = handle;
  }

  async run(): Promise<Transferred> {
    await this.#inherit();
    this.#incoming.begin(this.#options.partial);
    this.#tell(this.#options.size);
    for (;;) {
      await this.#fetchAll();
      const sha256 = this.#hash.copy().digest('hex');
      const expected = this.#options.sha256;
      if (expected === null || sha256 === expected) {
        await this.#handle.sync();
        return { sha256, size: this.#done };
      }
      if (this.#inherited === 0) {
        throw failure('DIGEST_MISMATCH', { image: this.#shown, expected, actual: sha256 });
      }
      await this.#startOver();
    }
  }

  get #shown(): string {
    const { origin } = this.#options;
    return origin.kind === 'http' ? redacted(origin.url) : origin.path;
  }

  async #inherit(): Promise<void> {
    const { size } = await this.#handle.stat();
    const expected = this.#options.size;
    if (size === 0) return;
    // Without a digest to check against in the end, nothing proves that the rest belongs to it.
    if (this.#options.sha256 === null || (expected !== null && size > expected)) return this.#startOver();
    for await (const piece of piecesOf(this.#handle, this.#options.signal)) {
      this.#hash.update(piece);
      this.#done += piece.length;
    }
    this.#inherited = this.#done;
  }

  async #startOver(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = createHash('sha256');
    this.#done = 0;
    this.#inherited = 0;
    this.#etag = null;
    this.#tell(this.#options.size);
  }

  async #fetchAll(): Promise<void> {
    const { origin, signal, backoff = 500 } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const before = this.#done;
      try {
        return await (origin.kind === 'file' ? this.#copy(origin.path) : this.#fetch(origin.url));
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error)) throw error;
        // As long as it gets on, it goes on.
        if (this.#done > before) attempt = 1;
        if (attempt >= mostAttempts) throw error;
        await pause(backoff * 2 ** (attempt - 1), undefined, { signal });
      }
    }
  }

  async #copy(path: string): Promise<void> {
    if (this.#done > 0) await this.#startOver();
    const source = await open(path, 'r').catch((error: unknown) => {
      throw failure('SOURCE_READ_FAILED', { image: path, offset: 0, problem: problemOf(error) }, error);
    });
    try {
      const { size } = await source.stat();
      await this.#expect(size);
      for await (const piece of piecesOf(source, this.#options.signal)) await this.#take(piece, size);
    } finally {
      await source.close();
    }
  }

  async #fetch(url: string): Promise<void> {
    const { signal, idle, size } = this.#options;
    if (size !== null && this.#done === size) return;
    const asked = { signal, from: this.#done, etag: this.#etag, ...(idle === undefined ? {} : { idle }) };
    let opened: Awaited<ReturnType<typeof openRemote>>;
    try {
      opened = await openRemote(url, asked);
    } catch (error) {
      // Everything is here already, or the file is shorter now than what is here.
      const gone =
        error instanceof Failure && error.code === 'SOURCE_HTTP_STATUS' && error.details.status === 416;
      if (!gone || this.#done === 0) throw error;
      await this.#startOver();
      opened = await openRemote(url, { ...asked, from: 0, etag: null });
    }
    const { body, total, from, etag } = opened;
    try {
      if (from !== this.#done || (this.#etag !== null && etag !== this.#etag)) await this.#startOver();
      if (from !== this.#done) throw failure('SOURCE_CHANGED', { url: this.#shown, offset: from });
      this.#etag = etag;
      await this.#expect(total);
      for await (const piece of body as AsyncIterable<Buffer>) await this.#take(piece, total ?? size);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Failure) throw error;
      throw failure(
        'SOURCE_DROPPED',
        { url: this.#shown, offset: this.#done, problem: problemOf(error) },
        error,
      );
    } finally {
      body.destroy();
    }
    const promised = total ?? size;
    if (promised !== null && this.#done < promised) {
      const problem = `the connection ended, ${promised} bytes were promised`;
      throw failure('SOURCE_DROPPED', { url: this.#shown, offset: this.#done, problem });
    }
  }

  /** Checks a length that the source told, and whether there is room for it. */
  async #expect(total: number | null): Promise<void> {
    const { size, folder } = this.#options;
    if (size !== null && total !== null && size !== total) {
      throw failure('SOURCE_LENGTH', { url: this.#shown, expected: size, actual: total });
    }
    const all = total ?? size;
    if (all !== null) await checkFree(folder, all - this.#done);
    this.#tell(all);
  }

  async #take(piece: Buffer, total: number | null): Promise<void> {
    const { folder, signal } = this.#options;
    signal.throwIfAborted();
    if (total !== null && this.#done + piece.length > total) {
      throw failure('SOURCE_LENGTH', {
        url: this.#shown,
        expected: total,
        actual: this.#done + piece.length,
      });
    }
    this.#hash.update(piece);
    try {
      for (let written = 0; written < piece.length; ) {
        written += (await this.#handle.write(piece, written, piece.length - written)).bytesWritten;
      }
    } catch (error) {
      if (codeOf(error) !== 'ENOSPC' && codeOf(error) !== 'EDQUOT') {
        throw failure('CACHE_FAILED', { cache: folder, problem: problemOf(error) }, error);
      }
      const free = await freeBytes(folder).catch(() => 0);
      throw failure(
        'STORE_FULL',
        { folder, needed: (total ?? this.#done + piece.length) - this.#done, free },
        error,
      );
    }
    this.#done += piece.length;
    this.#tell(total);
  }

  #tell(total: number | null): void {
    this.#incoming.advance(this.#done, total);
    this.#options.progress(this.#done, total);
  }
}

/** True for what may be over in a moment. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof Failure)) return false;
  switch (error.code) {
    case 'SOURCE_UNREACHABLE':
    case 'SOURCE_DROPPED':
      return true;
    case 'SOURCE_HTTP_STATUS': {
      const status = Number(error.details.status);
      return status === 408 || status === 429 || status >= 500;
    }
    default:
      return false;
  }
}
