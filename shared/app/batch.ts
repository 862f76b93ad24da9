/** What is being written to which disks: one batch of one image, in one or more jobs of the helper. */
import { type Static, Type } from 'typebox';
import type { FailureReport } from '../failure.ts';
import { type FlashState, idle, type TargetState } from '../flash/advance.ts';
import type { AppDisk } from './disk.ts';
import type { AppImage } from './image.ts';
import { VerifyChoice } from './settings.ts';

const closed = { additionalProperties: false } as const;

/** What the window asks for. Image and disks are named by what the window was shown, nothing else about them counts. */
export const FlashRequest = Type.Object(
  {
    disks: Type.Array(Type.String({ minLength: 1, maxLength: 8192 }), { minItems: 1, maxItems: 64 }),
    verify: VerifyChoice,
    /** True when the person saw that a system disk is among them, and meant it. */
    allowSystem: Type.Boolean(),
    /** True when the person was told that the image ends before its own partitions do, and wants it nevertheless. */
    allowCut: Type.Boolean(),
  },
  closed,
);
export type FlashRequest = Static<typeof FlashRequest>;
export type Verify = FlashRequest['verify'];

/**
 * How far a job is: `asking`, the system asks the person for permission; `running`; `finished`, for better or worse.
 */
export type JobStage = 'asking' | 'running' | 'finished';

export interface JobState {
  readonly id: number;
  readonly disks: readonly AppDisk[];
  readonly stage: JobStage;
  readonly flash: FlashState;
  /** What ended the job before or beside its disks, null when nothing did. */
  readonly failure: FailureReport | null;
  /** Reasons of the helper against single disks, by their path. */
  readonly reasons: Readonly<Record<string, FailureReport>>;
  /** True once the person asked for it to end, and for verification to end. */
  readonly cancelling: boolean;
  readonly skipping: boolean;
}

export interface BatchState {
  readonly id: number;
  readonly image: AppImage;
  readonly verify: Verify;
  /** Whether an image that ends before its own partitions do was to be written nevertheless. */
  readonly allowCut: boolean;
  readonly jobs: readonly JobState[];
}

export type LaneStage = 'asking' | 'waiting' | 'working' | 'finished';

/** One disk of a batch as the window shows it. */
export interface Lane {
  readonly disk: AppDisk;
  readonly job: number;
  readonly stage: LaneStage;
  readonly target: TargetState | null;
  readonly bottleneck: FlashState['bottleneck'];
  readonly outcome: 'done' | 'failed' | 'cancelled' | null;
  readonly verified: boolean;
  readonly failure: FailureReport | null;
  readonly cancelling: boolean;
  readonly skipping: boolean;
}

/** The lanes of a batch in the order of their disks; a disk that was tried again shows its last try. */
export function lanesOf(batch: BatchState): readonly Lane[] {
  const lanes = new Map<string, Lane>();
  for (const job of batch.jobs) {
    for (const disk of job.disks) lanes.set(disk.path, laneOf(job, disk));
  }
  return [...lanes.values()];
}

function laneOf(job: JobState, disk: AppDisk): Lane {
  const target = job.flash.targets.find((known) => known.target === disk.path) ?? null;
  const result = target?.result ?? null;
  const reason = job.reasons[disk.path] ?? null;
  const ended = result === null && (job.stage === 'finished' || reason !== null);
  const outcome = result?.outcome ?? (ended ? endOf(reason ?? job.failure) : null);
  return {
    disk,
    job: job.id,
    stage: stageOf(job, target, outcome),
    target,
    bottleneck: job.flash.bottleneck,
    outcome,
    verified: result?.verified ?? false,
    failure: result?.failure ?? (ended ? (reason ?? job.failure) : null),
    cancelling: job.cancelling,
    skipping: job.skipping,
  };
}

/** Ending a question for permission is not a failure of anything. */
function endOf(failure: FailureReport | null): 'failed' | 'cancelled' {
  return failure?.code === 'CANCELLED' || failure?.code === 'ELEVATION_DISMISSED' ? 'cancelled' : 'failed';
}

function stageOf(job: JobState, target: TargetState | null, outcome: Lane['outcome']): LaneStage {
  if (outcome !== null) return 'finished';
  if (job.stage === 'asking') return 'asking';
  return target === null || target.phase === 'waiting' ? 'waiting' : 'working';
}

/** Whether a lane was cancelled before anything was done to its disk. */
export function isUntouched({ outcome, target }: Lane): boolean {
  if (outcome !== 'cancelled') return false;
  if (target === null) return true;
  const { clearing, writing } = target.result?.seconds ?? {};
  return target.result !== null && clearing === undefined && writing === undefined;
}

/** True while a job of the batch still runs. */
export function isBusy(batch: BatchState | null): boolean {
  return batch?.jobs.some(({ stage }) => stage !== 'finished') ?? false;
}

export type Worst = 'done' | 'unverified' | 'cancelled' | 'failed';

/** The headline is the worst outcome of all lanes. */
export function worstOf(lanes: readonly Lane[], verify: Verify): Worst {
  if (lanes.some(({ outcome }) => outcome === 'failed')) return 'failed';
  if (lanes.some(({ outcome }) => outcome === 'cancelled')) return 'cancelled';
  return verify !== 'none' && lanes.every(({ verified }) => verified) ? 'done' : 'unverified';
}

/** Share of the work of a lane that is done, from 0 to 1; null where its size is unknown. Writing counts as one half. */
export function shareOf(lane: Lane, verify: Verify): number | null {
  if (lane.stage === 'finished') return 1;
  if (lane.target === null || lane.stage !== 'working') return 0;
  const { phase, bytes, total } = lane.target;
  if (total === null || total === 0) return null;
  const within = Math.min(1, bytes / total);
  const writing = verify === 'none' || lane.skipping ? 0.98 : 0.5;
  switch (phase) {
    case 'writing':
      return within * writing;
    case 'verifying':
      return writing + within * (0.98 - writing);
    case 'flushing':
      return writing;
    case 'settling':
      return 0.98;
    default:
      return 0;
  }
}

/** Share of the work of a batch that is done; null where it is unknown. */
export function shareOfBatch(batch: BatchState): number | null {
  const shares = lanesOf(batch).map((lane) => shareOf(lane, batch.verify));
  const known = shares.filter((share) => share !== null);
  return known.length === 0 ? null : known.reduce((sum, share) => sum + share, 0) / known.length;
}

/** A job as it begins. */
export function newJob(id: number, disks: readonly AppDisk[]): JobState {
  return {
    id,
    disks,
    stage: 'asking',
    flash: idle,
    failure: null,
    reasons: {},
    cancelling: false,
    skipping: false,
  };
}
