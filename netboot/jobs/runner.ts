/** Runs background jobs: a few of each kind at once, remembered over restarts, cancelled at once. */
import { asFailure } from '../../shared/failure.ts';
import { afterAsking, type Ending, ended, isSettled, type Job, type JobStore } from './job.ts';

export interface JobTools {
  /** Aborted when the job is cancelled or the appliance stops; everything that waits must heed it. */
  readonly signal: AbortSignal;
  /** Tells how far it is, in bytes. Cheap: it may be called for every piece. */
  readonly progress: (done: number, total: number | null) => void;
}

/** What one kind of jobs is. */
export interface JobKind {
  /** Most that run at once. */
  readonly parallel: number;
  /** Does the work; what it resolves with is the result, kept as JSON. */
  readonly work: (job: Job, tools: JobTools) => Promise<unknown>;
  /** Told of every job that came to an end (not of parked ones), with the error it failed with. */
  readonly onEnd?: (job: Job, error: unknown) => void;
}

export interface AskOptions {
  readonly total?: number | null;
  /** A completed job runs again. */
  readonly outdated?: boolean;
  /** Before all that wait: somebody waits for it. */
  readonly urgent?: boolean;
}

interface Running {
  readonly controller: AbortController;
  readonly over: Promise<void>;
}

/** Finished jobs of a kind that are remembered. */
const mostFinished = 500;
const saveMilliseconds = 1000;
const parking = Symbol('parking');

export class JobRunner {
  readonly #kinds = new Map<string, JobKind>();
  readonly #jobs = new Map<string, Map<string, Job>>();
  readonly #queues = new Map<string, string[]>();
  readonly #running = new Map<string, Running>();
  readonly #waiters = new Map<string, (() => void)[]>();
  readonly #savedAt = new Map<string, number>();
  readonly #store: JobStore;
  readonly #now: () => number;
  readonly #onFault: (error: unknown) => void;
  readonly #onChange: (job: Job) => void;
  #state: 'new' | 'started' | 'stopped' = 'new';

  /** `onFault` is told when the store refuses what nobody waits for. */
  constructor(
    store: JobStore,
    options: {
      readonly now?: () => number;
      readonly onFault?: (error: unknown) => void;
      /** Told of every new state, of progress at most once a second. */
      readonly onChange?: (job: Job) => void;
    } = {},
  ) {
    this.#store = store;
    this.#now = options.now ?? Date.now;
    this.#onFault = options.onFault ?? (() => {});
    this.#onChange = options.onChange ?? (() => {});
    for (const job of store.all()) this.#of(job.kind).set(job.key, job);
  }

  register(kind: string, definition: JobKind): void {
    this.#kinds.set(kind, definition);
  }

  /** Goes on with what was queued or running when the appliance ended. */
  start(): void {
    this.#state = 'started';
    const waiting = [...this.#jobs.values()]
      .flatMap((jobs) => [...jobs.values()])
      .filter((job) => !isSettled(job));
    for (const job of waiting.sort((a, b) => a.queuedAt - b.queuedAt)) {
      this.#of(job.kind).set(job.key, { ...job, status: 'queued', startedAt: null });
      this.#queue(job.kind).push(job.key);
    }
    for (const kind of this.#kinds.keys()) this.#next(kind);
  }

  get(kind: string, key: string): Job | undefined {
    return this.#jobs.get(kind)?.get(key);
  }

  /** All of a kind, the one that was asked for last at the end. */
  list(kind: string): readonly Job[] {
    return [...this.#of(kind).values()].sort((a, b) => a.queuedAt - b.queuedAt);
  }

  /** Asks for a job; resolves with its state once that is remembered. */
  async ask(kind: string, key: string, input: unknown, options: AskOptions = {}): Promise<Job> {
    const present = this.get(kind, key);
    const { total = null, outdated = false, urgent = false } = options;
    const job = afterAsking(present, { kind, key, input, total }, this.#now(), outdated);
    if (job === present) {
      if (urgent && job.status === 'queued') this.#hurry(kind, key);
      return job;
    }
    this.#of(kind).delete(key);
    this.#of(kind).set(key, job);
    if (urgent) this.#queue(kind).unshift(key);
    else this.#queue(kind).push(key);
    this.#prune(kind);
    await this.#save(job);
    this.#next(kind);
    return this.get(kind, key) ?? job;
  }

  /** Notes a job whose work was done already. */
  async note(kind: string, key: string, input: unknown, result: unknown, total: number): Promise<Job> {
    const now = this.#now();
    const asked = { kind, key, input, total };
    const present = this.get(kind, key);
    if (present && !isSettled(present)) return present;
    const job: Job = {
      ...ended(afterAsking(undefined, asked, now, true), { kind: 'completed', result }, now),
      done: total,
      startedAt: now,
    };
    this.#of(kind).delete(key);
    this.#of(kind).set(key, job);
    this.#prune(kind);
    await this.#save(job);
    return job;
  }

  /**
   * Cancels a job: a queued one at once, a running one as soon as its worker notices, for which this waits up to a
   * second. Finished ones stay as they are. Undefined when there is none.
   */
  async cancel(kind: string, key: string): Promise<Job | undefined> {
    const job = this.get(kind, key);
    if (job === undefined) return undefined;
    if (job.status === 'queued') {
      const queue = this.#queue(kind);
      const place = queue.indexOf(key);
      if (place >= 0) queue.splice(place, 1);
      await this.#end(job, { kind: 'cancelled' }, null);
    } else if (job.status === 'running') {
      const running = this.#running.get(nameOf(kind, key));
      running?.controller.abort(new Error('cancelled'));
      await Promise.race([running?.over, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
    }
    return this.get(kind, key);
  }

  /** Resolves with the job when it is settled, or undefined when there is none; rejects with the signal's reason. */
  async settled(kind: string, key: string, signal: AbortSignal): Promise<Job | undefined> {
    for (;;) {
      signal.throwIfAborted();
      const job = this.get(kind, key);
      if (job === undefined || isSettled(job)) return job;
      await new Promise<void>((resolve) => {
        const name = nameOf(kind, key);
        const waiters = this.#waiters.get(name) ?? [];
        this.#waiters.set(name, waiters);
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          const place = waiters.indexOf(wake);
          if (place >= 0) waiters.splice(place, 1);
          resolve();
        };
        waiters.push(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
  }

  /** Parks what runs, so that the next start goes on with it. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    const running = [...this.#running.values()];
    for (const { controller } of running) controller.abort(parking);
    await Promise.all(running.map(({ over }) => over));
  }

  #next(kind: string): void {
    const definition = this.#kinds.get(kind);
    if (this.#state !== 'started' || definition === undefined) return;
    const running = [...this.#running.keys()].filter((name) => name.startsWith(`${kind}\0`)).length;
    const queue = this.#queue(kind);
    for (let free = definition.parallel - running; free > 0; free--) {
      const key = queue.shift();
      if (key === undefined) return;
      const job = this.get(kind, key);
      if (job?.status !== 'queued' || this.#running.has(nameOf(kind, key))) {
        free++;
        continue;
      }
      this.#begin(definition, job);
    }
  }

  #begin(definition: JobKind, queued: Job): void {
    const { kind, key } = queued;
    const controller = new AbortController();
    const job: Job = { ...queued, status: 'running', startedAt: this.#now() };
    this.#of(kind).set(key, job);
    this.#save(job).catch(this.#onFault);
    const work = async (): Promise<void> => {
      let ending: Ending;
      let failed: unknown = null;
      try {
        const result = await definition.work(job, {
          signal: controller.signal,
          progress: (done, total) => this.#progress(kind, key, done, total),
        });
        ending = { kind: 'completed', result };
      } catch (error) {
        failed = error;
        if (!controller.signal.aborted) ending = { kind: 'failed', error: asFailure(error).message };
        else ending = { kind: controller.signal.reason === parking ? 'parked' : 'cancelled' };
      }
      this.#running.delete(nameOf(kind, key));
      await this.#end(this.get(kind, key) ?? job, ending, failed).catch(this.#onFault);
      this.#next(kind);
    };
    // Begins in a later turn, so that `over` is known before the work can end.
    this.#running.set(nameOf(kind, key), { controller, over: Promise.resolve().then(work) });
  }

  async #end(job: Job, ending: Ending, error: unknown): Promise<void> {
    const over = ended(job, ending, this.#now());
    this.#of(job.kind).set(job.key, over);
    const name = nameOf(job.kind, job.key);
    this.#savedAt.delete(name);
    const waiters = this.#waiters.get(name) ?? [];
    this.#waiters.delete(name);
    try {
      await this.#save(over);
    } finally {
      for (const wake of [...waiters]) wake();
      if (ending.kind !== 'parked') this.#kinds.get(job.kind)?.onEnd?.(over, error);
    }
  }

  #progress(kind: string, key: string, done: number, total: number | null): void {
    const job = this.get(kind, key);
    if (job?.status !== 'running') return;
    const further = { ...job, done, total };
    this.#of(kind).set(key, further);
    const name = nameOf(kind, key);
    const now = this.#now();
    if (now - (this.#savedAt.get(name) ?? 0) < saveMilliseconds) return;
    this.#savedAt.set(name, now);
    this.#save(further).catch(this.#onFault);
  }

  #save(job: Job): Promise<void> {
    this.#onChange(job);
    return this.#store.save(job);
  }

  #hurry(kind: string, key: string): void {
    const queue = this.#queue(kind);
    const place = queue.indexOf(key);
    if (place > 0) queue.unshift(...queue.splice(place, 1));
  }

  #prune(kind: string): void {
    const jobs = this.#of(kind);
    if (jobs.size <= mostFinished) return;
    const finished = [...jobs.values()].filter(isSettled).sort((a, b) => a.queuedAt - b.queuedAt);
    for (const job of finished.slice(0, jobs.size - mostFinished)) {
      jobs.delete(job.key);
      this.#store.remove(kind, job.key).catch(this.#onFault);
    }
  }

  #of(kind: string): Map<string, Job> {
    const found = this.#jobs.get(kind) ?? new Map<string, Job>();
    this.#jobs.set(kind, found);
    return found;
  }

  #queue(kind: string): string[] {
    const found = this.#queues.get(kind) ?? [];
    this.#queues.set(kind, found);
    return found;
  }
}

function nameOf(kind: string, key: string): string {
  return `${kind}\0${key}`;
}
