import { failure } from '../../shared/failure.ts';
import type { Bottleneck } from '../../shared/flash/event.ts';
import type { SourceStream } from '../source/source.ts';
import type { Chunk, Expectation } from './chunk.ts';
import { Digester } from './digester.ts';
import type { FlashPlan } from './plan.ts';
import {
  type Filled,
  type Meter,
  type PackedSource,
  produceExtents,
  producePacked,
  produceRaw,
} from './produce.ts';
import { produceQcow2 } from './produceqcow2.ts';
import { type Piece, RangeCheck } from './rangecheck.ts';
import { Ring } from './ring.ts';
import type { TargetWriter } from './writer.ts';

export interface PassResult {
  /** SHA-256 of the stored bytes, null when it was not computed. */
  readonly sha256: string | null;
  /** What the disks must hold now. */
  readonly expected: readonly Expectation[];
  readonly storedBytes: number;
  readonly imageBytes: number;
}

export interface PassOptions {
  readonly slots: number;
  readonly slotBytes: number;
  readonly signal: AbortSignal;
  /** Ticks with a full ring and an idle disk after which the slow disk goes its own way; 0 never. */
  readonly patience: number;
  readonly onEvict: (writer: TargetWriter) => void;
}

const hashOnly = { sha256: true, xxh64: false, zero: false };

/**
 * One traversal of the source: bytes are read, unpacked, hashed and handed to every disk that takes part. A disk
 * that is much slower than the others leaves the pass and gets one of its own, so that it stalls nobody.
 */
export class Pass {
  readonly digester = new Digester();
  readonly meter: Meter = { storedBytes: 0, doing: 'reading' };
  imageBytes = 0;
  readonly #plan: FlashPlan;
  readonly #options: PassOptions;
  readonly #ring: Ring;
  readonly #expected: Expectation[] = [];
  readonly #abort = new AbortController();
  readonly #ranges: RangeCheck | undefined;
  #writers: TargetWriter[] = [];
  readonly #strikes = new Map<TargetWriter, number>();
  #sequence = 0;
  #end = 0;
  #error: unknown;

  constructor(plan: FlashPlan, options: PassOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#ring = Ring.create(options.slots, options.slotBytes);
    if (plan.sha256.compute || plan.verify !== 'none' || plan.sparse || plan.blockMap) this.digester.warm();
    if (plan.blockMap) this.#ranges = new RangeCheck(plan.blockMap, plan.image, this.digester);
    options.signal.addEventListener('abort', this.#cancelled);
  }

  /** The disks that take part now. */
  get writers(): readonly TargetWriter[] {
    return this.#writers;
  }

  /** What limits the speed at this moment. */
  get bottleneck(): Bottleneck {
    if (this.#ring.taken >= this.#ring.slots - 1) {
      return this.digester.backlog > this.#ring.slots / 2 ? 'hash' : 'disk';
    }
    return this.meter.doing === 'unpacking' ? 'decompress' : 'source';
  }

  /**
   * Reads the source to its end. `prepare` is called once with the first image bytes, before any is written, and
   * gives the disks. Rejects with the source's failure; resolves when every chunk was handed out.
   */
  async run(prepare: (head: Uint8Array) => Promise<readonly TargetWriter[]>): Promise<PassResult> {
    const stream = await this.#plan.source.open(this.#abort.signal);
    try {
      const handed: Promise<void>[] = [];
      let prepared = false;
      for await (const filled of this.#produce(stream)) {
        if (this.#error) throw this.#error;
        if (!prepared) {
          prepared = true;
          const head = filled.slot === null ? new Uint8Array(0) : this.#view(filled.slot, 0, filled.length);
          this.#writers = [...(await prepare(head))];
        }
        if (this.#writers.length === 0) break;
        handed.push(...this.#hand(filled));
        if (handed.length > 256) await Promise.all(handed.splice(0, 128));
      }
      if (!prepared) throw failure('IMAGE_EMPTY', { image: this.#plan.image });
      await Promise.all(handed);
      if (this.#error) throw this.#error;
      if (this.#plan.reading.kind !== 'extents') this.#ranges?.checkSize(this.#end, true);
      this.#account(this.#plan.blockMap?.imageSize ?? this.#end);
      await this.#restOfStored(stream);
      const sha256 =
        this.#plan.sha256.compute && this.#writers.length > 0 ? await this.digester.finish() : null;
      const { imageBytes } = this;
      return { sha256, expected: this.#expected, storedBytes: this.meter.storedBytes, imageBytes };
    } catch (error) {
      throw this.#error ?? error;
    } finally {
      this.#options.signal.removeEventListener('abort', this.#cancelled);
      await stream.close();
    }
  }

  /** Called a few times a second: disks find their depth; one that holds up the others leaves. */
  tick(): void {
    for (const writer of this.#writers) writer.tick();
    this.#writers = this.#writers.filter((writer) => !writer.failed);
    if (this.#writers.length === 0 && this.#sequence > 0) {
      this.#stop(undefined);
      return;
    }
    if (this.#options.patience === 0) return;
    const full = this.#ring.taken >= this.#ring.slots - 1;
    const someIdle = this.#writers.some((writer) => writer.idle);
    for (const writer of this.#writers) {
      const strikes = full && someIdle && !writer.idle ? (this.#strikes.get(writer) ?? 0) + 1 : 0;
      this.#strikes.set(writer, strikes);
      if (strikes < this.#options.patience) continue;
      this.#writers = this.#writers.filter((other) => other !== writer);
      writer.detach(this.#sequence);
      this.#options.onEvict(writer);
    }
  }

  /** Frees threads and memory; after `run` has settled and the read-back is over. */
  async close(): Promise<void> {
    this.#ring.close();
    await this.digester.close();
  }

  readonly #cancelled = () => this.#stop(this.#options.signal.reason);

  #stop(reason: unknown): void {
    this.#error ??= reason;
    this.#abort.abort(reason);
    this.#ring.close();
  }

  #produce(stream: SourceStream): AsyncIterable<Filled> {
    const { reading } = this.#plan;
    switch (reading.kind) {
      case 'raw':
        return produceRaw(stream, this.#ring, this.meter);
      case 'packed':
        return producePacked({ ...this.#packed(stream), packed: reading.packed }, this.#ring, this.meter);
      case 'qcow2':
        return produceQcow2({ ...this.#packed(stream), packed: reading.packed }, this.#ring, this.meter);
      case 'extents':
        return produceExtents(
          reading.reader,
          reading.reader.extents(0, reading.reader.size),
          this.#ring,
          this.meter,
        );
    }
  }

  #packed(stream: SourceStream): Omit<PackedSource, 'packed'> {
    const { image, sha256 } = this.#plan;
    const digester = sha256.compute ? this.digester : null;
    return { stream, image, digester, signal: this.#abort.signal };
  }

  #hand(filled: Filled): Promise<void>[] {
    const { slot, offset, length } = filled;
    this.#end = Math.max(this.#end, offset + length);
    if (slot === null) {
      this.#give({ offset, length, bytes: null, zero: true, zeros: [], xxh64: 0n }, () => {});
      return [];
    }
    const hashed = this.#plan.reading.kind === 'raw' && this.#plan.sha256.compute;
    const ranges = this.#ranges;
    if (!ranges) {
      return [this.#digest(slot, { offset, start: 0, length }, hashed, () => this.#ring.release(slot))];
    }
    ranges.checkSize(this.#end, false);
    const fail = (error: unknown) => this.#stop(error);
    const { pieces, checked } = ranges.look(this.#ring, slot, offset, length, fail);
    // The digest of what is stored also covers what the map leaves out.
    const looks = [checked, ...(hashed ? [this.#hash(slot, length)] : [])];
    let open = pieces.length + looks.length;
    const release = () => {
      if (--open === 0) this.#ring.release(slot);
    };
    return [
      ...looks.map((look) => look.finally(release)),
      ...pieces.map((piece) => this.#digest(slot, piece, false, release)),
    ];
  }

  /** Adds a slot to the digest of what is stored. */
  async #hash(slot: number, length: number): Promise<void> {
    try {
      await this.digester.slot(this.#ring, slot, { start: 0, length }, hashOnly);
    } catch (error) {
      this.#stop(error);
    }
  }

  async #digest(slot: number, piece: Piece, hashed: boolean, release: () => void): Promise<void> {
    const { verify, sparse } = this.#plan;
    const wanted = { sha256: hashed, xxh64: verify !== 'none', zero: sparse };
    try {
      const needed = wanted.sha256 || wanted.xxh64 || wanted.zero;
      const found = needed
        ? await this.digester.slot(this.#ring, slot, piece, wanted)
        : { xxh64: 0n, zero: false, zeros: [] };
      const { offset, start, length } = piece;
      const bytes = sparse && found.zero ? null : this.#view(slot, start, length);
      if (bytes) this.#give({ offset, length, bytes, ...found }, release);
      else {
        release();
        this.#give({ offset, length, bytes, ...found }, () => {});
      }
    } catch (error) {
      release();
      this.#stop(error);
    }
  }

  #give(part: Omit<Chunk, 'sequence'>, release: () => void): void {
    const chunk: Chunk = { sequence: this.#sequence++, ...part };
    const { bytes: _bytes, sequence: _sequence, zeros: _zeros, ...expectation } = chunk;
    this.#expected.push(expectation);
    this.imageBytes += chunk.length;
    let open = this.#writers.length;
    if (open === 0) release();
    const done = () => {
      if (--open === 0) release();
    };
    for (const writer of [...this.#writers]) writer.offer(chunk, done);
  }

  /** Tells the disks how much the block map left out. */
  #account(total: number): void {
    if (!this.#plan.blockMap) return;
    for (const writer of this.#writers) {
      // The ends of the disk are written as a whole, with zeros where the map names nothing.
      const cleared = writer.held.regions.reduce(
        (sum, { offset, length }) => sum + this.#unmapped(offset, Math.min(offset + length, total)),
        0,
      );
      writer.skip(total - this.imageBytes, cleared);
    }
    this.imageBytes = total;
  }

  /** Bytes between `start` and `end` that the block map does not name. */
  #unmapped(start: number, end: number): number {
    let left = Math.max(0, end - start);
    for (const range of this.#plan.blockMap?.ranges ?? []) {
      left -= Math.max(0, Math.min(end, range.offset + range.length) - Math.max(start, range.offset));
    }
    return left;
  }

  /** Where the image was read by its extents, a wanted digest still needs all stored bytes. */
  async #restOfStored(stream: SourceStream): Promise<void> {
    const { reading, sha256 } = this.#plan;
    if (reading.kind !== 'extents' || !sha256.compute) return;
    for (;;) {
      const slot = await this.#ring.take();
      const view = this.#ring.view(slot);
      const length = await stream.read(view);
      const piece = { offset: 0, start: 0, length };
      if (length > 0) await this.digester.slot(this.#ring, slot, piece, hashOnly);
      this.#ring.release(slot);
      if (length === 0) return;
    }
  }

  #view(slot: number, start: number, length: number): Uint8Array {
    return this.#ring.view(slot).subarray(start, start + length);
  }
}
