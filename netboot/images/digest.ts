/** SHA-256 of an open file, computed by a thread of its own: requests and packets do not wait for it. */
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
