import { parentPort, workerData } from 'node:worker_threads';
import { asFailure, type FailureReport } from '../../shared/failure.ts';
import { Ring, RingClosed, type RingHandle } from '../flash/ring.ts';
import { makeUnpacker, type PackedAs } from './packings.ts';
import type { SlotWriter } from './unpacker.ts';

export interface UnpackWorkerData {
  readonly packed: PackedAs;
  readonly image: string;
  readonly input: RingHandle;
  readonly output: RingHandle;
}
/** To the worker: a filled slot of the input ring, the end of the input, or the end of the work. */
export type UnpackRequest = { readonly slot: number; readonly length: number } | 'finish' | 'close';
/** From the worker. */
export type UnpackReply =
  | { readonly kind: 'filled'; readonly slot: number; readonly length: number }
  | { readonly kind: 'consumed'; readonly slot: number }
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly failure: FailureReport };

const data = workerData as UnpackWorkerData;
const input = new Ring(data.input);
const output = new Ring(data.output);
const port = parentPort;
if (!port) throw new Error('the unpack worker runs only as a worker thread');

const send = (reply: UnpackReply) => port.postMessage(reply);

/** Fills one slot after the other; only the last one of an image is partly filled. */
class Slots implements SlotWriter {
  #slot = -1;
  #view: Uint8Array = new Uint8Array(0);
  #filled = 0;

  space(): Uint8Array {
    if (this.#slot < 0) {
      this.#slot = output.takeBlocking();
      this.#view = output.view(this.#slot);
      this.#filled = 0;
    }
    return this.#view.subarray(this.#filled);
  }

  advance(count: number): void {
    this.#filled += count;
    if (this.#filled === this.#view.length) this.flush();
  }

  flush(): void {
    if (this.#slot >= 0 && this.#filled > 0) {
      send({ kind: 'filled', slot: this.#slot, length: this.#filled });
      this.#slot = -1;
    }
  }
}

const slots = new Slots();
const unpacker = makeUnpacker(data.packed, data.image);

async function serve(request: Exclude<UnpackRequest, 'close'>): Promise<void> {
  if (request === 'finish') {
    await unpacker.finish(slots);
    slots.flush();
    send({ kind: 'finished' });
    return;
  }
  await unpacker.push(input.view(request.slot).subarray(0, request.length), slots);
  send({ kind: 'consumed', slot: request.slot });
}

// One request at a time, in order: an unpacker may wait for children or workers of its own.
let turn: Promise<void> = Promise.resolve();
let over = false;
port.on('message', (request: UnpackRequest) => {
  turn = turn.then(async () => {
    if (request === 'close') {
      // Children and threads of the unpacker end before this thread does.
      if (!over) await unpacker.close();
      port.close();
      return;
    }
    if (over) return;
    try {
      await serve(request);
      if (request !== 'finish') return;
      over = true;
      await unpacker.close();
    } catch (error) {
      over = true;
      await unpacker.close();
      if (!(error instanceof RingClosed)) send({ kind: 'failed', failure: asFailure(error).report() });
    }
  });
});
