/** SHA-256 of an open file, computed by a thread of its own: requests and packets do not wait for it. */
import { createHash, type Hash } from 'node:crypto';
import { read } from 'node:fs';
import { Worker } from 'node:worker_threads';

/** Shorter files are not worth a thread. */
const leastForThread = 4 << 20;
const pieceBytes = 1 << 20;

export interface Digested {
  /** Bytes up to the end of the file, or one piece more than were expected. */
  readonly bytes: number;
  readonly sha256: string;
}

/** Reads by positions of the descriptor that it is given; tells how far it is, and at last the digest. */
const digester = `
const { parentPort, workerData } = require('node:worker_threads');
const { readSync } = require('node:fs');
const { createHash } = require('node:crypto');
const { descriptor, size, pieceBytes } = workerData;
const hash = createHash('sha256');
const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, Math.max(size, 1)));
let bytes = 0;
try {
  for (let told = 0; bytes <= size; ) {
    const count = readSync(descriptor, piece, 0, piece.length, bytes);
    if (count === 0) break;
    hash.update(piece.subarray(0, count));
    bytes += count;
    if (bytes - told >= 16 * pieceBytes) parentPort.postMessage({ done: (told = bytes) });
  }
  parentPort.postMessage({ bytes, sha256: hash.digest('hex') });
} catch (error) {
  parentPort.postMessage({ problem: error });
}`;

type Told =
  | { readonly done: number }
  | { readonly bytes: number; readonly sha256: string }
  | { readonly problem: Error };

/**
 * Digest of what `descriptor` holds, `size` bytes as far as is known. `descriptor` is used by nobody any more when
 * this ends. Rejects with a system error or the signal's reason.
 */
export async function digestOf(
  descriptor: number,
  size: number,
  signal: AbortSignal,
  progress: (done: number) => void,
): Promise<Digested> {
  signal.throwIfAborted();
  const workerData = { descriptor, size, pieceBytes };
  const limits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 };
  const worker = new Worker(digester, { eval: true, workerData, resourceLimits: limits });
  try {
    return await new Promise<Digested>((resolve, reject) => {
      const stop = () => reject(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      worker.on('error', reject);
      worker.on('exit', () => {
        signal.removeEventListener('abort', stop);
        reject(new Error('the thread ended early'));
      });
      worker.on('message', (told: Told) => {
        if ('problem' in told) reject(told.problem);
        else if ('done' in told) progress(told.done);
        else resolve(told);
      });
    });
  } finally {
    // It may be reading: only when it is over is the descriptor free.
    await worker.terminate();
  }
}

export const isWorthThread = (size: number): boolean => size >= leastForThread;

/** Threads that follow files at once; more files than that are digested by the main thread. */
const mostFollowers = 4;
let followers = 0;
/** A thread is told of what was written after so many bytes. */
const tellEvery = 1 << 20;

/** Reads what was written so far, by positions of the descriptor; the last message asks for the digest. */
const follower = `
const { parentPort, workerData } = require('node:worker_threads');
const { readSync } = require('node:fs');
const { createHash } = require('node:crypto');
const { descriptor, pieceBytes } = workerData;
const hash = createHash('sha256');
const piece = Buffer.allocUnsafeSlow(pieceBytes);
let bytes = 0;
parentPort.on('message', ({ upTo, last }) => {
  try {
    while (bytes < upTo) {
      const count = readSync(descriptor, piece, 0, Math.min(piece.length, upTo - bytes), bytes);
      if (count === 0) throw new Error('the file became shorter while it was written');
      hash.update(piece.subarray(0, count));
      bytes += count;
    }
    if (last) parentPort.postMessage({ bytes, sha256: hash.digest('hex') });
  } catch (error) {
    parentPort.postMessage({ problem: error });
  }
});`;

/**
 * SHA-256 of a file that is written from its start on, while it is written: a thread reads what is there behind the
 * writer, so that the main thread hands bytes on and does not compute. What is digested is what lies in the file.
 */
export class FollowedDigest {
  readonly #descriptor: number;
  #here: Hash | null = createHash('sha256');
  #worker: Worker | null = null;
  #result: Promise<string> | null = null;
  #bytes = 0;
  #told = 0;

  /** `descriptor` must be readable, and stay open until `close` has answered. */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** `piece` was written after everything before it. */
  wrote(piece: Uint8Array): void {
    this.#here?.update(piece);
    this.#grow(piece.length);
  }

  /** So many bytes lie in the file already. Before anything was written. */
  async begin(bytes: number, signal: AbortSignal): Promise<void> {
    this.#grow(bytes);
    if (this.#here === null) return;
    const { piece, hash } = { piece: Buffer.allocUnsafe(pieceBytes), hash: this.#here };
    for (let position = 0; position < bytes; ) {
      signal.throwIfAborted();
      const count = await readSome(
        this.#descriptor,
        piece,
        Math.min(piece.length, bytes - position),
        position,
      );
      if (count === 0) throw new Error('the file became shorter while it was read');
      hash.update(piece.subarray(0, count));
      position += count;
    }
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    if (this.#worker === null && this.#bytes >= leastForThread && followers < mostFollowers && this.#here)
      this.#start();
    if (this.#worker !== null && this.#bytes - this.#told >= tellEvery) this.#tell(false);
  }

  #start(): void {
    followers += 1;
    const workerData = { descriptor: this.#descriptor, pieceBytes };
    const limits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 };
    const worker = new Worker(follower, { eval: true, workerData, resourceLimits: limits });
    this.#worker = worker;
    this.#here = null;
    this.#result = new Promise<string>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', () => reject(new Error('the thread ended early')));
      worker.on('message', (told: Told) => {
        if ('problem' in told) reject(told.problem);
        else if ('sha256' in told) resolve(told.sha256);
      });
    });
    // Whoever asks for the digest meets it.
    this.#result.catch(() => {});
  }

  #tell(last: boolean): void {
    this.#told = this.#bytes;
    this.#worker?.postMessage({ upTo: this.#bytes, last });
  }

  /** The digest of everything, once. Rejects with a system error or the signal's reason. */
  async digest(signal?: AbortSignal): Promise<string> {
    signal?.throwIfAborted();
    if (this.#here !== null) return this.#here.digest('hex');
    const result = this.#result;
    if (result === null) throw new Error('the digest was closed');
    this.#tell(true);
    if (signal === undefined) return result;
    return new Promise<string>((resolve, reject) => {
      const stop = () => reject(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      result.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    });
  }

  /** Ends it; only then is the descriptor free. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    this.#result = null;
    if (worker === null) return;
    await worker.terminate();
    followers -= 1;
  }
}

function readSome(descriptor: number, into: Buffer, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, into, 0, length, position, (error, count) => (error ? reject(error) : resolve(count)));
  });
}
