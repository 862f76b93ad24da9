/** Threads that decode bzip2 blocks side by side: workers, and the one that waits for them. */
import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { startWorker } from '../system/worker.ts';
import type { BlockReply, BlockRequest } from './bzip2.worker.ts';
import { BlockDecoder, type BlockResult, blockSlack, decodedBlock, decodedSize } from './bzip2block.ts';
import { smallHeap } from './smallheap.ts';

const mostThreads = 8;
/** Blocks that a worker has, so that it need not wait for the next one. */
const blocksAhead = 2;
/** Buffers of this size are used again; larger ones, which only odd blocks need, are not. */
const usualInput = 1 << 20;

/** A block that was handed to the pool. */
export class BlockJob {
  /** Null until it is decoded. */
  result: BlockResult | null = null;
  released = false;
  readonly input: SharedArrayBuffer;
  /** What it is decoded to; valid until the job is released. */
  readonly decoded: SharedArrayBuffer;

  constructor(input: SharedArrayBuffer, decoded: SharedArrayBuffer) {
    this.input = input;
    this.decoded = decoded;
  }
}

interface Member {
  readonly worker: Worker;
  queued: number;
}

interface Pending {
  readonly job: BlockJob;
  readonly start: number;
  readonly end: number;
}

export class BlockPool {
  /** Workers beside the thread that the pool belongs to. */
  readonly #size: number;
  /** Blocks that no thread has yet, in order. */
  readonly #pending: Pending[] = [];
  #decoder: BlockDecoder | null = null;
  readonly #members: Member[] = [];
  readonly #jobs = new Map<number, { readonly job: BlockJob; readonly member: Member }>();
  readonly #inputs: SharedArrayBuffer[] = [];
  readonly #outputs: SharedArrayBuffer[] = [];
  #nextId = 0;
  /** Blocks that were handed in and are not released yet. */
  #held = 0;
  #fault: Error | null = null;
  #wake: (() => void) | null = null;
  #closed = false;

  constructor(workers = Math.min(availableParallelism(), mostThreads) - 1) {
    this.#size = workers;
  }

  /** True when a block would have to wait for a worker to start, which takes longer than to decode a block. */
  get cold(): boolean {
    return this.#size > 0 && this.#members.length === 0;
  }

  /** True when enough blocks are under way to keep all workers busy; more would only cost memory. */
  get full(): boolean {
    return this.#held >= (this.#size === 0 ? 1 : blocksAhead * this.#size + 2);
  }

  /**
   * Starts decoding: `stored` is copied; `start` and `end` are bits in it. With `last`, when no more blocks are to
   * be expected, and in a pool of no workers, none is started: the block is decoded before this returns.
   */
  decode(stored: Uint8Array, start: number, end: number, last: boolean): BlockJob {
    const needed = stored.length + blockSlack;
    const pooled = needed <= usualInput ? (this.#inputs.pop() ?? new SharedArrayBuffer(usualInput)) : null;
    const input = pooled ?? new SharedArrayBuffer(needed);
    new Uint8Array(input).set(stored);
    const output = this.#outputs.pop() ?? new SharedArrayBuffer(decodedSize);

    const job = new BlockJob(input, output);
    this.#held++;
    const pending = { job, start, end };
    if (this.#size === 0 || (last && this.#members.length === 0)) this.#decodeHere(pending);
    else {
      this.#pending.push(pending);
      this.#dispatch();
    }
    return job;
  }

  /** Resolves when `job` has its result. Rejects if a worker failed. */
  async wait(job: BlockJob): Promise<BlockResult> {
    for (;;) {
      if (this.#fault) throw this.#fault;
      if (job.result) return job.result;
      const pending = this.#pending.shift();
      if (pending) {
        this.#decodeHere(pending);
        // What the workers replied meanwhile is heard, and they get what is next.
        await setImmediate();
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Gives the memory of `job` back, at once or as soon as it is decoded. */
  release(job: BlockJob): void {
    if (job.released) return;
    job.released = true;
    if (job.result) this.#recycle(job);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#members.map(({ worker }) => worker.terminate()));
  }

  #recycle(job: BlockJob): void {
    this.#outputs.push(job.decoded);
    this.#held--;
  }

  #decodeHere({ job, start, end }: Pending): void {
    this.#decoder ??= new BlockDecoder();
    this.#done(job, this.#decoder.decode(new Uint8Array(job.input), start, end, decodedBlock(job.decoded)));
  }

  /** Hands the first blocks to workers that have room for them. */
  #dispatch(): void {
    for (;;) {
      const member = this.#pending.length > 0 ? this.#leastBusy() : undefined;
      const next = member && this.#pending.shift();
      if (!member || !next) return;
      const { job, start, end } = next;
      const request: BlockRequest = { id: this.#nextId++, input: job.input, start, end, output: job.decoded };
      this.#jobs.set(request.id, { job, member });
      member.queued++;
      member.worker.postMessage(request);
    }
  }

  #leastBusy(): Member | undefined {
    let best: Member | undefined;
    for (const member of this.#members) if (!best || member.queued < best.queued) best = member;
    if (best?.queued !== 0 && this.#members.length < this.#size) return this.#start();
    return best && best.queued < blocksAhead ? best : undefined;
  }

  #start(): Member {
    const worker = startWorker('bzip2', null, smallHeap);
    const member: Member = { worker, queued: 0 };
    this.#members.push(member);
    worker.on('message', (reply: BlockReply) => this.#reply(reply));
    worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => {
      if (!this.#closed) this.#fail(new Error('a bzip2 worker ended'));
    });
    return member;
  }

  #reply({ id, result }: BlockReply): void {
    const found = this.#jobs.get(id);
    if (!found) return;
    this.#jobs.delete(id);
    found.member.queued--;
    this.#done(found.job, result);
    this.#dispatch();
    this.#wake?.();
  }

  #done(job: BlockJob, result: BlockResult): void {
    if (job.input.byteLength === usualInput) this.#inputs.push(job.input);
    job.result = result;
    if (job.released) this.#recycle(job);
  }

  #fail(error: Error): void {
    this.#fault ??= error;
    this.#wake?.();
  }
}
