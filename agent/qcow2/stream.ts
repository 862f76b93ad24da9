/**
 * Reads a qcow2 image that arrives in order and cannot be sought in: a pipe, or the inside of `.qcow2.zst`.
 *
 * The format lets tables and data lie anywhere, so this works where tables come before what they describe.
 * `qemu-img convert` (7.2, looked at with -c, -W -m 16, compression_type=zstd, extended_l2, preallocation, clusters
 * of 512 bytes to 2 MiB) writes: header, reference counts, first-level table, then each second-level table right
 * before its data. With -c the rest of a half-filled cluster is used up first, so packed clusters may lie a little
 * before their table; with -W the data is in no order. An image that was made in place (preallocation=full, then
 * filled; clusters rewritten after a snapshot) has tables behind data: up to `unknownLimit` of it is kept.
 */
import { type Failure, failure } from '../../shared/failure.ts';
import type { SourceStream } from '../source/source.ts';
import { decompressCluster } from './decompress.ts';
import { format, parseHeader, type Qcow2Header } from './header.ts';
import { Heap } from './heap.ts';
import { letGo } from './letgo.ts';
import { type CompressedRun, type DataRun, type TableContext, tableOffsets, tableRuns } from './table.ts';
import { HostWindow } from './window.ts';

/** Where the disk's content goes, one call at a time; every byte of the disk is given exactly once. */
export interface Qcow2Sink {
  /** Called first, before any data; a rejection (the disk is too small) ends the reading. */
  begin(header: Qcow2Header): Promise<void>;
  /**
   * The disk has `bytes` at `offset`. Calls come in the order of the image file, not of the disk. `bytes` may be
   * reused as soon as this resolves.
   */
  data(offset: number, bytes: Uint8Array): Promise<void>;
  /** The disk reads as zeros for `length` bytes from `offset`; comes between calls of `data`. */
  zero(offset: number, length: number): Promise<void>;
}

/** Bytes kept of clusters whose table has not arrived. */
const unknownLimit = 64 * 2 ** 20;
/** Entries of the first-level table: 8 MiB, which describe 512 TiB in clusters of 64 KiB. */
const tablesLimit = 2 ** 20;
/** Stretches of the disk that wait for their bytes. */
const waitingLimit = 2 ** 19;
const unpacksAtOnce = 8;

/**
 * Reads the whole of `source`, which the caller closes, and gives the disk to `sink`. Rejects with
 * IMAGE_NOT_STREAMABLE when the image is laid out in an order that needs seeking, with what `openQcow2` rejects
 * with, and with what `source` and `sink` reject with.
 */
export async function streamQcow2(source: SourceStream, image: string, sink: Qcow2Sink): Promise<void> {
  const head = new Uint8Array(64 * 2 ** 10);
  let filled = 0;
  while (filled < head.length) {
    const count = await source.read(head.subarray(filled));
    if (count === 0) break;
    filled += count;
  }
  const ahead = head.subarray(0, filled);
  const header = parseHeader(ahead, image);
  if (header.l1Entries > tablesLimit)
    throw notStreamable(image, `its first-level table has ${header.l1Entries} entries`);
  await sink.begin(header);
  const window = new HostWindow(source, header.clusterSize, ahead);
  await new Stream(window, { header, image, storedSize: Number.POSITIVE_INFINITY }, sink).run();
}

interface Table {
  readonly offset: number;
  /** First guest byte that it describes. */
  readonly guest: number;
}

/** What waits for file bytes; `key`: its turn comes when the block with this byte is at hand. */
interface Waiting {
  readonly key: number;
  readonly run: DataRun | CompressedRun;
}

interface Outgoing {
  readonly guest: number;
  /** A promise where they are unpacked first; they are then nobody else's. */
  readonly bytes: Uint8Array | Promise<Uint8Array>;
}

class Stream {
  readonly #window: HostWindow;
  readonly #context: TableContext;
  readonly #header: Qcow2Header;
  readonly #sink: Qcow2Sink;
  readonly #l1: Uint8Array;
  #l1Missing: number;
  /** Tables that have not arrived, the next one last; null until the first-level table is complete. */
  #tables: Table[] | null = null;
  readonly #waiting = new Heap<Waiting>();
  #outgoing: Outgoing[] = [];

  constructor(window: HostWindow, context: TableContext, sink: Qcow2Sink) {
    this.#window = window;
    this.#context = context;
    this.#header = context.header;
    this.#sink = sink;
    this.#l1 = new Uint8Array(this.#header.l1Entries * 8);
    this.#l1Missing = this.#l1.length;
  }

  async run(): Promise<void> {
    const window = this.#window;
    while (await window.next()) {
      if (window.base === 0) window.use(0, 1);
      this.#collectFirstLevel();
      if (this.#tables === null && this.#l1Missing === 0) await this.#beginTables();
      await this.#readTables();
      await this.#deliver();
      if (this.#tables?.length === 0) {
        window.forget();
      } else {
        window.keep();
        if (window.keptBytes > unknownLimit)
          throw this.#unordered('more than 64 MiB of its clusters come before the tables that place them');
      }
    }
    await this.#finish();
  }

  #collectFirstLevel(): void {
    const { base, end, stored } = this.#window;
    const start = Math.max(base, this.#header.l1Offset);
    const stop = Math.min(end, stored, this.#header.l1Offset + this.#l1.length);
    if (start >= stop) return;
    const bytes = this.#window.bytes(start, stop - start);
    if (bytes === null) return;
    this.#l1.set(bytes, start - this.#header.l1Offset);
    this.#l1Missing -= stop - start;
    this.#window.use(start, stop - start);
  }

  async #beginTables(): Promise<void> {
    const { tableSpan, virtualSize } = this.#header;
    const tables: Table[] = [];
    let zeroFrom = 0;
    let guest = 0;
    for (const offset of tableOffsets(this.#l1, this.#context)) {
      if (offset !== 0) {
        tables.push({ offset, guest });
        if (guest > zeroFrom) await this.#sink.zero(zeroFrom, guest - zeroFrom);
        zeroFrom = guest + tableSpan;
      }
      guest += tableSpan;
    }
    if (virtualSize > zeroFrom) await this.#sink.zero(zeroFrom, virtualSize - zeroFrom);
    this.#tables = tables.sort((a, b) => b.offset - a.offset);
  }

  async #readTables(): Promise<void> {
    const { clusterSize, tableSpan, virtualSize } = this.#header;
    const tables = this.#tables ?? [];
    for (;;) {
      const table = tables.at(-1);
      if (table === undefined || table.offset >= this.#window.end) return;
      tables.pop();
      if (table.offset + clusterSize > this.#window.stored) throw this.#truncated();
      const bytes = this.#window.bytes(table.offset, clusterSize);
      if (bytes === null) throw this.#unordered(`the table at its byte ${table.offset} came too early`);
      this.#window.use(table.offset, clusterSize);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const end = Math.min(table.guest + tableSpan, virtualSize);
      for (const run of tableRuns(view, table.guest, table.guest, end, this.#context)) {
        if (run.kind === 'zero') {
          await this.#sink.zero(run.guest, run.length);
        } else {
          const key = run.kind === 'data' ? run.host : run.host + run.stored - 1;
          this.#waiting.push({ key, run });
          if (this.#waiting.size > waitingLimit)
            throw this.#unordered('its clusters are too far from their tables');
        }
      }
    }
  }

  /** Gives out everything whose bytes are at hand. */
  async #deliver(): Promise<void> {
    for (;;) {
      const next = this.#waiting.peek();
      if (next === undefined || next.key >= this.#window.end) break;
      this.#waiting.pop();
      if (next.run.kind === 'data') await this.#giveData(next.run);
      else await this.#giveCompressed(next.run);
    }
    await this.#flush(0);
  }

  async #giveData(run: DataRun): Promise<void> {
    const window = this.#window;
    const { clusterSize } = this.#header;
    let done = 0;
    while (done < run.length) {
      const host = run.host + done;
      const guest = run.guest + done;
      const rest = run.length - done;
      if (host >= window.end) {
        this.#waiting.push({ key: host, run: { kind: 'data', guest, length: rest, host } });
        return;
      }
      const length = Math.min(
        rest,
        host < window.base ? clusterSize - (host % clusterSize) : window.end - host,
      );
      await this.#give(guest, this.#bytes(host, length));
      window.use(host, length);
      done += length;
    }
  }

  async #giveCompressed(run: CompressedRun): Promise<void> {
    const stored = Math.min(run.stored, this.#window.stored - run.host);
    if (stored <= 0) throw this.#truncated();
    const bytes = this.#bytes(run.host, stored);
    this.#window.use(run.host, stored);
    const cut = stored < run.stored;
    const unpacked = decompressCluster(bytes, this.#header, this.#context.image, run.host, cut);
    const part = unpacked.then((cluster) => cluster.subarray(run.skip, run.skip + run.length));
    // A failure is met when its turn comes; until then it must not count as unhandled.
    part.catch(() => {});
    await this.#give(run.guest, part);
  }

  async #give(guest: number, bytes: Uint8Array | Promise<Uint8Array>): Promise<void> {
    this.#outgoing.push({ guest, bytes });
    await this.#flush(unpacksAtOnce - 1);
  }

  async #flush(left: number): Promise<void> {
    while (this.#outgoing.length > left) {
      const next = this.#outgoing.shift();
      if (!next) return;
      const bytes = await next.bytes;
      await this.#sink.data(next.guest, bytes);
      if (next.bytes !== bytes) letGo(bytes);
    }
  }

  #bytes(host: number, length: number): Uint8Array {
    const bytes = this.#window.bytes(host, length);
    if (bytes === null)
      throw this.#unordered(`the cluster at its byte ${host} came long before the table that places it`);
    return bytes;
  }

  /** The file has ended: what still waits is a packed cluster whose last sector is not complete, or missing. */
  async #finish(): Promise<void> {
    if (this.#tables === null && this.#l1Missing === 0) await this.#beginTables();
    if (this.#tables === null || this.#tables.length > 0) throw this.#truncated();
    for (;;) {
      const next = this.#waiting.pop();
      if (next === undefined) break;
      if (next.run.kind === 'data') throw this.#truncated();
      await this.#giveCompressed(next.run);
    }
    await this.#flush(0);
  }

  #truncated(): Failure {
    return failure('IMAGE_TRUNCATED', { image: this.#context.image, format, offset: this.#window.stored });
  }

  #unordered(reason: string): Failure {
    return notStreamable(this.#context.image, reason);
  }
}

function notStreamable(image: string, reason: string): Failure {
  return failure('IMAGE_NOT_STREAMABLE', { image, format, reason });
}
