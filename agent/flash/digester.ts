import type { Worker } from 'node:worker_threads';
import { startWorker } from '../system/worker.ts';
import { smallHeap } from '../unpack/smallheap.ts';
import type { ZeroRun } from './chunk.ts';
import type { Ring, RingHandle } from './ring.ts';

interface Piece {
  readonly id: number;
  /** Which ring, in the order they were made known. */
  readonly ring: number;
  readonly slot: number;
  readonly start: number;
  readonly length: number;
}
export type DigestRequest =
  | { readonly kind: 'ring'; readonly id: number; readonly handle: RingHandle }
  | (Piece & {
      readonly kind: 'slot';
      readonly sha256: boolean;
      readonly xxh64: boolean;
      readonly zero: boolean;
    })
  | (Piece & { readonly kind: 'range'; readonly algorithm: string; readonly last: boolean })
  | { readonly kind: 'finish'; readonly id: number };

export interface DigestReply {
  readonly id: number;
  readonly xxh64?: bigint;
  readonly zeros?: readonly ZeroRun[];
  readonly hex?: string;
}

/** What a look at part of a slot found. */
export interface Seen {
  /** 0 when not computed. */
  readonly xxh64: bigint;
  /** True when all of it is zero. */
  readonly zero: boolean;
  readonly zeros: readonly ZeroRun[];
}

type Unnumbered = DigestRequest extends infer Each
  ? Each extends DigestRequest
    ? Omit<Each, 'id'>
    : never
  : never;

/** Computes digests in a worker thread, in the order they were asked for. */
export class Digester {
  #worker: Worker | undefined;
  readonly #waiting = new Map<
    number,
    { resolve: (reply: DigestReply) => void; reject: (error: Error) => void }
  >();
  readonly #rings: Ring[] = [];
  #next = 0;
  #broken: Error | undefined;

  /** Starts the thread before the first request, which starts it otherwise; that takes longer than a digest. */
  warm(): void {
    this.#worker ??= this.#start();
  }

  /** Requests that are not answered yet. */
  get backlog(): number {
    return this.#waiting.size;
  }

  /** Looks at part of a slot: adds it to the stored digest, computes its XXH64, finds zeros in it. */
  async slot(
    ring: Ring,
    slot: number,
    part: { readonly start: number; readonly length: number },
    wanted: { readonly sha256: boolean; readonly xxh64: boolean; readonly zero: boolean },
  ): Promise<Seen> {
    const { start, length } = part;
    const reply = await this.#ask({ kind: 'slot', ring: this.#known(ring), slot, start, length, ...wanted });
    // 0 means "not computed" everywhere else.
    const xxh64 = wanted.xxh64 ? reply.xxh64 || 1n : 0n;
    const zeros = reply.zeros ?? [];
    const [first] = zeros;
    return { xxh64, zeros, zero: first?.start === 0 && first.end === length };
  }

  /** Adds part of a slot to the digest of the current range; resolves its hex form when `last`. */
  async range(
    ring: Ring,
    slot: number,
    piece: {
      readonly start: number;
      readonly length: number;
      readonly algorithm: string;
      readonly last: boolean;
    },
  ): Promise<string | undefined> {
    const { start, length, algorithm, last } = piece;
    return (await this.#ask({ kind: 'range', ring: this.#known(ring), slot, start, length, algorithm, last }))
      .hex;
  }

  /** SHA-256 of all stored bytes so far, in hex. */
  async finish(): Promise<string> {
    return (await this.#ask({ kind: 'finish' })).hex ?? '';
  }

  async close(): Promise<void> {
    this.#worker?.removeAllListeners('exit');
    this.#break(new Error('the digester was closed'));
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = startWorker('digest', [], smallHeap);
    worker.on('message', (reply: DigestReply) => {
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
    });
    worker.on('error', (error) => this.#break(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => this.#break(new Error('the digest worker ended')));
    return worker;
  }

  #known(ring: Ring): number {
    const at = this.#rings.indexOf(ring);
    if (at >= 0) return at;
    this.#rings.push(ring);
    const handle = ring.handle;
    this.#ask({ kind: 'ring', handle }).catch((error: Error) => this.#break(error));
    return this.#rings.length - 1;
  }

  #ask(request: Unnumbered): Promise<DigestReply> {
    if (this.#broken) return Promise.reject(this.#broken);
    const id = this.#next++;
    this.#worker ??= this.#start();
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ ...request, id });
    });
  }

  #break(error: Error): void {
    this.#broken ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#broken);
    this.#waiting.clear();
  }
}
