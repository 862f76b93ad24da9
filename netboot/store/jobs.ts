/** Background jobs in the database. */
import type { Job, JobStatus, JobStore } from '../jobs/job.ts';
import type { Database } from './database.ts';
import { valueIn } from './json.ts';

interface Row {
  readonly kind: string;
  readonly key: string;
  readonly status: string;
  readonly input: string;
  readonly done: number;
  readonly total: number | null;
  readonly result: string;
  readonly error: string | null;
  readonly queued_at: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
}

export class SqlJobStore implements JobStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  all(): readonly Job[] {
    const rows = this.#database.prepare('SELECT * FROM jobs ORDER BY queued_at').all() as unknown as Row[];
    return rows.map(jobOf).filter((job) => job !== null);
  }

  save(job: Job): Promise<void> {
    return this.#database.write(() => {
      this.#database
        .prepare(
          `INSERT OR REPLACE INTO jobs
             (kind, key, status, input, done, total, result, error, queued_at, started_at, finished_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          job.kind,
          job.key,
          job.status,
          JSON.stringify(job.input ?? null),
          job.done,
          job.total,
          JSON.stringify(job.result ?? null),
          job.error,
          job.queuedAt,
          job.startedAt,
          job.finishedAt,
        );
    });
  }

  remove(kind: string, key: string): Promise<void> {
    return this.#database.write(() => {
      this.#database.prepare('DELETE FROM jobs WHERE kind = ? AND key = ?').run(kind, key);
    });
  }
}

/** Null where the row is damaged: the others go on. */
function jobOf(row: Row): Job | null {
  const [input, result] = [valueIn(row.input), valueIn(row.result)];
  if (input === undefined || result === undefined) return null;
  return {
    kind: row.kind,
    key: row.key,
    status: row.status as JobStatus,
    input,
    done: row.done,
    total: row.total,
    result,
    error: row.error,
    queuedAt: row.queued_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}
