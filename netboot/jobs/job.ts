/** Background jobs: their states and what may follow each (bty-contract 3.7). Pure. */

export type JobStatus = 'queued' | 'running' | 'completed' | 'cancelled' | 'failed';

/** Times are milliseconds since 1970. */
export interface Job {
  readonly kind: string;
  /** What it is about, one job per kind and key: a file name, the name of an image, a tag. */
  readonly key: string;
  readonly status: JobStatus;
  /** What the worker needs to begin, or to begin again after a restart. */
  readonly input: unknown;
  /** Bytes. */
  readonly done: number;
  /** Bytes, null while nobody knows. */
  readonly total: number | null;
  readonly result: unknown;
  /** Sentence of the failure. */
  readonly error: string | null;
  readonly queuedAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

/** True when nothing more happens to it by itself. */
export function isSettled({ status }: Job): boolean {
  switch (status) {
    case 'queued':
    case 'running':
      return false;
    case 'completed':
    case 'cancelled':
    case 'failed':
      return true;
  }
}

/**
 * What asking for a job does that may be there already: what is queued or running goes on, what was cancelled or
 * failed begins anew, and what is completed stays unless `outdated`.
 */
export function afterAsking(
  present: Job | undefined,
  asked: {
    readonly kind: string;
    readonly key: string;
    readonly input: unknown;
    readonly total: number | null;
  },
  now: number,
  outdated: boolean,
): Job {
  if (present && (!isSettled(present) || (present.status === 'completed' && !outdated))) return present;
  return {
    ...asked,
    status: 'queued',
    done: 0,
    result: null,
    error: null,
    queuedAt: now,
    startedAt: null,
    finishedAt: null,
  };
}

/** How a job that began comes to its end. */
export type Ending =
  | { readonly kind: 'completed'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'cancelled' }
  /** The appliance stops: it goes on after the next start. */
  | { readonly kind: 'parked' };

export function ended(job: Job, ending: Ending, now: number): Job {
  switch (ending.kind) {
    case 'completed':
      return { ...job, status: 'completed', result: ending.result, error: null, finishedAt: now };
    case 'failed':
      return { ...job, status: 'failed', error: ending.error, finishedAt: now };
    case 'cancelled':
      return { ...job, status: 'cancelled', error: null, finishedAt: now };
    case 'parked':
      return { ...job, status: 'queued', startedAt: null };
  }
}

/** Where jobs are kept over restarts. */
export interface JobStore {
  all(): readonly Job[];
  /** Resolves when it is safe. */
  save(job: Job): Promise<void>;
  remove(kind: string, key: string): Promise<void>;
}
