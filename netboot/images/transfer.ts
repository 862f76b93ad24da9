/** One file on its way from a server into the cache, verified; readers see it as `Incoming`. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { redacted } from '../../shared/address.ts';
import { Failure, failure } from '../../shared/failure.ts';
import { FollowedDigest } from './digest.ts';
import type { Incoming } from './incoming.ts';
import type { Origin } from './manifest.ts';
import { piecesOf } from './pieces.ts';
import { openRemote } from './remote.ts';
import { checkFree, freeBytes, Watch } from './room.ts';
import { codeOf, problemOf } from './words.ts';

const mostAttempts = 6;

export interface TransferOptions {
  readonly origin: Origin;
  readonly partial: string;
  readonly folder: string;
  /** Null when nobody knows: the digest is found out then. */
  readonly sha256: string | null;
  /** Null when nobody knows. */
  readonly size: number | null;
  /** Rejects when a file of so many bytes is more than the images may take; answers how many more it may have. */
  readonly admit?: (bytes: number) => Promise<number>;
  readonly signal: AbortSignal;
  readonly progress: (done: number, total: number | null) => void;
  /** Milliseconds before the second attempt; doubled for each further one. */
  readonly backoff?: number;
  readonly idle?: number;
}

/** Failures after which what is there is of no use, or has no room. */
const hopeless: ReadonlySet<string> = new Set([
  'DIGEST_MISMATCH',
  'SOURCE_LENGTH',
  'STORE_FULL',
  'STORE_QUOTA',
]);

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
    const running = new Transfer(options, incoming, handle);
    return await running.run().finally(() => running.end());
  } catch (error) {
    const code = error instanceof Failure ? error.code : null;
    if (code !== null && hopeless.has(code)) {
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
  #digest: FollowedDigest;
  readonly #watch: Watch;
  #done = 0;
  #etag: string | null = null;
  /** Bytes that an earlier run of the program left, which may be of another version. */
  #inherited = 0;

  constructor(options: TransferOptions, incoming: Incoming, handle: FileHandle) {
    this.#options = options;
    this.#incoming = incoming;
    this.#handle = handle;
    this.#digest = new FollowedDigest(handle.fd);
    this.#watch = new Watch((bytes) => this.#admit(bytes));
  }

  end(): Promise<void> {
    return this.#digest.close();
  }

  async run(): Promise<Transferred> {
    await this.#inherit();
    this.#incoming.begin(this.#options.partial);
    this.#tell(this.#options.size);
    for (;;) {
      await this.#fetchAll();
      const sha256 = await this.#digest.digest(this.#options.signal);
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
    await this.#digest.begin(size, this.#options.signal);
    this.#done = size;
    this.#inherited = size;
  }

  async #startOver(): Promise<void> {
    await this.#digest.close();
    await this.#handle.truncate(0);
    this.#digest = new FollowedDigest(this.#handle.fd);
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

  /** Whether so many more bytes have room; answers how many more than these have. */
  async #admit(bytes: number): Promise<number> {
    const { folder, admit } = this.#options;
    const left = await checkFree(folder, bytes);
    return Math.min(left, (await admit?.(this.#done + bytes)) ?? left);
  }

  /** Checks a length that the source told, and whether there is room for it. */
  async #expect(total: number | null): Promise<void> {
    const { size } = this.#options;
    if (size !== null && total !== null && size !== total) {
      throw failure('SOURCE_LENGTH', { url: this.#shown, expected: size, actual: total });
    }
    const all = total ?? size;
    if (all !== null) await this.#admit(Math.max(0, all - this.#done));
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
    if (total === null) await this.#watch.take(piece.length);
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
    this.#digest.wrote(piece);
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
