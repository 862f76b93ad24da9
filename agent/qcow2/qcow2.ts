/** Random access to the disk inside a qcow2 image. Only reads; memory is bounded whatever the image says. */
import { failure } from '../../shared/failure.ts';
import { type RandomReader, readFully } from '../source/source.ts';
import { decompressCluster } from './decompress.ts';
import { Gate } from './gate.ts';
import { format, parseHeader, type Qcow2Header } from './header.ts';
import { letGo } from './letgo.ts';
import { type CompressedRun, join, type Run, type TableContext, tableOffsets, tableRuns } from './table.ts';

export interface Extent {
  /** First byte on the disk and length, in bytes. */
  readonly offset: number;
  readonly length: number;
  readonly kind: 'data' | 'zero';
}

/** The disk inside the image: `size` is its virtual size, reads past it resolve 0. */
export interface Qcow2Image extends RandomReader {
  readonly header: Qcow2Header;
  readonly virtualSize: number;
  /** What a person should know of the image. */
  readonly notes: readonly string[];
  /**
   * What lies between the disk's bytes `start` and `end`, in order, without gaps, neighbours of one kind merged.
   * `zero` extents read as zeros without any access to the file. Throws IMAGE_CORRUPT or IMAGE_TRUNCATED.
   */
  extents(start?: number, end?: number): AsyncIterable<Extent>;
}

/** Bytes of second-level tables that are kept, yet at least four tables. */
const tableBudget = 2 * 2 ** 20;
const tablesLeast = 4;
/** Unpacked clusters kept for reads that take only a part of one. */
const partsKept = 2;
/** Neighbouring compressed clusters are fetched together up to this many bytes. */
const batchBytes = 512 * 2 ** 10;
const fetchesAtOnce = 8;
/** Node's thread pool has four threads: enough to keep them busy. */
const unpacksAtOnce = 8;

/** Opens the image in `reader`. Rejects with a Failure when it is damaged or of a kind that bty does not read. */
export async function openQcow2(reader: RandomReader, image: string): Promise<Qcow2Image> {
  const start = await readFully(reader, 0, Math.min(reader.size, 4096));
  const early = parseHeader(start, image);
  const cluster = await readFully(reader, 0, Math.min(reader.size, early.clusterSize));
  const header = cluster.length > start.length ? parseHeader(cluster, image) : early;
  const context: TableContext = { header, image, storedSize: reader.size };
  const l1Bytes = header.l1Entries * 8;
  if (header.l1Offset + l1Bytes > reader.size)
    throw failure('IMAGE_TRUNCATED', { image, format, offset: reader.size });
  const l1 = await readFully(reader, header.l1Offset, l1Bytes);
  if (l1.length < l1Bytes)
    throw failure('IMAGE_TRUNCATED', { image, format, offset: header.l1Offset + l1.length });
  return new Image(reader, context, tableOffsets(l1, context));
}

class Image implements Qcow2Image {
  readonly size: number;
  readonly virtualSize: number;
  readonly header: Qcow2Header;
  readonly notes: readonly string[];
  readonly #reader: RandomReader;
  readonly #context: TableContext;
  readonly #offsets: Float64Array;
  readonly #tables: Cache<DataView>;
  readonly #parts = new Cache<Uint8Array>(partsKept);
  readonly #fetches = new Gate(fetchesAtOnce);
  readonly #unpacks = new Gate(unpacksAtOnce);

  constructor(reader: RandomReader, context: TableContext, offsets: Float64Array) {
    this.#reader = reader;
    this.#context = context;
    this.#offsets = offsets;
    this.header = context.header;
    this.size = this.header.virtualSize;
    this.virtualSize = this.size;
    this.notes = this.header.notes;
    this.#tables = new Cache(Math.max(tablesLeast, Math.floor(tableBudget / this.header.clusterSize)));
  }

  async *extents(start = 0, end = this.size): AsyncGenerator<Extent> {
    let last: Extent | null = null;
    for await (const run of this.#runs(Math.max(0, start), Math.min(end, this.size))) {
      const kind = run.kind === 'zero' ? 'zero' : 'data';
      if (last !== null && last.kind === kind) {
        last = { offset: last.offset, length: last.length + run.length, kind };
      } else {
        if (last !== null) yield last;
        last = { offset: run.guest, length: run.length, kind };
      }
    }
    if (last !== null) yield last;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    const count = Math.max(0, Math.min(into.length, this.size - position));
    if (count === 0) return 0;
    const jobs: (() => Promise<void>)[] = [];
    let batch: CompressedRun[] = [];
    const flush = () => {
      const runs = batch;
      if (runs.length > 0) jobs.push(() => this.#unpackBatch(runs, into, position));
      batch = [];
    };
    for await (const run of this.#runs(position, position + count)) {
      const target = into.subarray(run.guest - position, run.guest - position + run.length);
      if (run.kind === 'zero') {
        target.fill(0);
      } else if (run.kind === 'data') {
        jobs.push(() => this.#readData(target, run.host));
      } else if (run.length < this.header.clusterSize) {
        jobs.push(() => this.#unpackPart(run, target));
      } else {
        if (!continues(batch, run)) flush();
        batch.push(run);
      }
    }
    flush();
    await runAll(jobs, this.#fetches);
    return count;
  }

  /** Merged runs from `from` to `to`, across tables. */
  async *#runs(from: number, to: number): AsyncGenerator<Run> {
    if (from >= to) return;
    const span = this.header.tableSpan;
    let last: Run | null = null;
    for (let index = Math.floor(from / span); index * span < to; index++) {
      const offset = this.#offsets[index] ?? 0;
      const table = offset === 0 ? null : await this.#table(offset);
      const start = Math.max(from, index * span);
      const end = Math.min(to, (index + 1) * span);
      for (const run of tableRuns(table, index * span, start, end, this.#context)) {
        const joined: Run | null = last === null ? null : join(last, run);
        if (last !== null && joined === null) yield last;
        last = joined ?? run;
      }
    }
    if (last !== null) yield last;
  }

  #table(offset: number): Promise<DataView> {
    return this.#tables.get(offset, async () => {
      const bytes = await this.#stored(offset, this.header.clusterSize);
      return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    });
  }

  /** `length` stored bytes, all of which the file must have. */
  async #stored(offset: number, length: number): Promise<Uint8Array> {
    const bytes = await readFully(this.#reader, offset, length);
    if (bytes.length < length) throw this.#truncated(offset + bytes.length);
    return bytes;
  }

  /** Fills `target` from the file; qemu lets the file end within its last cluster, whose rest reads as zeros. */
  async #readData(target: Uint8Array, host: number): Promise<void> {
    const present = Math.min(target.length, Math.max(0, this.#reader.size - host));
    let filled = 0;
    while (filled < present) {
      const count = await this.#reader.read(target.subarray(filled, present), host + filled);
      if (count === 0) throw this.#truncated(host + filled);
      filled += count;
    }
    target.fill(0, present);
  }

  async #unpackBatch(runs: readonly CompressedRun[], into: Uint8Array, position: number): Promise<void> {
    const first = runs[0];
    const last = runs[runs.length - 1];
    if (first === undefined || last === undefined) return;
    const end = Math.min(last.host + last.stored, this.#reader.size);
    const bytes = await this.#stored(first.host, end - first.host);
    const unpack = async (run: CompressedRun) => {
      const start = run.host - first.host;
      const cluster = await this.#unpack(bytes.subarray(start, start + run.stored), run);
      into.set(cluster, run.guest - position);
      letGo(cluster);
    };
    await runAll(
      runs.map((run) => () => unpack(run)),
      this.#unpacks,
    );
    letGo(bytes);
  }

  async #unpackPart(run: CompressedRun, target: Uint8Array): Promise<void> {
    const cluster = await this.#parts.get(run.host, async () => {
      const end = Math.min(run.host + run.stored, this.#reader.size);
      const bytes = await this.#stored(run.host, end - run.host);
      const unpacked = await this.#unpacks.run(() => this.#unpack(bytes, run));
      letGo(bytes);
      return unpacked;
    });
    target.set(cluster.subarray(run.skip, run.skip + run.length));
  }

  #unpack(bytes: Uint8Array, run: CompressedRun): Promise<Uint8Array> {
    const cut = run.host + run.stored > this.#reader.size;
    return decompressCluster(bytes, this.header, this.#context.image, run.host, cut);
  }

  #truncated(offset: number) {
    return failure('IMAGE_TRUNCATED', { image: this.#context.image, format, offset });
  }
}

/** True when `run` can be fetched together with `batch`: it follows in the file, within bounds. */
function continues(batch: readonly CompressedRun[], run: CompressedRun): boolean {
  const first = batch[0];
  const last = batch[batch.length - 1];
  if (first === undefined || last === undefined) return true;
  if (run.host < last.host || run.host > last.host + last.stored) return false;
  return run.host + run.stored - first.host <= batchBytes;
}

/**
 * Runs all `jobs` through `gate`, starts none after a failure, and rejects with the first one only when no job is
 * left running: nothing may write into the caller's memory after that.
 */
async function runAll(jobs: readonly (() => Promise<void>)[], gate: Gate): Promise<void> {
  let failed = false;
  const guarded = async (job: () => Promise<void>) => {
    if (failed) return;
    try {
      await job();
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  for (const result of await Promise.allSettled(jobs.map((job) => gate.run(() => guarded(job))))) {
    if (result.status === 'rejected') throw result.reason;
  }
}

/** Keeps the `limit` values used last; whoever asks for a value on its way waits for the same one. */
class Cache<Value> {
  readonly #limit: number;
  readonly #values = new Map<number, Promise<Value>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: number, load: () => Promise<Value>): Promise<Value> {
    const known = this.#values.get(key);
    this.#values.delete(key);
    const value = known ?? load();
    this.#values.set(key, value);
    if (known === undefined) value.catch(() => this.#values.delete(key));
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#limit) break;
      this.#values.delete(oldest);
    }
    return value;
  }
}
