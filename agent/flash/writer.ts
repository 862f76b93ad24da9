import { type Failure, failure } from '../../shared/failure.ts';
import type { Account } from '../../shared/flash/event.ts';
import type { DiskHandle } from '../disk/handle.ts';
import type { Chunk } from './chunk.ts';
import { classify } from './classify.ts';
import { adapt, type Depth, startDepth } from './depth.ts';
import { alignedBytes, Held } from './held.ts';

interface Offer {
  readonly chunk: Chunk;
  /** Gives the chunk's slot back; called exactly once. */
  readonly release: () => void;
}

export interface WriterOptions {
  /** Name of the image, for failures. */
  readonly image: string;
  /** Zero chunks become zero-outs where the disk can. */
  readonly sparse: boolean;
  /** Most writes in flight. */
  readonly mostDepth: number;
  /** Milliseconds without an answer from the disk after which it is given up. */
  readonly stallAfter: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/** Writes the chunks of an image to one disk, several at a time, at the disk's own pace. */
export class TargetWriter {
  readonly disk: DiskHandle;
  readonly held: Held;
  /** Chunks before this one are on the disk; a later pass starts with it. */
  resumeAt = 0;
  /** Bytes of the image that are dealt with. */
  bytes = 0;
  readonly #options: WriterOptions;
  readonly #inbox: Offer[] = [];
  readonly #inflight = new Map<Chunk, number>();
  #depth: Depth;
  #account: Account = { written: 0, zeroed: 0, skipped: 0 };
  #failure: Failure | undefined;
  #trouble: { readonly error: unknown; readonly offset: number } | undefined;
  #diagnosis: Promise<Failure> | undefined;
  #canZero = true;
  #lastMove: number;
  #window = { bytes: 0, slowest: 0, since: 0, starved: false };
  #waiters: (() => void)[] = [];
  #edge: Promise<void> = Promise.resolve();
  #scratch: Uint8Array | undefined;

  constructor(disk: DiskHandle, options: WriterOptions) {
    this.disk = disk;
    this.held = new Held(disk);
    this.#options = options;
    this.#depth = { ...startDepth, now: Math.min(startDepth.now, options.mostDepth) };
    this.#lastMove = options.now();
    this.#window.since = this.#lastMove;
  }

  get account(): Account {
    return this.#account;
  }

  get failed(): boolean {
    return this.#failure !== undefined || this.#trouble !== undefined;
  }

  /** True when nothing waits to be written. */
  get idle(): boolean {
    return this.#inbox.length === 0 && this.#inflight.size === 0;
  }

  /** Makes the disk look blank: zeros over the ranges that are held back, flushed. */
  async clear(): Promise<void> {
    for (const { offset, content } of this.held.regions) await this.#storeHeld(content, offset);
    await this.flush();
  }

  /** Takes a chunk to write. Never waits: the ring bounds how many there can be. */
  offer(chunk: Chunk, release: () => void): void {
    if (this.failed || chunk.sequence < this.resumeAt) {
      release();
      return;
    }
    this.#inbox.push({ chunk, release });
    this.#pump();
  }

  /** Says that `length` bytes of the image are not used (block map) and stay as they are, but for `cleared` of them. */
  skip(length: number, cleared: number): void {
    const { written, skipped } = this.#account;
    this.#account = { ...this.#account, written: written + cleared, skipped: skipped + length - cleared };
    this.bytes += length;
  }

  /** Drops what is not begun, so that the slots go back to the ring; a later pass goes on from `resumeAt`. */
  detach(next: number): void {
    this.resumeAt = this.#inbox[0]?.chunk.sequence ?? next;
    for (const { release } of this.#inbox.splice(0)) release();
    this.#wake();
  }

  /** Resolves when all that was offered is written; rejects with the first failure in disk order. */
  async settled(): Promise<void> {
    while (!this.idle && !this.#failure) await new Promise<void>((resolve) => this.#waiters.push(resolve));
    if (this.#failure) throw this.#failure;
    if (this.#trouble) {
      this.#diagnosis ??= this.#diagnose(this.#trouble.error);
      throw await this.#diagnosis;
    }
  }

  /** Resolves when no write is under way any more, whatever became of them. */
  async quiet(): Promise<void> {
    while (!this.idle) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Ends the writer with `reason`, unless the disk itself gave one; what is in flight is left to the kernel. */
  abandon(reason: Failure): void {
    if (!this.#trouble) this.#failure ??= reason;
    for (const { release } of this.#inbox.splice(0)) release();
    this.#wake();
  }

  /** Called a few times a second: finds the depth, and gives up a disk that does not answer. */
  tick(): void {
    const { now, mostDepth, stallAfter } = this.#options;
    const at = now();
    const seconds = (at - this.#window.since) / 1000;
    const oldest = Math.min(...this.#inflight.values());
    const slowest = Math.max(this.#window.slowest, this.#inflight.size > 0 ? at - oldest : 0);
    if (seconds > 0 && (this.#window.bytes > 0 || slowest > 1000)) {
      const sample = {
        bytesPerSecond: this.#window.bytes / seconds,
        slowest,
        saturated: !this.#window.starved,
      };
      this.#depth = adapt(this.#depth, sample, mostDepth);
      this.#window = { bytes: 0, slowest: 0, since: at, starved: false };
    }
    if (this.#inflight.size > 0 && at - this.#lastMove > stallAfter) {
      const [stuck] = [...this.#inflight.keys()].sort((a, b) => a.offset - b.offset);
      const { offset = 0, length = 0 } = stuck ?? {};
      const seconds = Math.round((at - this.#lastMove) / 1000);
      this.#failure ??= failure('DISK_STALLED', { target: this.disk.path, offset, length, seconds });
      this.abandon(this.#failure);
    }
  }

  /** Flushes the disk; rejects with FLUSH_FAILED or DISK_VANISHED. */
  async flush(): Promise<void> {
    try {
      await this.disk.flush();
    } catch (error) {
      throw await classify(error, this.disk, 'flush', { offset: 0, length: this.disk.size });
    }
  }

  /** Writes what was held back, the start last, each flushed and read back. */
  async settle(verify: boolean): Promise<void> {
    for (const { offset, length, content } of [...this.held.regions].reverse()) {
      // A disk that was given up meanwhile must not become bootable when it awakes.
      if (this.#failure) throw this.#failure;
      await this.#storeHeld(content, offset);
      await this.flush();
      if (verify) await this.#readBack(offset, length, content);
    }
  }

  /** Takes the start and the end off the disk again, as far as it still obeys: what failed must not boot. */
  async blank(): Promise<void> {
    for (const { offset, length } of this.held.regions) {
      await this.#store(alignedBytes(length), offset).catch(() => {});
    }
    await this.disk.flush().catch(() => {});
  }

  /** Asks the system to read the new partition table; false when it still uses the old one. */
  async rereadPartitions(): Promise<boolean> {
    try {
      return await this.disk.rereadPartitions();
    } catch (error) {
      throw await classify(error, this.disk, 'read', { offset: 0, length: this.disk.size });
    }
  }

  async #readBack(offset: number, length: number, content: Uint8Array): Promise<void> {
    await this.disk.dropCache();
    const found = alignedBytes(length);
    let count = 0;
    try {
      count = await this.disk.read(found, offset);
    } catch (error) {
      throw await classify(error, this.disk, 'read', { offset, length });
    }
    if (count < length)
      throw await classify(new Error('it ended early'), this.disk, 'read', { offset, length });
    if (Buffer.compare(found, content) === 0) return;
    const block = this.disk.blockSize;
    for (let at = 0; at < length; at += block) {
      if (Buffer.compare(found.subarray(at, at + block), content.subarray(at, at + block)) === 0) continue;
      throw failure('VERIFY_MISMATCH', { target: this.disk.path, offset: offset + at, length: block });
    }
  }

  #pump(): void {
    while (this.#inflight.size < this.#depth.now && !this.failed) {
      const offer = this.#inbox.shift();
      if (!offer) break;
      void this.#run(offer);
    }
    if (this.#inbox.length === 0 && this.#inflight.size < this.#depth.now) this.#window.starved = true;
  }

  async #run({ chunk, release }: Offer): Promise<void> {
    const started = this.#options.now();
    if (this.#inflight.size === 0) this.#lastMove = started;
    this.#inflight.set(chunk, started);
    try {
      await this.#write(chunk);
      this.bytes += chunk.length;
      this.#window.bytes += chunk.length;
    } catch (error) {
      const { offset } = chunk;
      if (!this.#trouble || offset < this.#trouble.offset) this.#trouble = { error, offset };
      for (const { release } of this.#inbox.splice(0)) release();
    }
    this.#inflight.delete(chunk);
    this.#lastMove = this.#options.now();
    this.#window.slowest = Math.max(this.#window.slowest, this.#lastMove - started);
    release();
    if (!this.failed) this.#pump();
    if (this.idle || this.failed) this.#wake();
  }

  async #write(chunk: Chunk): Promise<void> {
    const { offset, length, bytes } = chunk;
    if (offset + length > this.disk.size) {
      const { image } = this.#options;
      const sizes = { imageBytes: offset + length, atLeast: true, targetBytes: this.disk.size };
      throw failure('TARGET_TOO_SMALL', { target: this.disk.path, image, ...sizes });
    }
    let zeroed = 0;
    for (const piece of this.held.split(offset, length, bytes)) {
      for (const { start, end, zero } of this.#parts(chunk, piece)) {
        if (zero && (await this.#zero(start, end - start))) zeroed += end - start;
        else if (bytes) await this.#storeAny(bytes.subarray(start - offset, end - offset), start);
        else await this.#storeZeros(start, end);
      }
    }
    const { account } = this;
    this.#account = {
      ...account,
      written: account.written + length - zeroed,
      zeroed: account.zeroed + zeroed,
    };
  }

  /** `piece` of a chunk in runs that become zero-outs and the rest. */
  *#parts(
    { offset, bytes, zeros }: Chunk,
    piece: { readonly start: number; readonly end: number },
  ): Generator<{ start: number; end: number; zero: boolean }> {
    let at = piece.start;
    if (bytes === null) yield { ...piece, zero: true };
    else {
      for (const run of this.#options.sparse && this.#canZero ? zeros : []) {
        const start = Math.max(at, offset + run.start);
        const end = Math.min(piece.end, offset + run.end);
        if (start >= end) continue;
        if (at < start) yield { start: at, end: start, zero: false };
        yield { start, end, zero: true };
        at = end;
      }
      if (at < piece.end) yield { start: at, end: piece.end, zero: false };
    }
  }

  /** Zeroes whole blocks without a transfer; false where the disk cannot, or the range is not whole blocks. */
  async #zero(start: number, length: number): Promise<boolean> {
    const { blockSize } = this.disk;
    if (!this.#canZero || start % blockSize !== 0 || length % blockSize !== 0) return false;
    this.#canZero = await this.disk.zero(start, length);
    return this.#canZero;
  }

  async #storeZeros(start: number, end: number): Promise<void> {
    const step = zeros().length;
    for (let at = start; at < end; at += step) {
      await this.#storeAny(zeros().subarray(0, Math.min(step, end - at)), at);
      this.#lastMove = this.#options.now();
    }
  }

  /** Stores bytes that may begin or end inside a block, whose other bytes stay as they are. */
  async #storeAny(bytes: Uint8Array, offset: number): Promise<void> {
    const { blockSize } = this.disk;
    const lead = Math.min(bytes.length, (blockSize - (offset % blockSize)) % blockSize);
    const whole = Math.floor((bytes.length - lead) / blockSize) * blockSize;
    const aligned = (bytes.byteOffset + lead) % blockSize === 0;
    if (lead > 0) await this.#patch(bytes.subarray(0, lead), offset);
    if (whole > 0) {
      const body = bytes.subarray(lead, lead + whole);
      await this.#store(aligned ? body : copyAligned(body), offset + lead);
    }
    if (lead + whole < bytes.length) await this.#patch(bytes.subarray(lead + whole), offset + lead + whole);
  }

  /** Changes part of one block; one at a time, because neighbours may share the block. */
  #patch(bytes: Uint8Array, offset: number): Promise<void> {
    const { blockSize } = this.disk;
    const patch = this.#edge.then(async () => {
      this.#scratch ??= alignedBytes(blockSize);
      const start = offset - (offset % blockSize);
      await this.disk.read(this.#scratch, start);
      this.#scratch.set(bytes, offset - start);
      await this.#store(this.#scratch, start);
    });
    this.#edge = patch.catch(() => {});
    return patch;
  }

  async #storeHeld(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      await this.#store(bytes, offset);
    } catch (error) {
      throw await this.#diagnose(error);
    }
  }

  /** Stores whole blocks; goes on after a short write, which mostly brings out the true error. */
  async #store(bytes: Uint8Array, offset: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const rest = done === 0 ? bytes : bytes.subarray(done);
      const count = await this.disk.write(rest, offset + done).catch((error: unknown) => {
        throw new StoreError(error, rest, offset + done);
      });
      const whole = count - (count % this.disk.blockSize);
      if (whole === 0) {
        const target = this.disk.path;
        throw failure('WRITE_SHORT', {
          target,
          offset: offset + done,
          length: bytes.length - done,
          written: count,
        });
      }
      done += whole;
    }
  }

  /** The failure behind an error; for an EIO with the first range, down to 4 KiB, that the disk refuses. */
  async #diagnose(error: unknown): Promise<Failure> {
    if (!(error instanceof StoreError)) {
      return classify(error, this.disk, 'write', { offset: 0, length: this.disk.size });
    }
    const { cause, bytes, offset } = error;
    let range = { offset, length: bytes.length };
    if ((cause as NodeJS.ErrnoException).code === 'EIO') {
      for (const step of [1 << 17, Math.max(4096, this.disk.blockSize)]) {
        range = (await this.#firstRefused(bytes, offset, range, step)) ?? range;
      }
    }
    return classify(cause, this.disk, 'write', range);
  }

  async #firstRefused(
    bytes: Uint8Array,
    base: number,
    within: { readonly offset: number; readonly length: number },
    step: number,
  ): Promise<{ offset: number; length: number } | undefined> {
    for (let at = within.offset; at < within.offset + within.length; at += step) {
      const length = Math.min(step, within.offset + within.length - at);
      try {
        await this.disk.write(bytes.subarray(at - base, at - base + length), at);
      } catch {
        return { offset: at, length };
      }
    }
    return undefined;
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

let zeroPage: Uint8Array | undefined;
function zeros(): Uint8Array {
  zeroPage ??= alignedBytes(1 << 20);
  return zeroPage;
}

function copyAligned(bytes: Uint8Array): Uint8Array {
  const copy = alignedBytes(bytes.length);
  copy.set(bytes);
  return copy;
}

/** An error of the system with the bytes that it refused, copied because their slot goes back to the ring. */
class StoreError extends Error {
  readonly bytes: Uint8Array;
  readonly offset: number;

  constructor(cause: unknown, bytes: Uint8Array, offset: number) {
    super('the disk refused a write', { cause });
    this.bytes = copyAligned(bytes);
    this.offset = offset;
  }
}
