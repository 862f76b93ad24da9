import { setTimeout as pause } from 'node:timers/promises';
import { failure } from '../../shared/failure.ts';
import type { FlashEvent, FlashNews, Outcome } from '../../shared/flash/event.ts';
import { Lane } from './lane.ts';
import { News } from './news.ts';
import { Pass, type PassResult } from './pass.ts';
import type { FlashControl, FlashPlan, FlashTarget } from './plan.ts';
import type { TargetWriter } from './writer.ts';

export interface FlashOptions {
  /** Bytes of a slot, a multiple of 64 KiB, and slots for one disk; memory grows by two slots a further disk. */
  readonly slotBytes: number;
  readonly slots: number;
  /** Milliseconds without an answer after which a disk is given up. */
  readonly stallAfter: number;
  /** Milliseconds between progress events. */
  readonly every: number;
  /** Intervals that a disk may hold up the others before it goes its own way. */
  readonly patience: number;
}

export const defaults: FlashOptions = {
  slotBytes: 4 << 20,
  slots: 5,
  stallAfter: 120_000,
  every: 250,
  patience: 4,
};

const slotsPerFurtherDisk = 2;
/** Where unpacking takes long, every disk keeps up with less, and the unpackers need the memory themselves. */
const slowRooms = new Map([
  ['bz2', { slotBytes: 1 << 20, slots: 3 }],
  ['xz', { slotBytes: 2 << 20, slots: 4 }],
]);
const slowRoom = ({ reading }: FlashPlan) =>
  reading.kind === 'packed' ? slowRooms.get(reading.packed.packing) : undefined;
/** Milliseconds that disks which are ready wait for those that are still being opened. */
const beginPatience = 1000;
const now = () => performance.now();

/**
 * Writes the image of `plan` to all `targets` and proves what it wrote. Never throws: what goes wrong is told by
 * the events, the last of which is `finished`.
 */
export function flash(
  plan: FlashPlan,
  targets: readonly FlashTarget[],
  control: FlashControl,
  options: Partial<FlashOptions> = {},
): AsyncIterable<FlashEvent> {
  const news = new News<FlashEvent>();
  const tell = (item: FlashNews) => news.push({ ...item, at: now() } as FlashEvent);
  const run = new Run(plan, targets, control, { ...defaults, ...options }, tell);
  void run.all().then(() => news.end());
  return news;
}

class Run {
  readonly #plan: FlashPlan;
  readonly #control: FlashControl;
  readonly #options: FlashOptions;
  readonly #tell: (news: FlashNews) => void;
  readonly #targets: readonly FlashTarget[];
  readonly #lane: (target: FlashTarget, mostDepth: number) => Lane;
  #lanes: readonly Lane[];
  readonly #passes = new Set<Pass>();
  /** Further passes of disks that left the first one. */
  readonly #further: Promise<void>[] = [];
  #result: PassResult | undefined;
  #over = false;

  constructor(
    plan: FlashPlan,
    targets: readonly FlashTarget[],
    control: FlashControl,
    options: FlashOptions,
    tell: (news: FlashNews) => void,
  ) {
    this.#plan = plan;
    this.#targets = targets;
    this.#control = control;
    this.#options = options;
    this.#tell = tell;
    const { image, sparse } = plan;
    const { stallAfter, slots } = options;
    // A disk that hangs keeps the slots that it is writing, so of several none may have them all.
    const mostDepth = targets.length > 1 ? slotsPerFurtherDisk : slots;
    const writer = { image, sparse, stallAfter, now };
    this.#lane = (target, mostDepth) =>
      new Lane(target, { plan, control, writer: { ...writer, mostDepth }, tell });
    this.#lanes = targets.map((target) => this.#lane(target, mostDepth));
  }

  async all(): Promise<void> {
    const { image, format, source, imageBytes } = this.#plan;
    const targets = this.#targets.map(({ target, size }) => ({ target, size }));
    this.#tell({ kind: 'started', image, format, storedBytes: source.size, imageBytes, targets });
    this.#plan.listen((text) => this.#tell({ kind: 'notice', target: null, text }));
    const timer = setInterval(() => this.#tick(), this.#options.every);
    this.#control.onStart?.((target) => this.#join(target));
    try {
      await this.#pass(this.#lanes, async (head) => {
        this.#plan.checkStart(head);
        return this.#begin();
      });
      while (this.#further.length > 0) await Promise.all(this.#further.splice(0));
    } finally {
      this.#over = true;
      clearInterval(timer);
    }
    const outcomes = this.#lanes.map((lane) => lane.outcome ?? 'failed');
    const { sha256 = null, storedBytes = 0, imageBytes: bytes = 0 } = this.#result ?? {};
    this.#tell({ kind: 'finished', outcome: worst(outcomes), sha256, storedBytes, imageBytes: bytes });
  }

  /** Begins a pass of its own for a further disk, or for one that failed and is tried again. */
  #join(target: FlashTarget): boolean {
    const before = this.#lanes.find((lane) => lane.target === target.target);
    if (this.#over || !this.#plan.source.reopenable || (before && !before.outcome)) return false;
    const lane = this.#lane(target, this.#options.slots);
    this.#lanes = [...this.#lanes.filter((other) => other !== before), lane];
    this.#tell({ kind: 'target-added', target: target.target, size: target.size });
    const pass = this.#pass([lane], async (head) => {
      this.#plan.checkStart(head);
      return (await lane.begin()) && lane.writer ? [lane.writer] : [];
    });
    this.#further.push(pass);
    return true;
  }

  /** Opens and clears all disks. One that takes long over it does not hold up those that are ready. */
  async #begin(): Promise<TargetWriter[]> {
    const ready: TargetWriter[] = [];
    let gone = false;
    const all = this.#lanes.map(async (lane) => {
      const begun = await lane.begin();
      if (!begun || !lane.writer) return;
      if (gone) await this.#alone(lane, lane.writer);
      else ready.push(lane.writer);
    });
    if (this.#plan.source.reopenable && all.length > 1) {
      await Promise.any([Promise.all(all), this.#someReady(all, ready)]);
      gone = true;
      this.#further.push(Promise.all(all).then(() => {}));
    } else await Promise.all(all);
    return ready;
  }

  async #someReady(all: readonly Promise<void>[], ready: readonly TargetWriter[]): Promise<void> {
    while (ready.length === 0)
      await Promise.race([Promise.all(all), pause(beginPatience, undefined, { ref: false })]);
    await pause(beginPatience, undefined, { ref: false });
  }

  /** One pass over the source for `lanes`; a disk that is evicted begins a further pass by itself. */
  async #pass(
    lanes: readonly Lane[],
    prepare: (head: Uint8Array) => Promise<readonly TargetWriter[]>,
  ): Promise<void> {
    // Who takes part: all until the disks are ready, then those that are, less those that go their own way.
    let members = [...lanes];
    const room = slowRoom(this.#plan) ?? this.#options;
    const slots = Math.min(room.slots, this.#options.slots) + slotsPerFurtherDisk * (lanes.length - 1);
    const pass = new Pass(this.#plan, {
      slots,
      slotBytes: Math.min(room.slotBytes, this.#options.slotBytes),
      signal: this.#control.signal,
      patience: lanes.length > 1 && this.#plan.source.reopenable ? this.#options.patience : 0,
      onEvict: (writer) => {
        const lane = lanes.find((candidate) => candidate.writer === writer);
        if (!lane) return;
        members = members.filter((member) => member !== lane);
        this.#further.push(this.#alone(lane, writer));
      },
    });
    this.#passes.add(pass);
    try {
      this.#control.signal.throwIfAborted();
      const result = await pass.run(async (head) => {
        const writers = await prepare(head);
        members = members.filter(({ writer }) => writer && writers.includes(writer));
        return writers;
      });
      // A pass whose disks all failed has not read the source to its end.
      if (!this.#result?.sha256) this.#result = result;
      await Promise.all(members.map((lane) => lane.complete(pass, result)));
    } catch (error) {
      await Promise.all(members.map((lane) => lane.fail(error)));
    } finally {
      this.#passes.delete(pass);
      await pass.close();
    }
  }

  async #alone(lane: Lane, writer: TargetWriter): Promise<void> {
    const text = `${lane.target} is slower than the other disks and goes on at its own pace`;
    this.#tell({ kind: 'notice', target: lane.target, text });
    try {
      await settledOrCancelled(writer, this.#control.signal);
    } catch (error) {
      await lane.fail(error);
      return;
    }
    await this.#pass([lane], async () => [writer]);
  }

  #tick(): void {
    const at = now();
    for (const pass of this.#passes) {
      pass.tick();
      const { meter, imageBytes, bottleneck } = pass;
      this.#tell({ kind: 'source', storedBytes: meter.storedBytes, imageBytes, bottleneck });
    }
    for (const lane of this.#lanes) {
      // A disk that is between two passes is watched too.
      const attached = [...this.#passes].some(({ writers }) =>
        writers.some((writer) => writer === lane.writer),
      );
      if (!attached) lane.writer?.tick();
      lane.tick(at);
    }
  }
}

async function settledOrCancelled(writer: TargetWriter, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let cancel = () => {};
  const cancelled = new Promise<never>((_resolve, reject) => {
    cancel = () => reject(failure('CANCELLED', {}));
    signal.addEventListener('abort', cancel, { once: true });
  });
  await Promise.race([writer.settled(), cancelled]).finally(() =>
    signal.removeEventListener('abort', cancel),
  );
}

function worst(outcomes: readonly Outcome[]): Outcome {
  return (
    outcomes.find((outcome) => outcome === 'failed') ??
    outcomes.find((outcome) => outcome === 'cancelled') ??
    'done'
  );
}
