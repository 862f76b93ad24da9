import type { DiskHandle } from './handle.ts';
import { systemError } from './memory.ts';

export type DiskCall = 'write' | 'read' | 'zero' | 'flush';

interface When {
  /** The call it happens in. */
  readonly on: DiskCall;
  /** Byte of the disk that the call must cover; any call where left out (and always for a flush). */
  readonly at?: number;
  /** How many calls it happens to, from the first that fits; all unless given. */
  readonly times?: number;
}

/** What goes wrong. Bytes before `at` in the same call are not stored, except by `short`. */
export type Fault =
  /** The call rejects with this code: EIO, ENOSPC ... */
  | (When & { readonly kind: 'error'; readonly code: string })
  /** A write stores only the whole blocks before `at` and says so. */
  | { readonly kind: 'short'; readonly at: number; readonly times?: number }
  /** A read gives back byte `at` with the bits of `mask` (1 unless given) inverted. */
  | { readonly kind: 'flip'; readonly at: number; readonly mask?: number }
  /** The call settles only after `release()`; it is carried out then. */
  | (When & { readonly kind: 'stall' })
  /** The disk is unplugged when the call comes. */
  | (When & { readonly kind: 'vanish' });

export interface LoggedCall {
  readonly call: DiskCall | 'dropCache' | 'currentSize' | 'rereadPartitions' | 'close';
  readonly position: number;
  readonly length: number;
}

/** A disk that fails on request, in front of one that does not. */
export class FaultyDisk implements DiskHandle {
  readonly path: string;
  readonly size: number;
  readonly blockSize: number;
  readonly direct: boolean;
  /** Every call so far, in the order they were made. */
  readonly calls: LoggedCall[] = [];
  readonly #inner: DiskHandle;
  readonly #faults: readonly { readonly fault: Fault; left: number }[];
  readonly #stalled: (() => void)[] = [];
  readonly #waiting: (() => void)[] = [];
  #released = false;
  #vanished = false;

  constructor(inner: DiskHandle, faults: readonly Fault[] = []) {
    this.path = inner.path;
    this.size = inner.size;
    this.blockSize = inner.blockSize;
    this.direct = inner.direct;
    this.#inner = inner;
    this.#faults = faults.map((fault) => ({
      fault,
      left: 'times' in fault ? (fault.times ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY,
    }));
  }

  /** Lets stalled calls go on; later ones do not stall. */
  release(): void {
    this.#released = true;
    for (const go of this.#stalled.splice(0)) go();
  }

  /** Resolves as soon as a call is stalled. */
  async stalled(): Promise<void> {
    if (this.#stalled.length > 0) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /**
   * Unplugs the disk. As observed on Linux, where an unplugged disk has the size 0: writes say ENOSPC, reads meet
   * the end, and fsync has nothing to complain about.
   */
  vanish(): void {
    this.#vanished = true;
  }

  async write(from: Uint8Array, position: number): Promise<number> {
    await this.#meet('write', position, from.length);
    if (this.#vanished) throw systemError('ENOSPC', 'write');
    const short = this.#take((fault) => fault.kind === 'short' && covers(fault.at, position, from.length));
    if (short?.kind !== 'short') return this.#inner.write(from, position);
    const blocks = Math.floor((short.at - position) / this.blockSize);
    return blocks === 0 ? 0 : this.#inner.write(from.subarray(0, blocks * this.blockSize), position);
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    await this.#meet('read', position, into.length);
    if (this.#vanished) return 0;
    const count = await this.#inner.read(into, position);
    for (const { fault } of this.#faults) {
      if (fault.kind !== 'flip' || !covers(fault.at, position, count)) continue;
      const index = fault.at - position;
      into[index] = (into[index] ?? 0) ^ (fault.mask ?? 1);
    }
    return count;
  }

  async zero(position: number, length: number): Promise<boolean> {
    await this.#meet('zero', position, length);
    return this.#vanished ? false : this.#inner.zero(position, length);
  }

  async flush(): Promise<void> {
    await this.#meet('flush', 0, 0);
    if (!this.#vanished) await this.#inner.flush();
  }

  async dropCache(): Promise<void> {
    this.#log('dropCache');
    if (!this.#vanished) await this.#inner.dropCache();
  }

  async currentSize(): Promise<number> {
    this.#log('currentSize');
    return this.#vanished ? 0 : this.#inner.currentSize();
  }

  async rereadPartitions(): Promise<boolean> {
    this.#log('rereadPartitions');
    if (this.#vanished) throw systemError('ENXIO', 'ioctl');
    return this.#inner.rereadPartitions();
  }

  async close(): Promise<void> {
    this.#log('close');
    await this.#inner.close();
  }

  #log(call: LoggedCall['call'], position = 0, length = 0): void {
    this.calls.push({ call, position, length });
  }

  /** Logs the call, then waits, fails or unplugs as the faults say. */
  async #meet(call: DiskCall, position: number, length: number): Promise<void> {
    this.#log(call, position, length);
    if (this.#vanished) return;
    const fits = (fault: Fault): boolean =>
      'on' in fault &&
      fault.on === call &&
      (fault.at === undefined || call === 'flush' || covers(fault.at, position, length));
    if (this.#take((fault) => fault.kind === 'vanish' && fits(fault))) this.vanish();
    if (!this.#released && this.#take((fault) => fault.kind === 'stall' && fits(fault))) await this.#stall();
    if (this.#vanished) return;
    const failing = this.#take((fault) => fault.kind === 'error' && fits(fault));
    if (failing?.kind === 'error') throw systemError(failing.code, call);
  }

  #stall(): Promise<void> {
    return new Promise((resolve) => {
      this.#stalled.push(resolve);
      for (const tell of this.#waiting.splice(0)) tell();
    });
  }

  /** The first fault that fits and has times left, one time less. */
  #take(fits: (fault: Fault) => boolean): Fault | null {
    const found = this.#faults.find(({ fault, left }) => left > 0 && fits(fault));
    if (!found) return null;
    found.left--;
    return found.fault;
  }
}

function covers(at: number, position: number, length: number): boolean {
  return at >= position && at < position + length;
}
