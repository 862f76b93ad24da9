/**
 * Unpacks bzip2: blocks are cut out of the stream by their magics and decoded on all cores, then checked and
 * written in order. The format is described in "BZIP2: Format Specification" (Joe Tsai, 2016).
 */
import { type Failure, failure } from '../../shared/failure.ts';
import { blockSlack, decodedBlock } from './bzip2block.ts';
import { type BlockJob, BlockPool } from './bzip2pool.ts';
import { expandRuns } from './bzip2runs.ts';
import { bitsAt, type Mark, magicAt, magicBits, scan, startsMagic } from './bzip2scan.ts';
import type { SlotWriter, Unpacker } from './unpacker.ts';

/**
 * Most stored bytes that one block may take. 900 000 codes of 20 bits and the largest tables take 2.3 MiB; only
 * tables that go up and down for no reason could take more.
 */
const storedBlockLimit = 4 << 20;
/** Most stored bytes to keep while waiting for a block; only bits made to look like magics lead there. */
const storedLimit = 32 << 20;
/** Fewest bits of a block: its header, one range of bytes, two tables of three codes, one byte, the end. */
const shortestBlock = 174;

export interface Bzip2Options {
  /** Worker threads beside this one; by default one fewer than cores, at most 7. With 0, all is done in this thread. */
  readonly workers?: number;
}

/**
 * Unpacker for bzip2, any number of streams. The checksums of every block and stream are verified. Throws
 * IMAGE_CORRUPT, IMAGE_TRUNCATED, and IMAGE_UNSUPPORTED for the randomised blocks of bzip2 before 0.9.5.
 */
export function bzip2Unpacker(image: string, options: Bzip2Options = {}): Unpacker {
  return new Bzip2Unpacker(image, options);
}

/**
 * A block under way: `cut` where the next magic starts, `extended` to as much as one block may take, or the
 * `rest` of the image.
 */
interface Block {
  readonly job: BlockJob;
  /** Bits before the first bit of the job's input. */
  readonly base: number;
  readonly extent: 'cut' | 'extended' | 'rest';
}

/** What the next step of the image needs. */
type Need = 'input' | 'nothing' | Block;

class Bzip2Unpacker implements Unpacker {
  readonly #image: string;
  readonly #pool: BlockPool;

  /** Stored bytes that are still needed, the first of which is byte `#base` of the image. */
  #stored = new Uint8Array(1 << 20);
  #view = new DataView(this.#stored.buffer);
  #length = 0;
  #base = 0;
  /** Where the next look for magics is due, in `#stored`. */
  #look = 0;
  #finishing = false;

  /** Magics that were found and not passed yet, by their bits in the image, in order. */
  #marks: Mark[] = [];
  /** How many of `#marks` were considered for decoding ahead. */
  #considered = 0;
  readonly #blocks = new Map<number, Block>();

  /** The bit of the image that is to be understood next. */
  #bit = 0;
  #stage: 'header' | 'block' = 'header';
  #streams = 0;
  #blockSize = 0;
  #combined = 0;

  constructor(image: string, { workers }: Bzip2Options) {
    this.#image = image;
    this.#pool = new BlockPool(workers);
  }

  async push(input: Uint8Array, out: SlotWriter): Promise<void> {
    this.#append(input);
    for (;;) {
      const scanned = this.#decodeAhead();
      const need = this.#proceed(out);
      if (scanned || need === 'input' || need === 'nothing') return;
      await this.#pool.wait(need.job);
    }
  }

  async finish(out: SlotWriter): Promise<void> {
    this.#finishing = true;
    for (;;) {
      this.#decodeAhead();
      const need = this.#proceed(out);
      if (need === 'nothing') return;
      if (need === 'input') {
        const offset = this.#base + this.#length;
        throw failure('IMAGE_TRUNCATED', { image: this.#image, format: 'bz2', offset });
      }
      await this.#pool.wait(need.job);
    }
  }

  async close(): Promise<void> {
    await this.#pool.close();
    this.#blocks.clear();
    this.#stored = new Uint8Array(0);
    this.#view = new DataView(this.#stored.buffer);
  }

  #append(input: Uint8Array): void {
    const passed = Math.floor(this.#bit / 8) - this.#base;
    if (passed > 0 && this.#length + input.length + blockSlack > this.#stored.length) {
      this.#stored.copyWithin(0, passed, this.#length);
      this.#length -= passed;
      this.#base += passed;
      this.#look = Math.max(0, this.#look - passed);
    }
    const needed = this.#length + input.length + blockSlack;
    if (needed > this.#stored.length) {
      const larger = new Uint8Array(Math.ceil(needed / (1 << 20)) * 1.5 * (1 << 20));
      larger.set(this.#stored.subarray(0, this.#length));
      this.#stored = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#stored.set(input, this.#length);
    this.#length += input.length;
  }

  /** Hands blocks to the pool until it is full; returns true if all stored bytes were looked through. */
  #decodeAhead(): boolean {
    for (;;) {
      while (this.#considered + 1 < this.#marks.length && !this.#patient) {
        if (this.#pool.full || this.#length - this.#local / 8 > storedLimit) return false;
        const mark = this.#marks[this.#considered++];
        const next = this.#marks[this.#considered];
        if (mark?.kind !== 'block' || !next || this.#blocks.has(mark.bit)) continue;
        if (next.bit - mark.bit >= shortestBlock) this.#decode(mark.bit, next.bit, 'cut');
      }
      const found: Mark[] = [];
      const from = this.#look;
      this.#look = scan(this.#view, from, this.#length, found);
      for (const { kind, bit } of found) {
        const mark = { kind, bit: this.#base * 8 + bit };
        const last = this.#marks.at(-1);
        if (mark.bit >= this.#bit && (!last || mark.bit > last.bit)) this.#marks.push(mark);
      }
      if (found.length === 0) return true;
    }
  }

  /** True while at most one block and its end are known: that is no reason yet to start workers. */
  get #patient(): boolean {
    if (this.#finishing || !this.#pool.cold || this.#marks.length > 2) return false;
    return this.#endBit - this.#bit < storedBlockLimit * 8;
  }

  #decode(bit: number, end: number, extent: Block['extent']): Block {
    const first = Math.floor(bit / 8);
    const bytes = this.#stored.subarray(first - this.#base, Math.ceil(end / 8) - this.#base);
    const job = this.#pool.decode(bytes, bit - first * 8, end - first * 8, this.#finishing);
    const block: Block = { job, base: first * 8, extent };
    this.#blocks.set(bit, block);
    return block;
  }

  /** Goes on as far as it can without waiting, and says what it waits for. */
  #proceed(out: SlotWriter): Need {
    for (;;) {
      const need = this.#stage === 'header' ? this.#header() : this.#block(out);
      if (need) return need;
    }
  }

  get #endBit(): number {
    return (this.#base + this.#length) * 8;
  }

  /** `#bit` as a position in `#stored`. */
  get #local(): number {
    return this.#bit - this.#base * 8;
  }

  #header(): Need | null {
    const at = this.#local / 8;
    const left = this.#length - at;
    if (left === 0 && this.#streams > 0) return 'nothing';
    const magic = 'BZh';
    for (let index = 0; index < Math.min(left, 3); index++) {
      if (this.#stored[at + index] === magic.charCodeAt(index)) continue;
      throw this.#corrupt(
        this.#streams === 0 ? 'it does not start with a stream' : 'no stream follows the last one',
      );
    }
    if (left < 4) return 'input';
    const level = (this.#stored[at + 3] ?? 0) - 0x30;
    if (level < 1 || level > 9) throw this.#corrupt('a stream has a wrong block size');
    this.#blockSize = level * 100_000;
    this.#combined = 0;
    this.#stage = 'block';
    this.#pass(this.#bit + 32);
    return null;
  }

  #block(out: SlotWriter): Need | null {
    const left = this.#endBit - this.#bit;
    if (!startsMagic(this.#view, this.#local, Math.min(left, magicBits))) {
      throw this.#corrupt('neither a block nor the end of the stream follows');
    }
    if (left < magicBits) return 'input';
    if (magicAt(this.#view, this.#local) === 'end') {
      if (left < magicBits + 32) return 'input';
      this.#endStream();
      return null;
    }
    const block = this.#blocks.get(this.#bit) ?? this.#decodeNow();
    if (block === 'input') return 'input';
    const { result } = block.job;
    if (!result) return block;
    switch (result.kind) {
      case 'short':
        return this.#retry(block);
      case 'randomised': {
        const feature = 'randomised blocks (bzip2 before 0.9.5)';
        throw failure('IMAGE_UNSUPPORTED', { image: this.#image, format: 'bz2', feature });
      }
      case 'damaged':
        throw this.#corrupt(result.problem);
      case 'decoded':
        if (result.length > this.#blockSize)
          throw this.#corrupt('a block is longer than its stream announces');
        this.#combined = (((this.#combined << 1) | (this.#combined >>> 31)) ^ result.crc) >>> 0;
        this.#write(block.job, result, out);
        this.#pass(block.base + result.end);
        return null;
    }
  }

  /** Starts decoding the block at `#bit`, which was not decoded ahead. */
  #decodeNow(): Block | 'input' {
    if (this.#patient) return 'input';
    const next = this.#marks.find(({ bit }) => bit > this.#bit);
    return next ? this.#decode(this.#bit, next.bit, 'cut') : this.#decodeMore();
  }

  /** Starts decoding the block at `#bit` with all that one block may take, as soon as that is there. */
  #decodeMore(): Block | 'input' {
    const limit = this.#bit + storedBlockLimit * 8;
    if (this.#endBit >= limit) return this.#decode(this.#bit, limit, 'extended');
    return this.#finishing ? this.#decode(this.#bit, this.#endBit, 'rest') : 'input';
  }

  /** A block that needs more bits was cut by bits in it that look like a magic, or it is damaged or cut off. */
  #retry(block: Block): Need {
    if (block.extent === 'extended') throw this.#corrupt('a block does not end');
    if (block.extent === 'rest') {
      if (this.#marks.some(({ bit }) => bit > this.#bit))
        throw this.#corrupt('a block runs into what follows it');
      return 'input';
    }
    const more = this.#decodeMore();
    if (more !== 'input') this.#pool.release(block.job);
    return more;
  }

  #write(job: BlockJob, { length, runs }: { length: number; runs: number }, out: SlotWriter): void {
    const { bytes, counts } = decodedBlock(job.decoded);
    expandRuns(bytes.subarray(0, length), counts.subarray(0, runs), out);
  }

  #endStream(): void {
    const at = this.#local + magicBits;
    const stored = ((bitsAt(this.#view, at, 16) << 16) | bitsAt(this.#view, at + 16, 16)) >>> 0;
    if (stored !== this.#combined) throw this.#corrupt('stream checksum differs');
    this.#streams++;
    this.#stage = 'header';
    this.#pass(Math.ceil((this.#bit + magicBits + 32) / 8) * 8);
  }

  /** Goes on at `bit`; what lies before it is no longer needed. */
  #pass(bit: number): void {
    this.#bit = bit;
    let passed = 0;
    for (const mark of this.#marks) {
      if (mark.bit >= bit) break;
      const block = this.#blocks.get(mark.bit);
      if (block) this.#pool.release(block.job);
      this.#blocks.delete(mark.bit);
      passed++;
    }
    this.#marks.splice(0, passed);
    this.#considered = Math.max(0, this.#considered - passed);
  }

  #corrupt(problem: string): Failure {
    const offset = Math.floor(this.#bit / 8);
    return failure('IMAGE_CORRUPT', { image: this.#image, format: 'bz2', problem, offset });
  }
}
