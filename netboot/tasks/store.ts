/** Task files, runs and host keys in the database. Changes are made inside `Database.write`. */
import type { TaskState } from '../../shared/contract/task.ts';
import type { Database } from '../store/database.ts';

export interface TaskFileRow {
  readonly name: string;
  readonly version: number;
  readonly text: string;
  readonly summary: string;
  readonly steps: number;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
  readonly savedBy: string;
}

export interface HostKey {
  readonly flashedAt: number | null;
  readonly fingerprint: string;
}

/** Versions of one file that are kept. */
const mostVersions = 100;

export class TaskStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The latest version of each, by name. */
  files(): readonly TaskFileRow[] {
    const sql = `SELECT * FROM task_files AS one WHERE version =
      (SELECT max(version) FROM task_files WHERE name = one.name) ORDER BY name`;
    return this.#database.prepare(sql).all().map(fileOf);
  }

  /** A version; null the latest. */
  file(name: string, version: number | null): TaskFileRow | null {
    const which = version === null ? '' : 'AND version = ?';
    const row = this.#database
      .prepare(`SELECT * FROM task_files WHERE name = ? ${which} ORDER BY version DESC LIMIT 1`)
      .get(name, ...(version === null ? [] : [version]));
    return row ? fileOf(row) : null;
  }

  versions(name: string): readonly TaskFileRow[] {
    const sql = 'SELECT * FROM task_files WHERE name = ? ORDER BY version DESC';
    return this.#database.prepare(sql).all(name).map(fileOf);
  }

  saveFile(row: TaskFileRow): void {
    this.#database
      .prepare(
        'INSERT INTO task_files (name, version, text, summary, steps, saved_at, saved_by) VALUES (?, ?, ?, ?, ?, ?, ?)',
      )
      .run(row.name, row.version, row.text, row.summary, row.steps, row.savedAt, row.savedBy);
    this.#database
      .prepare('DELETE FROM task_files WHERE name = ? AND version <= ?')
      .run(row.name, row.version - mostVersions);
  }

  deleteFile(name: string): boolean {
    return this.#database.prepare('DELETE FROM task_files WHERE name = ?').run(name).changes > 0;
  }

  /** How many machines name this file, of any version. */
  users(name: string): number {
    const escaped = name.replaceAll(/[\\%_]/g, '\\$&');
    const sql = `SELECT count(*) AS n FROM machines WHERE provisioning_mode = 'cijoe-task'
      AND (cijoe_task_ref = ? OR cijoe_task_ref LIKE ? ESCAPE '\\')`;
    return Number(this.#database.prepare(sql).get(name, `${escaped}@%`)?.n ?? 0);
  }

  /** Enters a run; answers its number. */
  enter(mac: string, stage: string, state: (id: number) => TaskState): TaskState {
    const insert = 'INSERT INTO task_runs (mac, status, stage, state) VALUES (?, ?, ?, ?)';
    const id = Number(this.#database.prepare(insert).run(mac, 'running', stage, '{}').lastInsertRowid);
    const made = state(id);
    this.save(made);
    return made;
  }

  save(state: TaskState): void {
    this.#database
      .prepare('UPDATE task_runs SET status = ?, stage = ?, state = ? WHERE id = ?')
      .run(state.status, state.stage, JSON.stringify(state), state.id);
  }

  setBytes(id: number, bytes: number): void {
    this.#database.prepare('UPDATE task_runs SET bytes = ? WHERE id = ?').run(bytes, id);
  }

  get(id: number): TaskState | null {
    const row = this.#database.prepare('SELECT state FROM task_runs WHERE id = ?').get(id);
    return row ? stateOf(row) : null;
  }

  last(mac: string): TaskState | null {
    const sql = 'SELECT state FROM task_runs WHERE mac = ? ORDER BY id DESC LIMIT 1';
    const row = this.#database.prepare(sql).get(mac);
    return row ? stateOf(row) : null;
  }

  /** The last run of each machine, newest first. */
  lasts(limit: number): readonly TaskState[] {
    const sql =
      'SELECT state FROM task_runs WHERE id IN (SELECT max(id) FROM task_runs GROUP BY mac) ORDER BY id DESC LIMIT ?';
    return this.#database.prepare(sql).all(limit).map(stateOf);
  }

  runs(filter: {
    readonly mac: string | null;
    readonly status: string | null;
    readonly before: number | null;
    readonly limit: number;
  }): readonly TaskState[] {
    const parts: string[] = [];
    const values: (string | number)[] = [];
    const add = (part: string, value: string | number | null) => {
      if (value === null) return;
      parts.push(part);
      values.push(value);
    };
    add('mac = ?', filter.mac);
    add('status = ?', filter.status);
    add('id < ?', filter.before);
    const where = parts.length > 0 ? `WHERE ${parts.join(' AND ')}` : '';
    return this.#database
      .prepare(`SELECT state FROM task_runs ${where} ORDER BY id DESC LIMIT ?`)
      .all(...values, filter.limit)
      .map(stateOf);
  }

  running(): readonly TaskState[] {
    const sql = "SELECT state FROM task_runs WHERE status = 'running' ORDER BY id";
    return this.#database.prepare(sql).all().map(stateOf);
  }

  /** Ended runs that are too many: of each machine all but `kept`, then the oldest while all use more than `bytes`. */
  tooMany(kept: number, bytes: number): readonly TaskState[] {
    const old = `SELECT state, id FROM (SELECT id, status, state, row_number() OVER (PARTITION BY mac ORDER BY id DESC)
      AS place FROM task_runs) WHERE place > ? AND status <> 'running' ORDER BY id LIMIT 1000`;
    const large = `SELECT state, id FROM (SELECT id, status, state, sum(bytes) OVER (ORDER BY id DESC) AS so_far
      FROM task_runs) WHERE so_far > ? AND status <> 'running' ORDER BY id LIMIT 1000`;
    const found = new Map<number, TaskState>();
    for (const row of this.#database.prepare(old).all(kept)) found.set(Number(row.id), stateOf(row));
    for (const row of this.#database.prepare(large).all(bytes)) found.set(Number(row.id), stateOf(row));
    return [...found.values()];
  }

  remove(id: number): void {
    this.#database.prepare('DELETE FROM task_runs WHERE id = ?').run(id);
  }

  hostKey(mac: string): HostKey | null {
    const row = this.#database.prepare('SELECT * FROM task_host_keys WHERE mac = ?').get(mac);
    if (!row) return null;
    const flashedAt = row.flashed_at === null ? null : Number(row.flashed_at);
    return { flashedAt, fingerprint: String(row.fingerprint) };
  }

  pin(mac: string, key: HostKey, at: number): void {
    this.#database
      .prepare(
        'INSERT OR REPLACE INTO task_host_keys (mac, flashed_at, fingerprint, pinned_at) VALUES (?, ?, ?, ?)',
      )
      .run(mac, key.flashedAt, key.fingerprint, at);
  }

  forgetHostKey(mac: string): boolean {
    return this.#database.prepare('DELETE FROM task_host_keys WHERE mac = ?').run(mac).changes > 0;
  }
}

type Row = Readonly<Record<string, unknown>>;

function stateOf(row: Row): TaskState {
  return JSON.parse(String(row.state)) as TaskState;
}

function fileOf(row: Row): TaskFileRow {
  return {
    name: String(row.name),
    version: Number(row.version),
    text: String(row.text),
    summary: String(row.summary),
    steps: Number(row.steps),
    savedAt: Number(row.saved_at),
    savedBy: String(row.saved_by),
  };
}
