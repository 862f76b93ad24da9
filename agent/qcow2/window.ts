/** The part of an image file at hand while it arrives in order: two blocks of it, and single clusters kept longer. */
import type { SourceStream } from '../source/source.ts';

const blockBytes = 2 * 2 ** 20;
const blockClusters = 4;
/** Bytes of clusters that were used once and may be used again: compressed clusters share host clusters. */
const usedBudget = 16 * 2 ** 20;

export class HostWindow {
  readonly #source: SourceStream;
  readonly #clusterSize: number;
  /** The file up to here is in `#current` or passed; whole clusters, the last one padded with zeros. */
  end = 0;
  /** Where `#current` starts. */
  base = 0;
  /** Bytes that arrived so far. */
  stored = 0;
  #current: Uint8Array;
  #previous: Uint8Array;
  readonly #known: Uint8Array;
  #ahead: Uint8Array;
  readonly #unknown = new Map<number, Uint8Array>();
  readonly #used = new Map<number, Uint8Array>();

  /** `ahead`: bytes that were already read from `source`, at most one block. */
  constructor(source: SourceStream, clusterSize: number, ahead: Uint8Array) {
    this.#source = source;
    this.#clusterSize = clusterSize;
    const block = Math.max(blockBytes, blockClusters * clusterSize);
    this.#current = new Uint8Array(block);
    this.#previous = new Uint8Array(block);
    this.#known = new Uint8Array(block / clusterSize);
    this.#ahead = ahead;
  }

  /** Bytes of the clusters that `keep` holds. */
  get keptBytes(): number {
    return this.#unknown.size * this.#clusterSize;
  }

  /** Takes the next block; false at the end of the file, where the last block stays at hand. */
  async next(): Promise<boolean> {
    const block = this.#previous;
    block.set(this.#ahead);
    let filled = this.#ahead.length;
    this.#ahead = new Uint8Array(0);
    while (filled < block.length) {
      const count = await this.#source.read(block.subarray(filled));
      if (count === 0) break;
      filled += count;
    }
    if (filled === 0) return false;
    const padded = Math.ceil(filled / this.#clusterSize) * this.#clusterSize;
    block.fill(0, filled, padded);
    this.#previous = this.#current;
    this.#current = block;
    this.base = this.end;
    this.end = this.base + padded;
    this.stored += filled;
    this.#known.fill(0);
    return true;
  }

  /** The bytes from `host`, a view where possible, valid until `next`; null when they are no longer at hand. */
  bytes(host: number, length: number): Uint8Array | null {
    if (host >= this.base && host + length <= this.end)
      return this.#current.subarray(host - this.base, host - this.base + length);
    const joined = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const at = host + done;
      const start = Math.floor(at / this.#clusterSize) * this.#clusterSize;
      const cluster = this.#cluster(start);
      if (cluster === null) return null;
      const part = cluster.subarray(at - start, at - start + length - done);
      joined.set(part, done);
      done += part.length;
    }
    return joined;
  }

  /** Says that the bytes from `host` have found their use: their clusters need not be kept. */
  use(host: number, length: number): void {
    const size = this.#clusterSize;
    for (
      let start = Math.floor(host / size) * size;
      start < Math.min(host + length, this.end);
      start += size
    ) {
      if (start >= this.base) {
        this.#known[(start - this.base) / size] = 1;
        continue;
      }
      const cluster = this.#unknown.get(start);
      if (cluster === undefined) continue;
      this.#unknown.delete(start);
      this.#used.set(start, cluster);
    }
    for (const start of this.#used.keys()) {
      if (this.#used.size * size <= usedBudget) break;
      this.#used.delete(start);
    }
  }

  /** Keeps those clusters of the current block that have not been used. */
  keep(): void {
    const size = this.#clusterSize;
    for (let start = this.base; start < this.end; start += size) {
      if (this.#known[(start - this.base) / size] === 1) continue;
      this.#unknown.set(start, this.#current.slice(start - this.base, start - this.base + size));
    }
  }

  /** Lets go of all kept clusters. */
  forget(): void {
    this.#unknown.clear();
    this.#used.clear();
  }

  #cluster(start: number): Uint8Array | null {
    const size = this.#clusterSize;
    if (start >= this.base)
      return start < this.end ? this.#current.subarray(start - this.base, start - this.base + size) : null;
    const block = this.#previous.length;
    if (start >= this.base - block)
      return this.#previous.subarray(start - this.base + block, start - this.base + block + size);
    return this.#unknown.get(start) ?? this.#used.get(start) ?? null;
  }
}
