/** The loop around the state: events in, effects done, terminals drawn. */
import { asFailure, type FailureReport } from '../../shared/failure.ts';
import { advance, type FlashState, idle } from '../../shared/flash/advance.ts';
import { Face } from './face.ts';
import { disksOf, imagesOf } from './lists.ts';
import type { DiskRow, Effect, Event, ImageRow, Setting, Source, State } from './state.ts';
import { firstState } from './state.ts';
import { firstEffects, step } from './step.ts';
import type { Terminal } from './terminal.ts';
import { type Probed, probe, write } from './work.ts';

/** Who else is told about a flash. */
export interface Follower {
  /** It begins; `stop` ends it, with the failure that the screen then shows. */
  began(image: ImageRow, disk: DiskRow, stop: (reason: unknown) => void): void;
  moved(state: FlashState): void;
  /** It is over; resolves sentences for the result. `tell` shows what is being done. */
  ended(
    state: FlashState,
    failure: FailureReport | null,
    tell: (text: string) => void,
  ): Promise<readonly string[]>;
}

export interface SessionOptions {
  readonly terminals: readonly Terminal[];
  readonly setting: Setting;
  readonly source: Source;
  readonly allowLoop: boolean;
  readonly follower: Follower;
  /** Resolves when the machine goes down; rejects with a failure. */
  readonly leave: (how: 'reboot' | 'power-off') => Promise<void>;
  /** Ends the session; a flash that runs is cancelled first. */
  readonly signal: AbortSignal;
}

/** How a session ended. */
export type Ending =
  | { readonly kind: 'quit' }
  | { readonly kind: 'left'; readonly how: 'reboot' | 'power-off' }
  /** By the signal. */
  | { readonly kind: 'ended' };

/** Milliseconds: how long a message stays, when a review takes its key, and between looks for other disks. */
const messageFor = 4000;
const armAfter = 400;
const disksEvery = 3000;
const clockEvery = 1000;

export class Session {
  readonly #options: SessionOptions;
  readonly #faces: readonly Face[];
  readonly #over = Promise.withResolvers<Ending>();
  readonly #life = new AbortController();
  readonly #timers = new Set<NodeJS.Timeout>();
  #state: State;
  #probing: AbortController | null = null;
  #probed: Probed | null = null;
  #flashing: {
    readonly cancel: AbortController;
    readonly skip: AbortController;
    readonly end: Promise<void>;
  } | null = null;
  #listing = false;
  /** Questions for images that are not answered. */
  #asked = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#state = firstState(options.setting, options.source);
    this.#faces = options.terminals.map(
      (terminal) => new Face(terminal, (key) => this.tell({ kind: 'key', key })),
    );
  }

  /** True while a disk is being written. */
  get flashing(): boolean {
    return this.#flashing !== null;
  }

  /** What the last flash came to, null before one has ended. */
  get result(): FlashState | null {
    return this.#state.mode.kind === 'result' ? this.#state.mode.flash : this.#last;
  }
  #last: FlashState | null = null;

  /** Runs until somebody quits, the machine is to go down, or the signal ends it. The terminals are given back. */
  async run(): Promise<Ending> {
    const { signal } = this.#options;
    const onAbort = () => this.#over.resolve({ kind: 'ended' });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      for (const face of this.#faces) face.start();
      this.#draw();
      this.#do(firstEffects(this.#state));
      this.#every(disksEvery, () => this.#lookForDisks());
      this.#every(clockEvery, () => {
        if (this.#flashing) this.tell({ kind: 'clock', now: performance.now() });
      });
      const ending = await this.#over.promise;
      await this.#wind();
      return ending;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#life.abort();
      for (const timer of this.#timers) clearInterval(timer);
      await Promise.all(this.#faces.map((face) => face.stop()));
    }
  }

  /** Gives the terminals back at once: the process ends. */
  stopNow(): void {
    for (const face of this.#faces) face.stopNow();
  }

  /** After the program was stopped and goes on. */
  renew(): void {
    for (const face of this.#faces) void face.renew();
  }

  tell(event: Event): void {
    const { state, effects } = step(this.#state, event);
    this.#state = state;
    if (state.mode.kind === 'result') this.#last = state.mode.flash;
    this.#draw();
    this.#do(effects);
  }

  #draw(): void {
    for (const face of this.#faces) face.show(this.#state);
  }

  #every(milliseconds: number, what: () => void): void {
    this.#timers.add(setInterval(what, milliseconds));
  }

  #after(milliseconds: number, event: Event): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.tell(event);
    }, milliseconds);
    this.#timers.add(timer);
  }

  /** Ends what is at work: the disk of a flash that is cancelled looks blank when this resolves. */
  async #wind(): Promise<void> {
    this.#probing?.abort(this.#options.signal.reason);
    this.#flashing?.cancel.abort(this.#options.signal.reason);
    await this.#flashing?.end;
    await this.#drop();
  }

  #do(effects: readonly Effect[]): void {
    for (const effect of effects) this.#start(effect);
  }

  #start(effect: Effect): void {
    switch (effect.kind) {
      case 'list-images':
        this.#listImages(effect.source);
        return;
      case 'list-disks':
        void this.#listDisks();
        return;
      case 'probe':
        void this.#probe(effect.image, effect.disk);
        return;
      case 'drop':
        void this.#drop();
        return;
      case 'arm':
        this.#after(armAfter, { kind: 'armed' });
        return;
      case 'write':
        this.#write(effect.verify);
        return;
      case 'cancel':
        this.#flashing?.cancel.abort();
        return;
      case 'skip-verification':
        this.#flashing?.skip.abort();
        return;
      case 'expire':
        this.#after(messageFor, { kind: 'message-over', count: effect.count });
        return;
      case 'repaint':
        this.renew();
        return;
      case 'reboot':
      case 'power-off':
        this.#options.leave(effect.kind).then(
          () => this.#over.resolve({ kind: 'left', how: effect.kind }),
          (error: unknown) => {
            const { message, advice } = asFailure(error);
            this.tell({ kind: 'not-rebooted', problem: `${message} ${advice}` });
          },
        );
        return;
      case 'quit':
        this.#over.resolve({ kind: 'quit' });
        return;
    }
  }

  #lookForDisks(): void {
    const { mode, images, source } = this.#state;
    if (mode.kind !== 'pick' && mode.kind !== 'filter') return;
    void this.#listDisks();
    // A server that was away comes back.
    if (images.kind === 'failed' && source.kind === 'server' && this.#asked === 0) this.#listImages(source);
  }

  #listImages(source: Source): void {
    this.#asked++;
    void imagesOf(source, this.#life.signal).then((listing) => {
      this.#asked--;
      if (!this.#life.signal.aborted) this.tell({ kind: 'images', source, listing });
    });
  }

  async #listDisks(): Promise<void> {
    if (this.#listing) return;
    this.#listing = true;
    const listing = await disksOf(this.#options.allowLoop, this.#life.signal);
    this.#listing = false;
    if (!this.#life.signal.aborted) this.tell({ kind: 'disks', listing });
  }

  async #probe(image: ImageRow, disk: DiskRow): Promise<void> {
    await this.#drop();
    const probing = new AbortController();
    this.#probing = probing;
    try {
      const probed = await probe(image, disk, this.#options.allowLoop, probing.signal);
      if (probing.signal.aborted) await probed.prepared.close();
      else {
        this.#probed = probed;
        this.tell({ kind: 'probed', review: probed.review });
      }
    } catch (error) {
      if (!probing.signal.aborted) this.tell({ kind: 'not-probed', failure: asFailure(error).report() });
    }
  }

  async #drop(): Promise<void> {
    this.#probing?.abort();
    this.#probing = null;
    const probed = this.#probed;
    this.#probed = null;
    await probed?.prepared.close();
  }

  #write(verify: boolean): void {
    const probed = this.#probed;
    const { image, disk } = this.#state;
    this.#probed = null;
    this.#probing = null;
    if (!probed || !image || !disk) return;
    const [cancel, skip] = [new AbortController(), new AbortController()];
    const end = this.#flash(probed, image, disk, verify, cancel, skip);
    this.#flashing = { cancel, skip, end };
    this.tell({ kind: 'clock', now: performance.now() });
  }

  async #flash(
    probed: Probed,
    image: ImageRow,
    disk: DiskRow,
    verify: boolean,
    cancel: AbortController,
    skip: AbortController,
  ): Promise<void> {
    const { follower } = this.#options;
    let flash: FlashState = idle;
    let failure: FailureReport | null = null;
    let notes: readonly string[] = [];
    try {
      follower.began(image, disk, (reason) => cancel.abort(reason));
      failure = await write(probed, {
        verify,
        signal: cancel.signal,
        skipVerify: skip.signal,
        onEvent: (event) => {
          flash = advance(flash, event);
          follower.moved(flash);
          this.tell({ kind: 'flash', event });
        },
      });
      notes = await follower.ended(flash, failure, (text) => this.tell({ kind: 'finishing', text }));
    } catch (error) {
      failure ??= asFailure(error).report();
    }
    this.#flashing = null;
    this.tell({ kind: 'ended', notes, failure });
  }
}
