import { preferLargePages } from '../system/native.ts';

/**
 * A set of page-aligned slots that threads pass around. The memory of a `WebAssembly.Memory` is page aligned,
 * so O_DIRECT works from it, and shared, so no byte is copied between threads. Slots carry no order: whoever
 * fills one says what it holds.
 */
export interface RingHandle {
  readonly memory: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  readonly slots: number;
  readonly slotBytes: number;
}

const wasmPage = 65536;
/** Control words before the slots' own: a counter that changes when a slot is freed, and the closed flag. */
const freed = 0;
const closed = 1;
const first = 2;

/** Thrown by waits of a ring that was closed because the flash ended. */
export class RingClosed extends Error {
  constructor() {
    super('the ring was closed');
    this.name = 'RingClosed';
  }
}

export class Ring {
  readonly handle: RingHandle;
  readonly slots: number;
  readonly slotBytes: number;
  readonly #control: Int32Array;
  readonly #views: readonly Uint8Array[];

  constructor(handle: RingHandle) {
    this.handle = handle;
    this.slots = handle.slots;
    this.slotBytes = handle.slotBytes;
    this.#control = new Int32Array(handle.control);
    this.#views = Array.from({ length: handle.slots }, (_, slot) =>
      // Buffer, because node:fs and the zlib handle take Buffers over shared memory without copying.
      Buffer.from(handle.memory.buffer, slot * handle.slotBytes, handle.slotBytes),
    );
  }

  /** Makes `slots` slots of `slotBytes` bytes each, a multiple of 64 KiB. */
  static create(slots: number, slotBytes: number): Ring {
    const pages = (slots * slotBytes) / wasmPage;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    favour(new Uint8Array(memory.buffer));
    const control = new SharedArrayBuffer((first + slots) * Int32Array.BYTES_PER_ELEMENT);
    return new Ring({ memory, control, slots, slotBytes });
  }

  view(slot: number): Uint8Array {
    const view = this.#views[slot];
    if (!view) throw new RangeError(`the ring has no slot ${slot}`);
    return view;
  }

  /** Slots that are in use now. */
  get taken(): number {
    let count = 0;
    for (let slot = 0; slot < this.slots; slot++) count += Atomics.load(this.#control, first + slot);
    return count;
  }

  /** A free slot, taken for the caller; waits for one without blocking the thread. */
  async take(): Promise<number> {
    for (;;) {
      const seen = Atomics.load(this.#control, freed);
      const slot = this.#tryTake();
      if (slot !== undefined) return slot;
      await Atomics.waitAsync(this.#control, freed, seen).value;
    }
  }

  /** As `take`, but blocks the thread; only for workers. */
  takeBlocking(): number {
    for (;;) {
      const seen = Atomics.load(this.#control, freed);
      const slot = this.#tryTake();
      if (slot !== undefined) return slot;
      Atomics.wait(this.#control, freed, seen);
    }
  }

  release(slot: number): void {
    Atomics.store(this.#control, first + slot, 0);
    this.#announce();
  }

  /** Ends all waits, now and later, with RingClosed. */
  close(): void {
    Atomics.store(this.#control, closed, 1);
    this.#announce();
  }

  #tryTake(): number | undefined {
    if (Atomics.load(this.#control, closed) === 1) throw new RingClosed();
    for (let slot = 0; slot < this.slots; slot++) {
      if (Atomics.compareExchange(this.#control, first + slot, 0, 1) === 0) return slot;
    }
    return undefined;
  }

  #announce(): void {
    Atomics.add(this.#control, freed, 1);
    Atomics.notify(this.#control, freed);
  }
}

/** Large pages are a gain and no need: a system that has none, or refuses the call, goes without. */
function favour(memory: Uint8Array): void {
  if (process.platform !== 'linux') return;
  try {
    preferLargePages(memory);
  } catch {
    // The library of system calls cannot be loaded; what needs it says so.
  }
}
