/** Helpers of tests: directories, bytes and waiting for what happens. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

/** A directory that is removed after the test. */
export async function temporaryDirectory(context: Pick<TestContext, 'after'>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bty-netboot-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Bytes that do not repeat, the same in every run (mulberry32). */
export function noise(length: number, seed = 1): Buffer {
  let state = seed >>> 0;
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < words.length; index++) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    words[index] = (mixed ^ (mixed >>> 14)) >>> 0;
  }
  return Buffer.from(words.buffer, 0, length);
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Waits until `holds` gives something true, looking every few milliseconds; rejects after `milliseconds`. Only what is
 * wrong lasts that long, so that a machine that is slow and busy is waited for.
 */
export async function until<T>(
  what: string,
  holds: () => T | Promise<T>,
  milliseconds = 180_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + milliseconds;
  for (;;) {
    const found = await holds();
    if (found) return found as NonNullable<Exclude<T, false>>;
    if (performance.now() > end) throw new Error(`waited ${milliseconds} ms in vain until ${what}`);
    await pause(5);
  }
}
