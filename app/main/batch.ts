import {
  type BatchState,
  type FlashRequest,
  isBusy,
  type JobState,
  newJob,
  type Verify,
} from '../../shared/app/batch.ts';
import type { AppDisk } from '../../shared/app/disk.ts';
import type { AppImage } from '../../shared/app/image.ts';
import { failure } from '../../shared/failure.ts';
import { advance } from '../../shared/flash/advance.ts';
import type { JobWish } from '../../shared/helper/client.ts';
import type { HelperTarget } from '../../shared/helper/protocol.ts';
import { elevation } from './elevate.ts';
import { Helper, type HelperNews } from './helper.ts';
import type { Program } from './program.ts';

/** What the person was told of, and wants nevertheless. */
type Allowed = Pick<FlashRequest, 'allowSystem' | 'allowCut'>;

/** Milliseconds between two announcements of progress. */
const pace = 200;

export interface BatchListener {
  /** The batch has changed; called at most every 200 ms, and at once when a job begins or ends. */
  readonly changed: (batch: BatchState | null) => void;
  readonly jobEnded: (batch: BatchState, job: JobState) => void;
}

/** The batch that is written, or was last. Each job is one helper with one pipe. */
export class Batches {
  state: BatchState | null = null;
  readonly #program: Program;
  readonly #listener: BatchListener;
  readonly #helpers = new Map<number, Helper>();
  readonly #ended: (() => void)[] = [];
  #number = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(program: Program, listener: BatchListener) {
    this.#program = program;
    this.#listener = listener;
  }

  get busy(): boolean {
    return isBusy(this.state);
  }

  /** Throws FLASH_RUNNING. */
  start(image: AppImage, disks: readonly AppDisk[], request: FlashRequest): void {
    if (this.busy) throw failure('FLASH_RUNNING', {});
    const { verify, allowCut } = request;
    this.state = { id: ++this.#number, image, verify, allowCut, jobs: [] };
    this.#begin(disks, request);
  }

  /** Writes the image of the batch to more disks, or to some of its disks again. */
  add(disks: readonly AppDisk[], request: FlashRequest): void {
    const { state } = this;
    if (!state) throw failure('IMAGE_NOT_CHOSEN', {});
    const busy = state.jobs.filter(({ stage }) => stage !== 'finished').flatMap((job) => job.disks);
    if (disks.some(({ path }) => busy.some((other) => other.path === path)))
      throw failure('FLASH_RUNNING', {});
    const [running] = state.jobs.filter((job) => this.#helpers.has(job.id) && takesMore(job));
    const joining = running ? disks.filter((disk) => disk.kind !== 'virtual' && !disk.system) : [];
    for (const disk of joining) if (running) this.#join(running.id, disk);
    const rest = disks.filter((disk) => !joining.includes(disk));
    const { verify, allowCut } = request;
    this.state = { ...(this.state ?? state), verify, allowCut: allowCut || state.allowCut };
    this.#begin(rest, request);
  }

  /** Asks the helper of a running job to take one more disk; one that it does not take has a job of its own. */
  #join(id: number, disk: AppDisk): void {
    this.#change(id, (job) => {
      const { [disk.path]: _before, ...reasons } = job.reasons;
      const disks = [...job.disks.filter(({ path }) => path !== disk.path), disk];
      return { ...job, disks, reasons };
    });
    if (!this.#helpers.get(id)?.add(targetOf(disk, false))) this.#part(id, disk.path);
  }

  #part(id: number, path: string): void {
    const disk = this.state?.jobs.find((job) => job.id === id)?.disks.find((known) => known.path === path);
    if (!disk) return;
    this.#change(id, (job) => ({ ...job, disks: job.disks.filter((known) => known !== disk) }));
    this.#begin([disk], { allowSystem: false, allowCut: false });
  }

  cancel(job: number): void {
    this.#change(job, (old) => ({ ...old, cancelling: old.stage !== 'finished' }));
    this.#helpers.get(job)?.cancel();
  }

  skip(job: number): void {
    this.#change(job, (old) => ({ ...old, skipping: old.stage === 'running' }));
    this.#helpers.get(job)?.skipVerification();
  }

  leave(): void {
    if (this.busy) return;
    this.state = null;
    this.#announce();
  }

  /** Cancels every job, and resolves when all helpers have ended. */
  async abandon(): Promise<void> {
    for (const id of this.#helpers.keys()) this.cancel(id);
    if (this.#helpers.size > 0) await new Promise<void>((resolve) => this.#ended.push(resolve));
  }

  /** A job for the disks that need rights, and one for the files that stand for disks. */
  #begin(disks: readonly AppDisk[], allowed: Allowed): void {
    const real = disks.filter(({ kind }) => kind !== 'virtual');
    const virtual = disks.filter(({ kind }) => kind === 'virtual');
    for (const group of [real, virtual]) if (group.length > 0) this.#beginJob(group, allowed);
    this.#announce();
  }

  #beginJob(disks: readonly AppDisk[], allowed: Allowed): void {
    const { state } = this;
    if (!state) return;
    const id = ++this.#number;
    this.state = { ...state, jobs: [...state.jobs, newJob(id, disks)] };
    const needed = disks.some(({ kind }) => kind !== 'virtual');
    const how = elevation(this.#program, needed);
    if (how.kind === 'impossible') {
      this.#take(id, { kind: 'ended', failure: how.failure.report() });
      return;
    }
    const wish = wishFor(state.image, disks, state.verify, allowed);
    this.#helpers.set(id, new Helper(how, wish, (news) => this.#take(id, news)));
  }

  #take(id: number, news: HelperNews): void {
    switch (news.kind) {
      case 'working':
        this.#change(id, (job) => ({ ...job, stage: 'running' }));
        break;
      case 'event':
        this.#change(id, (job) => ({ ...job, flash: advance(job.flash, news.event) }));
        break;
      case 'refused':
        if (news.failure.code === 'ADD_REFUSED' && news.target !== null) this.#part(id, news.target);
        else this.#change(id, (job) => refused(job, news));
        break;
      case 'ended':
        this.#helpers.delete(id);
        this.#change(id, (job) => ({ ...job, stage: 'finished', failure: job.failure ?? news.failure }));
        this.#finish(id);
        break;
    }
  }

  #finish(id: number): void {
    const job = this.state?.jobs.find((known) => known.id === id);
    if (this.state && job) this.#listener.jobEnded(this.state, job);
    this.#announce();
    if (this.#helpers.size === 0) for (const resolve of this.#ended.splice(0)) resolve();
  }

  #change(id: number, by: (job: JobState) => JobState): void {
    if (!this.state) return;
    this.state = { ...this.state, jobs: this.state.jobs.map((job) => (job.id === id ? by(job) : job)) };
    this.#timer ??= setTimeout(() => this.#announce(), pace);
  }

  #announce(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#listener.changed(this.state);
  }
}

/** Whether more disks may be asked for: only while it writes, and when all of it is about real disks. */
function takesMore(job: JobState): boolean {
  return job.stage === 'running' && !job.cancelling && job.disks.every(({ kind }) => kind !== 'virtual');
}

/** A reason against one disk stands with that disk; one against the job stands with the job. */
function refused(job: JobState, news: Extract<HelperNews, { kind: 'refused' }>): JobState {
  const { scope, target, failure: reason } = news;
  // The gravest comes first.
  const reasons = target === null ? job.reasons : { [target]: reason, ...job.reasons };
  return { ...job, reasons, failure: scope === 'job' ? (job.failure ?? reason) : job.failure };
}

function wishFor(
  image: AppImage,
  disks: readonly AppDisk[],
  verify: Verify,
  { allowSystem, allowCut }: Allowed,
): JobWish {
  const { location, sha256 } = image;
  const isAddress = /^https?:/i.test(location);
  return {
    image: isAddress ? { kind: 'url', url: location, sha256 } : { kind: 'file', path: location, sha256 },
    targets: disks.map((disk) => targetOf(disk, allowSystem)),
    verify,
    bmap: null,
    sparse: false,
    allowCut,
    unmount: true,
    mayAddTargets: disks.every(({ kind }) => kind !== 'virtual'),
  };
}

function targetOf(disk: AppDisk, allowSystem: boolean): HelperTarget {
  const { path, size } = disk;
  if (disk.kind === 'virtual') return { kind: 'virtual', path, size };
  return {
    kind: 'disk',
    path,
    size,
    serial: disk.serial,
    diskseq: disk.diskseq,
    transport: disk.transport,
    allowLoop: disk.kind === 'loop',
    allowSystemDisk: disk.system && allowSystem,
  };
}
