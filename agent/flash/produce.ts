import type { Worker } from 'node:worker_threads';
import { fromReport } from '../../shared/failure.ts';
import type { RandomReader, SourceStream } from '../source/source.ts';
import { startWorker } from '../system/worker.ts';
import type { PackedAs } from '../unpack/packings.ts';
import { smallHeap } from '../unpack/smallheap.ts';
import type { UnpackReply, UnpackRequest, UnpackWorkerData } from '../unpack/unpack.worker.ts';
import type { Digester } from './digester.ts';
import { Ring, RingClosed } from './ring.ts';

/** Image bytes in a slot of the ring, or (`slot` null) a range that is zero. */
export interface Filled {
  readonly slot: number | null;
  readonly offset: number;
  readonly length: number;
}

/** What the producers tell the pass while they run. */
export interface Meter {
  /** Stored bytes read so far. */
  storedBytes: number;
  /** What the producer is doing at this moment. */
  doing: 'reading' | 'unpacking' | 'waiting';
}

/** An image whose stored bytes are its bytes: they are read straight into the ring. */
export async function* produceRaw(stream: SourceStream, ring: Ring, meter: Meter): AsyncGenerator<Filled> {
  for (let offset = 0; ; ) {
    meter.doing = 'waiting';
    const slot = await ring.take();
    meter.doing = 'reading';
    const length = await fill(stream, ring.view(slot));
    meter.storedBytes += length;
    if (length > 0) yield { slot, offset, length };
    else ring.release(slot);
    if (length < ring.slotBytes) return;
    offset += length;
  }
}

async function fill(stream: SourceStream, view: Uint8Array): Promise<number> {
  let filled = 0;
  while (filled < view.length) {
    const count = await stream.read(filled === 0 ? view : view.subarray(filled));
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

/** An image that says where its data lies (qcow2, or raw with a block map): only those ranges are read. */
export async function* produceExtents(
  reader: RandomReader,
  extents: AsyncIterable<{ offset: number; length: number; kind: 'data' | 'zero' }>,
  ring: Ring,
  meter: Meter,
): AsyncGenerator<Filled> {
  for await (const extent of extents) {
    if (extent.kind === 'zero') {
      yield { slot: null, offset: extent.offset, length: extent.length };
      continue;
    }
    const end = extent.offset + extent.length;
    for (let offset = extent.offset; offset < end; ) {
      meter.doing = 'waiting';
      const slot = await ring.take();
      meter.doing = 'reading';
      const view = ring.view(slot).subarray(0, Math.min(ring.slotBytes, end - offset));
      let length = 0;
      while (length < view.length) {
        const count = await reader.read(view.subarray(length), offset + length);
        if (count === 0) break;
        length += count;
      }
      meter.storedBytes += length;
      if (length > 0) yield { slot, offset, length };
      else ring.release(slot);
      if (length < view.length) return;
      offset += length;
    }
  }
}

const inputSlots = 4;
const inputSlotBytes = 1 << 20;
const slowInput = { slots: 2, slotBytes: 1 << 18 };

export interface PackedSource {
  readonly stream: SourceStream;
  readonly packed: PackedAs;
  readonly image: string;
  /** Computes the digest of the stored bytes; null when it is not wanted. */
  readonly digester: Digester | null;
  /** Aborted when the pass ends early. */
  readonly signal: AbortSignal;
}

/** A packed image: its stored bytes go through an input ring to the unpack worker, which fills the ring. */
export async function* producePacked(source: PackedSource, ring: Ring, meter: Meter): AsyncGenerator<Filled> {
  // A second of reading holds what bzip2 unpacks in many.
  const { slots, slotBytes } =
    source.packed.packing === 'bz2' ? slowInput : { slots: inputSlots, slotBytes: inputSlotBytes };
  const input = Ring.create(slots, slotBytes);
  const { packed, image } = source;
  const data: UnpackWorkerData = { packed, image, input: input.handle, output: ring.handle };
  const worker = startWorker('unpack', data, smallHeap);
  const replies = new Replies(worker, ring.slotBytes, meter);
  const feeding = feed(source, input, worker, replies, meter).catch((error: unknown) => replies.fail(error));
  const stop = () => replies.fail(new RingClosed());
  source.signal.addEventListener('abort', stop);
  try {
    yield* replies;
  } finally {
    source.signal.removeEventListener('abort', stop);
    input.close();
    await ended(worker);
    await feeding;
  }
}

/** Milliseconds that the unpack worker has to end its children; it may be blocked. */
const closing = 500;

async function ended(worker: Worker): Promise<void> {
  const close: UnpackRequest = 'close';
  worker.postMessage(close);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, closing);
  });
  await Promise.race([new Promise<void>((resolve) => worker.once('exit', () => resolve())), late]);
  clearTimeout(timer);
  await worker.terminate();
}

async function feed(source: PackedSource, input: Ring, worker: Worker, replies: Replies, meter: Meter) {
  const ask = (request: UnpackRequest) => worker.postMessage(request);
  for (;;) {
    const slot = await input.take();
    if (replies.over) return;
    const length = await fill(source.stream, input.view(slot));
    meter.storedBytes += length;
    if (length > 0) {
      // The slot is free when it is both unpacked and hashed.
      const hashed = source.digester?.slot(
        input,
        slot,
        { start: 0, length },
        { sha256: true, xxh64: false, zero: false },
      );
      Promise.all([hashed, replies.consumed(slot)]).then(
        () => input.release(slot),
        (error: unknown) => replies.fail(error),
      );
      ask({ slot, length });
    }
    meter.doing = input.taken === input.slots ? 'unpacking' : 'reading';
    if (length < input.slotBytes) {
      ask('finish');
      replies.fed = true;
      meter.doing = 'unpacking';
      return;
    }
  }
}

/** The unpack worker's replies as an iterable of filled slots. */
class Replies implements AsyncIterable<Filled> {
  over = false;
  /** True when all stored bytes were handed over: what is left is to unpack them. */
  fed = false;
  readonly #ready: Filled[] = [];
  readonly #consumed = new Map<number, () => void>();
  #error: unknown;
  #wake = () => {};
  #offset = 0;

  constructor(worker: Worker, slotBytes: number, meter: Meter) {
    worker.on('message', (reply: UnpackReply) => {
      if (reply.kind === 'filled') {
        this.#ready.push({ slot: reply.slot, offset: this.#offset, length: reply.length });
        this.#offset += reply.length;
        if (reply.length > slotBytes) this.fail(new RangeError('a slot was overfilled'));
      } else if (reply.kind === 'consumed') {
        if (!this.fed) meter.doing = 'reading';
        this.#consumed.get(reply.slot)?.();
        this.#consumed.delete(reply.slot);
      } else if (reply.kind === 'failed') this.fail(fromReport(reply.failure));
      else this.over = true;
      this.#wake();
    });
    worker.on('error', (error) => this.fail(error));
    worker.on('exit', () => {
      if (!this.over) this.fail(new Error('the unpack worker ended'));
    });
  }

  consumed(slot: number): Promise<void> {
    return new Promise((resolve) => this.#consumed.set(slot, resolve));
  }

  fail(error: unknown): void {
    if (!this.over) this.#error = error;
    this.over = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Filled> {
    for (;;) {
      const filled = this.#ready.shift();
      if (filled) yield filled;
      else if (this.#error) throw this.#error;
      else if (this.over) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
