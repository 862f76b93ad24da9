/**
 * The one SQLite database of the appliance and its one writer.
 *
 * WAL, so that readers (backup, `audit verify`) never wait for the writer. `synchronous=FULL`, because an
 * acknowledged "this machine is flashed" that a power cut takes back would flash the machine again; what that
 * costs is shared: all writes that wait at one moment are one transaction and one flush to the disk.
 */
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { failure } from '../../shared/failure.ts';
import { keepPrivate, makeStateFolder } from './folder.ts';
import type { Migration } from './migration.ts';
import { migrations as allMigrations } from './migrations/index.ts';

/** Says in a file's header that it is ours ("bty1"). */
export const applicationId = 0x62747931;

interface Waiting {
  readonly work: () => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

export class Database {
  readonly connection: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #waiting: Waiting[] = [];
  #scheduled = false;
  #committed: (() => void)[] = [];
  #writing = false;
  #closed = false;

  constructor(connection: DatabaseSync) {
    this.connection = connection;
  }

  /** The prepared statement of `sql`, prepared once. Not for statements that are iterated while others run. */
  prepare(sql: string): StatementSync {
    let found = this.#statements.get(sql);
    if (found === undefined) {
      found = this.connection.prepare(sql);
      this.#statements.set(sql, found);
    }
    return found;
  }

  /** A statement of its own, for iterating over many rows. */
  prepareFresh(sql: string): StatementSync {
    return this.connection.prepare(sql);
  }

  /**
   * Runs `work` (synchronous: reads and writes through this object) in a transaction and answers when it is safe on
   * the disk. `work` that throws leaves no trace, and its error is thrown here; other writes are not touched.
   */
  write<Value>(work: () => Value): Promise<Value> {
    if (this.#closed) return Promise.reject(new Error('the database is closed'));
    return new Promise<Value>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: never) => void, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.flush();
      });
    });
  }

  /** As `write`, at once. For starting up and for ending. */
  writeNow<Value>(work: () => Value): Value {
    this.flush();
    let result: { readonly value: Value } | { readonly error: unknown } | null = null;
    this.#waiting.push({
      work,
      resolve: (value: Value) => {
        result = { value };
      },
      reject: (error) => {
        result = { error };
      },
    });
    this.flush();
    const settled = result as { readonly value: Value } | { readonly error: unknown } | null;
    if (settled === null) throw new Error('the write did not run');
    if ('error' in settled) throw settled.error;
    return settled.value;
  }

  /** Inside `work`: runs `task` once the transaction is on the disk; never when it is not. */
  afterCommit(task: () => void): void {
    if (!this.#writing) throw new Error('afterCommit outside of a write');
    this.#committed.push(task);
  }

  /** Writes what waits, as one transaction. */
  flush(): void {
    const batch = this.#waiting;
    if (batch.length === 0 || this.#closed) return;
    this.#waiting = [];
    const settle: (() => void)[] = [];
    const tasks: (() => void)[] = [];
    try {
      this.connection.exec('BEGIN IMMEDIATE');
      this.#writing = true;
      for (const { work, resolve, reject } of batch) {
        this.#committed = [];
        this.connection.exec('SAVEPOINT one');
        try {
          const value = work() as never;
          this.connection.exec('RELEASE one');
          tasks.push(...this.#committed);
          settle.push(() => resolve(value));
        } catch (error) {
          this.connection.exec('ROLLBACK TO one; RELEASE one');
          settle.push(() => reject(error));
        }
      }
      this.connection.exec('COMMIT');
    } catch (error) {
      // The disk is full or gone: nobody is told that a write succeeded.
      if (this.connection.isTransaction) this.connection.exec('ROLLBACK');
      for (const { reject } of batch) reject(error);
      return;
    } finally {
      this.#writing = false;
      this.#committed = [];
    }
    for (const done of settle) done();
    for (const task of tasks) task();
  }

  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.#statements.clear();
    this.connection.close();
  }
}

/** Where a state directory keeps its database. */
export function databasePath(stateDir: string): string {
  return join(stateDir, 'state.db');
}

/**
 * Opens (or makes) the database of `stateDir` and brings it up to date; before that an older one is copied to
 * `backups/`. Failures: STATE_UNUSABLE, STATE_NEWER.
 */
export function openDatabase(stateDir: string, migrations: readonly Migration[] = allMigrations): Database {
  const path = databasePath(stateDir);
  try {
    makeStateFolder(stateDir);
    keepPrivate(path);
    const connection = new DatabaseSync(path, { timeout: 5000 });
    try {
      check(connection, path, migrations);
      connection.exec(`
        PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
        PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA journal_size_limit = 67108864;
      `);
      migrate(connection, path, stateDir, migrations);
    } catch (error) {
      connection.close();
      throw error;
    }
    return new Database(connection);
  } catch (error) {
    if (error instanceof Error && error.name === 'Failure') throw error;
    const problem = error instanceof Error ? error.message : String(error);
    throw failure('STATE_UNUSABLE', { path: stateDir, problem }, error);
  }
}

function pragma(connection: DatabaseSync, name: 'application_id' | 'user_version'): number {
  return Number(Object.values(connection.prepare(`PRAGMA ${name}`).get() ?? {})[0] ?? 0);
}

function check(connection: DatabaseSync, path: string, migrations: readonly Migration[]): void {
  const tables = connection.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n;
  const id = pragma(connection, 'application_id');
  if (Number(tables) > 0 && id !== applicationId) throw failure('STATE_FOREIGN', { path });
  const found = pragma(connection, 'user_version');
  if (found > migrations.length) throw failure('STATE_NEWER', { path, found, known: migrations.length });
}

function migrate(
  connection: DatabaseSync,
  path: string,
  stateDir: string,
  migrations: readonly Migration[],
): void {
  const from = pragma(connection, 'user_version');
  if (from === migrations.length) return;
  if (from > 0) keepCopy(connection, path, stateDir, from);
  connection.exec('BEGIN EXCLUSIVE');
  try {
    for (const migration of migrations.slice(from)) migration.run(connection);
    connection.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length}`);
    connection.exec('COMMIT');
  } catch (error) {
    if (connection.isTransaction) connection.exec('ROLLBACK');
    throw error;
  }
}

function keepCopy(connection: DatabaseSync, path: string, stateDir: string, version: number): void {
  const folder = join(stateDir, 'backups');
  makeStateFolder(folder);
  const copy = join(folder, `before-migration-from-${version}.db`);
  if (existsSync(copy)) return;
  connection.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  rmSync(`${copy}.partial`, { force: true });
  keepPrivate(`${copy}.partial`);
  copyFileSync(path, `${copy}.partial`);
  renameSync(`${copy}.partial`, copy);
}
