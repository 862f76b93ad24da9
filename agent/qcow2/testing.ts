/** What the tests of the qcow2 reader share: images made by QEMU's tools, images made by hand, readers over bytes. */
import { execFile, execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Failure, type FailureCode } from '../../shared/failure.ts';
import type { RandomReader, SourceStream } from '../source/source.ts';
import type { Qcow2Image } from './qcow2.ts';
import type { Qcow2Sink } from './stream.ts';

export const skipWithoutQemu = findQemu();

function findQemu(): string | false {
  try {
    for (const tool of ['qemu-img', 'qemu-io']) execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs qemu-img and qemu-io (apt install qemu-utils)';
  }
}

const runFile = promisify(execFile);

export async function qemuImg(...args: readonly string[]): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await runFile('qemu-img', args);
      return;
    } catch (error) {
      // For LUKS it counts the CPU time of its thread, which goes backwards on some virtual machines.
      if (tries === 50 || !String(error).includes('accurate CPU usage')) throw error;
    }
  }
}

/** Runs qemu-io's commands on `file`, which keep going through discards. */
export async function qemuIo(file: string, ...commands: readonly string[]): Promise<void> {
  const args = commands.flatMap((command) => ['-c', command]);
  await runFile('qemu-io', ['-d', 'unmap', '-f', 'qcow2', ...args, file]);
}

export function randomBytes(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed | 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** A disk's content: stretches of noise, of text that packs well, and of zeros, at sector boundaries. */
export function sampleDisk(length: number, seed: number): Buffer {
  const disk = Buffer.alloc(length);
  const choices = randomBytes(4096, seed);
  let at = 0;
  for (let turn = 0; at < length; turn = (turn + 3) % 4093) {
    const size = 512 * (1 + ((choices[turn] ?? 0) << ((choices[turn + 1] ?? 0) % 4)));
    const stretch = disk.subarray(at, Math.min(length, at + size));
    const kind = (choices[turn + 2] ?? 0) % 4;
    if (kind === 0) stretch.set(randomBytes(stretch.length, turn + seed));
    if (kind === 1) stretch.fill(`stretch ${turn} of a disk that packs well; `);
    at += size;
  }
  return disk;
}

/** Bytes as a medium; remembers the largest read and the bytes read in all. */
export class BytesReader implements RandomReader {
  readonly #bytes: Uint8Array;
  readonly size: number;
  largest = 0;
  total = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.largest = Math.max(this.largest, into.length);
    const part = this.#bytes.subarray(position, position + into.length);
    into.set(part);
    this.total += part.length;
    return part.length;
  }
}

/** Calls `use` with a reader of `file`. */
export async function withFile<Result>(file: string, use: (reader: RandomReader) => Promise<Result>) {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const read = async (into: Uint8Array, position: number) =>
      (await handle.read(into, 0, into.length, position)).bytesRead;
    return await use({ size, read });
  } finally {
    await handle.close();
  }
}

/** `bytes` in order, at most `chunk` per read. */
export function streamOf(bytes: Uint8Array, chunk = 100_000): SourceStream {
  let at = 0;
  return {
    read: async (into) => {
      const part = bytes.subarray(at, at + Math.min(chunk, into.length));
      into.set(part);
      at += part.length;
      return part.length;
    },
    close: async () => {},
  };
}

/** Puts a disk together and checks that every byte comes once. */
export class CollectingSink implements Qcow2Sink {
  disk = Buffer.alloc(0);
  #written = new Uint8Array(0);
  zeroBytes = 0;
  dataBytes = 0;

  async begin(header: { readonly virtualSize: number }): Promise<void> {
    this.disk = Buffer.alloc(header.virtualSize, 0xee);
    this.#written = new Uint8Array(header.virtualSize);
  }

  async data(offset: number, bytes: Uint8Array): Promise<void> {
    this.#mark(offset, bytes.length);
    this.disk.set(bytes, offset);
    this.dataBytes += bytes.length;
  }

  async zero(offset: number, length: number): Promise<void> {
    this.#mark(offset, length);
    this.disk.fill(0, offset, offset + length);
    this.zeroBytes += length;
  }

  get complete(): boolean {
    return !this.#written.includes(0);
  }

  #mark(offset: number, length: number): void {
    if (length <= 0 || offset < 0 || offset + length > this.disk.length) throw new Error('outside the disk');
    const marks = this.#written.subarray(offset, offset + length);
    if (marks.includes(1)) throw new Error(`bytes near ${offset} were given twice`);
    marks.fill(1);
  }
}

/** The whole disk, read in pieces of `step` bytes, four at a time, into shared memory. */
export async function readAll(image: Qcow2Image, step = 1 << 20): Promise<Buffer> {
  const disk = Buffer.from(new SharedArrayBuffer(image.size)).fill(0xee);
  const starts = Array.from({ length: Math.ceil(image.size / step) }, (_, index) => index * step);
  const take = async () => {
    for (let start = starts.shift(); start !== undefined; start = starts.shift()) {
      const into = disk.subarray(start, start + step);
      const count = await image.read(into, start);
      if (count !== into.length) throw new Error(`read ${count} of ${into.length} bytes`);
    }
  };
  await Promise.all([take(), take(), take(), take()]);
  return disk;
}

/** A second-level entry; with subclusters, its bitmap follows (zeros in the upper half, data in the lower). */
export type Entry = bigint | readonly [bigint, bigint];

export interface HandMade {
  readonly version?: number;
  readonly clusterBits?: number;
  readonly virtualSize?: bigint;
  readonly features?: bigint;
  readonly headerLength?: number;
  readonly compressionType?: number;
  /** Written after the header. */
  readonly extensions?: readonly { readonly type: number; readonly data: Uint8Array }[];
  /** Table cluster number (the first one is `tablesFrom`) of each first-level entry; null for none. */
  readonly l1?: readonly (bigint | null)[];
  /** Second-level tables, each a cluster, from cluster `tablesFrom`. */
  readonly tables?: readonly (readonly Entry[])[];
  /** Clusters by their number. */
  readonly clusters?: Readonly<Record<number, Uint8Array>>;
  readonly totalClusters?: number;
  readonly edit?: (view: DataView) => void;
}

/** In an image made by hand: cluster 0 is the header, 1 the first-level table, the tables follow. */
export const tablesFrom = 2;
export const copied = 1n << 63n;
export const compressed = 1n << 62n;

/** Builds an image as described, whether it makes sense or not. */
export function handMade(made: HandMade): Uint8Array {
  const { version = 3, clusterBits = 9, features = 0n, tables = [], clusters = {}, l1 = [] } = made;
  const size = 2 ** clusterBits;
  const last = Math.max(tablesFrom + tables.length - 1, ...Object.keys(clusters).map(Number));
  const bytes = new Uint8Array((made.totalClusters ?? last + 1) * size);
  const view = new DataView(bytes.buffer);
  const wide = (features & (1n << 4n)) !== 0n;
  const span = BigInt(size) * BigInt(size / (wide ? 16 : 8));
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, version);
  view.setUint32(20, clusterBits);
  view.setBigUint64(24, made.virtualSize ?? span * BigInt(l1.length));
  view.setUint32(36, l1.length);
  view.setBigUint64(40, BigInt(size));
  const headerLength = made.headerLength ?? (version === 2 ? 72 : 112);
  if (version > 2) {
    view.setBigUint64(72, features);
    view.setUint32(96, 4);
    view.setUint32(100, headerLength);
    view.setUint8(104, made.compressionType ?? 0);
  }
  let at = headerLength;
  for (const { type, data } of made.extensions ?? []) {
    view.setUint32(at, type);
    view.setUint32(at + 4, data.length);
    bytes.set(data, at + 8);
    at += 8 + Math.ceil(data.length / 8) * 8;
  }
  l1.forEach((table, index) => {
    if (table !== null) view.setBigUint64(size + index * 8, copied | (table * BigInt(size)));
  });
  tables.forEach((entries, table) => {
    entries.forEach((entry, index) => {
      const place = (tablesFrom + table) * size + index * (wide ? 16 : 8);
      view.setBigUint64(place, typeof entry === 'bigint' ? entry : entry[0]);
      if (typeof entry !== 'bigint') view.setBigUint64(place + 8, entry[1]);
    });
  });
  for (const [number, content] of Object.entries(clusters)) bytes.set(content, Number(number) * size);
  made.edit?.(view);
  return bytes;
}

/** The failure that `attempt` meets; throws what is no Failure, and when there is none. */
export async function failureOf(attempt: () => unknown): Promise<Failure> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('expected a failure');
}

/** Codes that damaged bytes may lead to. */
export const damage: readonly FailureCode[] = ['IMAGE_CORRUPT', 'IMAGE_TRUNCATED', 'IMAGE_UNSUPPORTED'];
