/** What the tests of unpackers share: a writer that collects bytes, sample data, a driver that cuts the input. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, type FailureCode } from '../../shared/failure.ts';
import type { SlotWriter, Unpacker } from './unpacker.ts';

/** Collects what an unpacker writes, in slots of `slotSize` bytes. */
export class CollectingWriter implements SlotWriter {
  readonly #slot: Uint8Array;
  readonly #limit: number;
  readonly #parts: Uint8Array[] = [];
  #used = 0;
  #total = 0;

  /** Throws a plain Error once more than `limit` bytes arrive. */
  constructor(slotSize = 1 << 20, limit = 1 << 28) {
    this.#slot = new Uint8Array(new SharedArrayBuffer(slotSize));
    this.#limit = limit;
  }

  space(): Uint8Array {
    if (this.#used === this.#slot.length) this.#flush();
    return this.#slot.subarray(this.#used);
  }

  advance(count: number): void {
    if (count < 0 || this.#used + count > this.#slot.length) throw new Error('wrote past the slot');
    this.#used += count;
    this.#total += count;
    if (this.#total > this.#limit) throw new Error('wrote more than the test allows');
  }

  get total(): number {
    return this.#total;
  }

  bytes(): Buffer {
    this.#flush();
    return Buffer.concat(this.#parts);
  }

  #flush(): void {
    this.#parts.push(Uint8Array.from(this.#slot.subarray(0, this.#used)));
    this.#used = 0;
  }
}

export interface UnpackOptions {
  /** Bytes per push; a list is cycled through. */
  readonly chunk?: number | readonly number[];
  readonly slotSize?: number;
  readonly limit?: number;
}

/** Sends `stored` through `unpacker` and returns the image bytes; always closes it. */
export async function unpackAll(
  unpacker: Unpacker,
  stored: Uint8Array,
  options: UnpackOptions = {},
): Promise<Buffer> {
  const chunks = typeof options.chunk === 'object' ? options.chunk : [options.chunk ?? 1 << 16];
  const out = new CollectingWriter(options.slotSize, options.limit);
  try {
    // One buffer for all pushes, overwritten after each, proves that an unpacker keeps no view of its input.
    const input = new Uint8Array(Math.max(1, ...chunks));
    let turn = 0;
    for (let at = 0; at < stored.length; turn++) {
      const size = Math.min(chunks[turn % chunks.length] ?? 1, stored.length - at);
      input.set(stored.subarray(at, at + size));
      await unpacker.push(input.subarray(0, size), out);
      input.fill(0xa5);
      at += size;
    }
    await unpacker.finish(out);
    return out.bytes();
  } finally {
    await unpacker.close();
  }
}

/** The sizes that every format is tried with. */
export const sampleSizes = [0, 1, 511, 512, 513, (1 << 20) - 1, 1 << 20, 3_333_333] as const;

/** Bytes that do not compress, the same for the same `seed`. */
export function randomBytes(length: number, seed = 1): Buffer {
  const out = Buffer.alloc(length);
  let state = seed | 1;
  for (let at = 0; at < length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[at] = state >>> 11;
  }
  return out;
}

/** Bytes like those of a disk image: text, code-like repetition, zeros and a little noise. */
export function imageBytes(length: number, seed = 1): Buffer {
  const out = Buffer.alloc(length);
  const noise = randomBytes(4096, seed);
  let at = 0;
  for (let turn = 0; at < length; turn++) {
    const pick = noise[turn % noise.length] ?? 0;
    const size = 1 + ((pick * 197 + turn * 31) % 9000);
    const part = out.subarray(at, Math.min(length, at + size));
    if (pick % 4 === 0) part.fill(0);
    else if (pick % 4 === 1) part.fill(`line ${turn} of some file, ${pick} words; `);
    else if (pick % 4 === 2) part.fill(noise.subarray(pick, pick + 24));
    else randomBytes(part.length, turn + seed).copy(part);
    at += part.length;
  }
  return out;
}

/** Short digest for comparing buffers without printing them. */
export function digest(bytes: Uint8Array): string {
  return `${bytes.length}:${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}

/** Runs a reference tool with `input` on its standard input and returns its standard output. */
export function run(tool: string, args: readonly string[], input: Uint8Array): Buffer {
  return execFileSync(tool, args, { input, maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'ignore'] });
}

/** False when `tool` is on the PATH; otherwise the reason for skipping a test. */
export function missing(tool: string, debianPackage = tool): false | string {
  const found = (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, tool)));
  return found ? false : `needs ${tool} (apt install ${debianPackage})`;
}

/** Asserts that `unpacking` rejects with one of the failures `codes`. */
export async function failsWith(
  unpacking: Promise<unknown>,
  ...codes: readonly FailureCode[]
): Promise<Failure> {
  const error = await unpacking.then(
    () => new Error('it was unpacked without complaint'),
    (reason: unknown) => reason,
  );
  if (error instanceof Failure && codes.includes(error.code)) return error;
  throw error;
}

/** `bytes` with one bit of the byte at `position` turned over. */
export function damaged(bytes: Uint8Array, position: number, bit = 3): Buffer {
  const copy = Buffer.from(bytes);
  copy[position] = (copy[position] ?? 0) ^ (1 << bit);
  return copy;
}
