import { streamQcow2 } from '../qcow2/stream.ts';
import type { SourceStream } from '../source/source.ts';
import type { Digester } from './digester.ts';
import { News } from './news.ts';
import { type Filled, type Meter, type PackedSource, producePacked, produceRaw } from './produce.ts';
import { Ring, RingClosed } from './ring.ts';

const storedSlots = 4;

/**
 * A qcow2 image that arrives in order, packed or not: its clusters are put where they belong on the disk as they
 * come, so nothing is stored on the way. Rejects with IMAGE_NOT_STREAMABLE where the file's order forbids that.
 */
export async function* produceQcow2(
  source: Omit<PackedSource, 'packed'> & { readonly packed: PackedSource['packed'] | null },
  ring: Ring,
  meter: Meter,
): AsyncGenerator<Filled> {
  const { packed, signal } = source;
  const stored = Ring.create(storedSlots, ring.slotBytes);
  const stop = () => stored.close();
  signal.addEventListener('abort', stop);
  const slots = packed
    ? producePacked({ ...source, packed }, stored, meter)
    : hashed(produceRaw(source.stream, stored, meter), stored, source.digester);
  const stream = new SlotStream(slots, stored);
  const ready = new News<Filled>();
  const packer = new SlotPacker(ring, (filled) => ready.push(filled));
  let problem: unknown;
  const reading = streamQcow2(stream, source.image, {
    begin: async () => {},
    data: (offset, bytes) => packer.data(offset, bytes),
    zero: async (offset, length) => {
      packer.flush();
      ready.push({ slot: null, offset, length });
    },
  })
    .then(() => packer.flush())
    .catch((error: unknown) => {
      problem = error;
    })
    .finally(() => ready.end());
  try {
    yield* ready;
    if (problem) throw problem;
  } finally {
    signal.removeEventListener('abort', stop);
    stored.close();
    ring.close();
    await reading;
    await stream.close();
  }
}

async function* hashed(
  slots: AsyncIterable<Filled>,
  ring: Ring,
  digester: Digester | null,
): AsyncGenerator<Filled> {
  for await (const filled of slots) {
    if (digester && filled.slot !== null) {
      const part = { start: 0, length: filled.length };
      await digester.slot(ring, filled.slot, part, { sha256: true, xxh64: false, zero: false });
    }
    yield filled;
  }
}

/** Filled slots read as a stream. */
class SlotStream implements SourceStream {
  readonly #slots: AsyncIterator<Filled>;
  readonly #ring: Ring;
  #current: Filled | undefined;
  #taken = 0;

  constructor(slots: AsyncIterable<Filled>, ring: Ring) {
    this.#slots = slots[Symbol.asyncIterator]();
    this.#ring = ring;
  }

  async read(into: Uint8Array): Promise<number> {
    if (!this.#current) {
      const next = await this.#slots.next();
      if (next.done) return 0;
      this.#current = next.value;
      this.#taken = 0;
    }
    const { slot, length } = this.#current;
    if (slot === null) return 0;
    const count = Math.min(into.length, length - this.#taken);
    into.set(this.#ring.view(slot).subarray(this.#taken, this.#taken + count));
    this.#taken += count;
    if (this.#taken === length) {
      this.#ring.release(slot);
      this.#current = undefined;
    }
    return count;
  }

  async close(): Promise<void> {
    await this.#slots.return?.().catch((error: unknown) => {
      if (!(error instanceof RingClosed)) throw error;
    });
  }
}

/** Puts neighbouring runs of bytes into one slot. */
class SlotPacker {
  readonly #ring: Ring;
  readonly #give: (filled: Filled) => void;
  #slot = -1;
  #offset = 0;
  #length = 0;

  constructor(ring: Ring, give: (filled: Filled) => void) {
    this.#ring = ring;
    this.#give = give;
  }

  async data(offset: number, bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const at = offset + done;
      if (this.#slot >= 0 && (at !== this.#offset + this.#length || this.#length === this.#ring.slotBytes))
        this.flush();
      if (this.#slot < 0) {
        this.#slot = await this.#ring.take();
        this.#offset = at;
        this.#length = 0;
      }
      const count = Math.min(bytes.length - done, this.#ring.slotBytes - this.#length);
      this.#ring.view(this.#slot).set(bytes.subarray(done, done + count), this.#length);
      this.#length += count;
      done += count;
    }
  }

  flush(): void {
    if (this.#slot < 0) return;
    this.#give({ slot: this.#slot, offset: this.#offset, length: this.#length });
    this.#slot = -1;
  }
}
