/** Helpers of the tests beside the sources. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import type { SourceStream } from './source.ts';

export const run = promisify(execFile);

/** A directory that is removed after the test. */
export async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bty-source-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Bytes that do not repeat, the same in every run. */
export function noise(length: number, seed = 1): Uint8Array {
  const random = seeded(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < words.length; index++) words[index] = random() * 4294967296;
  return new Uint8Array(words.buffer, 0, length);
}

/** All that is left in `stream`, read in amounts of at most `amount` bytes. */
export async function drain(stream: SourceStream, amount = 64 * 1024): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(amount);
    const count = await stream.read(into);
    if (count === 0) return Buffer.concat(chunks);
    chunks.push(into.subarray(0, count));
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal;
