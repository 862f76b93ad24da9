/**
 * The one SQLite database of the appliance and its one writer.
 *
 * WAL, so that readers (backup, `audit verify`) never wait for the writer. Nobody is told of a write before it is on
 * the disk: an acknowledged "this machine is flashed" that a power cut takes back would flash the machine again. The
 * main thread never waits for that: it commits without a flush (`synchronous=NORMAL`), and the writes that came
 * together are answered after one flush of the journal, which `disk.ts` has the system's threads do. Reads see a
 * write once it is committed, a few milliseconds before it is answered. A write that nobody misses after a power cut
 * says so, and is answered then.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { failure } from '../../shared/failure.ts';
import { type Disk, FileDisk } from './disk.ts';
import { keepPrivate, makeStateFolder } from './folder.ts';
import type { Migration } from './migration.ts';
import { migrations as allMigrations } from './migrations/index.ts';

/** Says in a file's header that it is ours ("bty1"). */
export const applicationId = 0x62747931;

interface Waiting {
  readonly work: () => unknown;
  /** Whether what it gave may be told before it is on the disk. */
  readonly soon: ((value: never) => boolean) | null;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

/** A write that is committed and not yet on the disk. */
interface Committed {
  readonly settle: () => void;
  readonly reject: (reason: unknown) => void;
  readonly tasks: readonly (() => void)[];
}

/** Milliseconds of writes in one transaction; the others have their turn after it, and packets in between. */
const turn = 5;
/** Writes after which the journal is copied into the database. */
const copyAfter = 1000;
/**
 * Bytes of a page. A row without a rowid has at most a quarter of one in its place, and a page of its own for what is
 * left: with half as much, a hundred thousand machines would take 480 MB instead of 130.
 */
const pageBytes = 8192;
/** Pages of journal after which writes wait until it can begin anew. */
const longJournal = 2048;

export class Database {
  readonly connection: DatabaseSync;
  readonly #disk: Disk | null;
  readonly #statements = new Map<string, StatementSync>();
  #waiting: Waiting[] = [];
  /** Whether one of those that wait may be told before it is on the disk. */
  #hurried = false;
  #scheduled = false;
  #committed: Committed[] = [];
  /** What the flush that is under way makes durable. */
  #flushing: Committed[] | null = null;
  #tasks: (() => void)[] = [];
  /** What ends the transaction that runs. */
  readonly #last = new Set<() => void>();
  #writing = false;
  #closed = false;
  /** True while a flush failed and nothing else proved that the journal can be kept. */
  #doubtful = false;
  #sinceCopy = 0;
  #undone = 0;
  /** `hold`: writes wait until the journal is copied to its end, so that it begins anew. */
  #copying: 'no' | 'beside' | 'hold' = 'no';

  /** Without a `disk` the connection has to flush each commit itself. */
  constructor(connection: DatabaseSync, disk: Disk | null = null) {
    this.connection = connection;
    this.#disk = disk;
  }

  /** Grows with each write that was taken back: what was remembered of it is wrong then. */
  get undone(): number {
    return this.#undone;
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
   * What it gives and `soon` holds for is told once it is committed: a power cut in that moment takes it back.
   */
  write<Value>(work: () => Value, soon: ((value: Value) => boolean) | null = null): Promise<Value> {
    if (this.#closed) return Promise.reject(new Error('the database is closed'));
    return new Promise<Value>((resolve, reject) => {
      this.#waiting.push({ work, soon, resolve: resolve as (value: never) => void, reject });
      this.#hurried ||= soon !== null;
      this.#arrange();
    });
  }

  /** As `write`, at once. For starting up and for ending. */
  writeNow<Value>(work: () => Value): Value {
    this.flush();
    let result: { readonly value: Value } | { readonly error: unknown } | null = null;
    this.#waiting.push({
      work,
      soon: null,
      resolve: (value: Value) => {
        result = { value };
      },
      reject: (error) => {
        result = { error };
      },
    });
    this.#commit(Number.POSITIVE_INFINITY);
    this.#flushNow();
    const settled = result as { readonly value: Value } | { readonly error: unknown } | null;
    if (settled === null) throw new Error('the write did not run');
    if ('error' in settled) throw settled.error;
    return settled.value;
  }

  /** Inside `work`: runs `task` once the transaction is on the disk; never when it is not. */
  afterCommit(task: () => void): void {
    if (!this.#writing) throw new Error('afterCommit outside of a write');
    this.#tasks.push(task);
  }

  /** Inside `work`: runs `task` as the last work of the transaction, once however many writes ask for it. */
  beforeCommit(task: () => void): void {
    if (!this.#writing) throw new Error('beforeCommit outside of a write');
    this.#last.add(task);
  }

  /** Commits what waits, so that reads see it. */
  flush(): void {
    if (this.#closed) return;
    this.#commit(Number.POSITIVE_INFINITY);
    this.#flushSoon();
  }

  /** While the journal is copied, it must not grow faster than it is copied. */
  get #held(): boolean {
    return this.#copying === 'hold' || (this.#copying === 'beside' && this.#sinceCopy > 2 * copyAfter);
  }

  /** Writes that come while a flush is under way are the next transaction, unless one of them is told without it. */
  #arrange(): void {
    if (this.#scheduled || this.#held || (this.#flushing !== null && !this.#hurried)) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#closed || this.#held) return;
      this.#commit(turn);
      this.#flushSoon();
      if (this.#waiting.length > 0) this.#arrange();
    });
  }

  /** Runs what waits as one transaction, for `milliseconds` at most; the rest stays waiting. */
  #commit(milliseconds: number): void {
    if (this.#waiting.length === 0 || this.#closed) return;
    const end = performance.now() + milliseconds;
    const batch: Waiting[] = [];
    const done: Committed[] = [];
    const failed: (() => void)[] = [];
    const early: (() => void)[] = [];
    try {
      this.#dispelDoubt();
      this.connection.exec('BEGIN IMMEDIATE');
      this.#writing = true;
      let taken = 0;
      for (const one of this.#waiting) {
        if (taken > 0 && performance.now() > end) break;
        taken += 1;
        batch.push(one);
        const { work, soon, resolve, reject } = one;
        this.#tasks = [];
        this.prepare('SAVEPOINT one').run();
        try {
          const value = work() as never;
          this.prepare('RELEASE one').run();
          const settle = () => resolve(value);
          if (soon?.(value)) early.push(settle);
          done.push({ settle, reject, tasks: this.#tasks });
        } catch (error) {
          this.#undone += 1;
          this.connection.exec('ROLLBACK TO one; RELEASE one');
          failed.push(() => reject(error));
        }
      }
      this.#waiting = this.#waiting.slice(taken);
      this.#hurried = this.#waiting.some(({ soon }) => soon !== null);
      for (const task of this.#last) task();
      this.connection.exec('COMMIT');
    } catch (error) {
      // The disk is full or gone: nobody is told that a write succeeded.
      this.#undone += 1;
      if (this.connection.isTransaction) this.connection.exec('ROLLBACK');
      const lost = batch.length > 0 ? batch : this.#waiting;
      this.#waiting = this.#waiting.filter((one) => !lost.includes(one));
      for (const { reject } of lost) reject(error);
      return;
    } finally {
      this.#writing = false;
      this.#tasks = [];
      this.#last.clear();
    }
    this.#sinceCopy += done.length;
    for (const tell of failed) tell();
    for (const settle of early) settle();
    this.#committed.push(...done);
  }

  #flushSoon(): void {
    if (this.#flushing !== null || this.#committed.length === 0) return;
    if (this.#disk === null) {
      this.#flushNow();
      return;
    }
    const group = this.#committed;
    this.#committed = [];
    this.#flushing = group;
    this.#disk.flush((error) => {
      // Somebody flushed at once meanwhile.
      if (this.#flushing !== group) return;
      this.#flushing = null;
      this.#settle(group, error);
      if (this.#closed) return;
      this.#flushSoon();
      if (this.#waiting.length > 0) this.#arrange();
      this.#copySoon();
    });
  }

  #flushNow(): void {
    const group = [...(this.#flushing ?? []), ...this.#committed];
    this.#flushing = null;
    this.#committed = [];
    if (group.length === 0) return;
    let problem: unknown = null;
    try {
      this.#disk?.flushNow();
    } catch (error) {
      problem = error;
    }
    this.#settle(group, problem);
  }

  #settle(group: readonly Committed[], error: unknown): void {
    if (error !== null) {
      this.#doubtful = true;
      for (const { reject } of group) reject(error);
      return;
    }
    for (const { settle } of group) settle();
    for (const { tasks } of group) for (const task of tasks) task();
  }

  /**
   * After a flush that failed, the kernel may call the next one a success without having written (fsync(2)). What is
   * in the journal goes into the database and is flushed there, before anything else is written. Throws when it cannot.
   */
  #dispelDoubt(): void {
    if (!this.#doubtful) return;
    const row = this.connection.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
    if (Number(row?.busy) !== 0) throw new Error('the journal cannot be flushed: it is being read');
    this.#doubtful = false;
  }

  /** SQLite begins its journal anew at the first write that finds all of it copied. */
  #copySoon(): void {
    if (this.#copying !== 'no' || this.#sinceCopy < copyAfter || this.#disk === null) return;
    this.#sinceCopy = 0;
    this.#copying = 'beside';
    this.#disk.copy((beside) => {
      if (beside === null) this.#copyHere();
      const whole = beside?.copied === beside?.pages && this.#sinceCopy === 0;
      if (beside === null || whole || beside.pages < longJournal) {
        this.#goOn();
        return;
      }
      // What was written meanwhile is little: nothing more is written until it is copied too.
      this.#copying = 'hold';
      this.#disk?.copy(() => this.#goOn());
    });
  }

  #goOn(): void {
    this.#copying = 'no';
    if (this.#waiting.length > 0 && !this.#closed) this.#arrange();
  }

  /** Without a second thread SQLite copies its journal itself, when it is long. */
  #copyHere(): void {
    if (!this.#closed) this.connection.exec('PRAGMA wal_autocheckpoint = 1000');
  }

  close(): void {
    if (this.#closed) return;
    this.#commit(Number.POSITIVE_INFINITY);
    this.#flushNow();
    this.#closed = true;
    this.#statements.clear();
    this.connection.close();
    this.#disk?.close();
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
export function openDatabase(
  stateDir: string,
  migrations: readonly Migration[] = allMigrations,
  disk: Disk = new FileDisk(databasePath(stateDir)),
): Database {
  const path = databasePath(stateDir);
  try {
    makeStateFolder(stateDir);
    keepPrivate(path);
    const connection = new DatabaseSync(path, { timeout: 5000 });
    try {
      check(connection, path, migrations);
      connection.exec(`
        PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
        PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA journal_size_limit = 67108864;
      `);
      migrate(connection, stateDir, migrations);
      widen(connection);
      // From here on `Database` flushes and copies; far beyond what it lets the journal grow to, SQLite copies itself.
      connection.exec('PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 8192');
    } catch (error) {
      connection.close();
      throw error;
    }
    return new Database(connection, disk);
  } catch (error) {
    if (error instanceof Error && error.name === 'Failure') throw error;
    const problem = error instanceof Error ? error.message : String(error);
    throw failure('STATE_UNUSABLE', { path: stateDir, problem }, error);
  }
}

/** A database that was made with other pages gets ours. Without room for a copy of it, it stays as it is. */
function widen(connection: DatabaseSync): void {
  if (pragma(connection, 'page_size') === pageBytes) return;
  try {
    connection.exec(`PRAGMA journal_mode = DELETE; PRAGMA page_size = ${pageBytes}; VACUUM`);
  } catch {
    // Nothing is lost but speed.
  } finally {
    connection.exec('PRAGMA journal_mode = WAL');
  }
}

function pragma(connection: DatabaseSync, name: 'application_id' | 'user_version' | 'page_size'): number {
  return Number(Object.values(connection.prepare(`PRAGMA ${name}`).get() ?? {})[0] ?? 0);
}

function check(connection: DatabaseSync, path: string, migrations: readonly Migration[]): void {
  const tables = connection.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n;
  const id = pragma(connection, 'application_id');
  if (Number(tables) > 0 && id !== applicationId) throw failure('STATE_FOREIGN', { path });
  const found = pragma(connection, 'user_version');
  if (found > migrations.length) throw failure('STATE_NEWER', { path, found, known: migrations.length });
}

function migrate(connection: DatabaseSync, stateDir: string, migrations: readonly Migration[]): void {
  const from = pragma(connection, 'user_version');
  if (from === migrations.length) return;
  if (from > 0) keepCopy(connection, stateDir, from);
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

function keepCopy(connection: DatabaseSync, stateDir: string, version: number): void {
  const folder = join(stateDir, 'backups');
  makeStateFolder(folder);
  const copy = join(folder, `before-migration-from-${version}.db`);
  if (existsSync(copy)) return;
  rmSync(`${copy}.partial`, { force: true });
  keepPrivate(`${copy}.partial`);
  // Not by reading its file: closing that would take the locks away that SQLite has on it (fcntl(2)).
  connection.prepare('VACUUM INTO ?').run(`${copy}.partial`);
  renameSync(`${copy}.partial`, copy);
}
