/** The state in one file: a SQLite database with the version of its schema, the keys of our own CA, and what DHCP keeps. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { failure } from '../../shared/failure.ts';
import { recorded } from '../dhcp/journal.ts';
import { askAside } from './aside.ts';
import { applicationId, databasePath } from './database.ts';
import { keepPrivate, makeStateFolder } from './folder.ts';
import { holdState } from './lock.ts';
import type { Migration } from './migration.ts';
import { migrations as allMigrations } from './migrations/index.ts';

/** Files beside the database that cannot be made again. */
const files = ['tls/ca.pem', 'tls/ca.key', 'dhcp/settings.json', 'dhcp/leases.journal'] as const;

const ownTables = `
  CREATE TABLE backup_info (program TEXT NOT NULL, made_at INTEGER NOT NULL) STRICT;
  CREATE TABLE backup_files (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
`;

export interface BackupInfo {
  readonly path: string;
  readonly bytes: number;
  /** Version of the schema. */
  readonly version: number;
}

export interface RestoredState extends BackupInfo {
  /** Puts back what was there before: for when nothing starts with the backup. */
  readonly takeBack: () => void;
}

/** Writes the state of `stateDir` to `target`, also while the appliance runs. Failures: STATE_UNUSABLE, BACKUP_REFUSED. */
export function backup(stateDir: string, target: string, now: number, program: string): BackupInfo {
  const { source, partial } = prepared(stateDir, target);
  try {
    const connection = new DatabaseSync(source, { readOnly: true, timeout: 5000 });
    try {
      connection.prepare(copyInto).run(partial);
    } finally {
      connection.close();
    }
    return completed(stateDir, target, now, program);
  } catch (error) {
    throw refused(target, error);
  }
}

/** As `backup`; who else has something to do goes on meanwhile. */
export async function backupAside(
  stateDir: string,
  target: string,
  now: number,
  program: string,
): Promise<BackupInfo> {
  const { source, partial } = prepared(stateDir, target);
  try {
    await askAside(source, copyInto, partial);
    return completed(stateDir, target, now, program);
  } catch (error) {
    throw refused(target, error);
  }
}

/** One transaction sees one moment, whatever is written meanwhile. */
const copyInto = 'VACUUM INTO ?';

function prepared(stateDir: string, target: string): { readonly source: string; readonly partial: string } {
  if (existsSync(target)) throw failure('BACKUP_REFUSED', { path: target, problem: 'it exists already' });
  const source = databasePath(stateDir);
  if (!existsSync(source))
    throw failure('STATE_UNUSABLE', { path: stateDir, problem: 'there is no state.db in it' });
  const partial = `${target}.partial`;
  try {
    rmSync(partial, { force: true });
    // It holds the key of the CA; SQLite writes into an empty file that is there.
    keepPrivate(partial);
  } catch (error) {
    throw refused(target, error);
  }
  return { source, partial };
}

/** The copy gets what else belongs to the state, and its name. */
function completed(stateDir: string, target: string, now: number, program: string): BackupInfo {
  const partial = `${target}.partial`;
  const copy = new DatabaseSync(partial);
  try {
    copy.exec(`${ownTables} DELETE FROM sessions; DELETE FROM tickets`);
    copy.prepare('INSERT INTO backup_info (program, made_at) VALUES (?, ?)').run(program, now);
    for (const name of files) {
      const path = join(stateDir, name);
      if (!existsSync(path)) continue;
      const content = recorded(readFileSync(path));
      copy.prepare('INSERT INTO backup_files (name, content) VALUES (?, ?)').run(name, content);
    }
    const version = versionOf(copy);
    copy.close();
    renameSync(partial, target);
    return { path: target, bytes: statSync(target).size, version };
  } finally {
    if (copy.isOpen) copy.close();
  }
}

function refused(target: string, error: unknown): unknown {
  rmSync(`${target}.partial`, { force: true });
  if (error instanceof Error && error.name === 'Failure') return error;
  const problem = error instanceof Error ? error.message : String(error);
  return failure('BACKUP_REFUSED', { path: target, problem }, error);
}

/**
 * Puts the backup `source` in the place of the state in `stateDir`; what was there is kept in `backups/`. Failures:
 * STATE_BUSY while an appliance runs there, BACKUP_REFUSED, STATE_NEWER.
 */
export function restore(
  stateDir: string,
  source: string,
  now: number,
  migrations: readonly Migration[] = allMigrations,
): BackupInfo {
  const release = holdState(stateDir);
  try {
    return restoreHeld(stateDir, source, now, migrations);
  } finally {
    release();
  }
}

/** As `restore`, for whoever holds the state. */
export function restoreHeld(
  stateDir: string,
  source: string,
  now: number,
  migrations: readonly Migration[] = allMigrations,
): RestoredState {
  const version = checkBackup(source, migrations);
  const target = databasePath(stateDir);
  const partial = `${target}.partial`;
  rmSync(partial, { force: true });
  keepPrivate(partial);
  const connection = new DatabaseSync(source, { readOnly: true });
  let kept: { readonly name: string; readonly content: Uint8Array }[];
  try {
    connection.prepare('VACUUM INTO ?').run(partial);
    kept = connection
      .prepare('SELECT name, content FROM backup_files')
      .all()
      .map(({ name, content }) => ({ name: String(name), content: content as Uint8Array }));
  } finally {
    connection.close();
  }
  const copy = new DatabaseSync(partial);
  // What is kept beside the machines is made anew of them.
  copy.exec('DROP TABLE backup_info; DROP TABLE backup_files; UPDATE machines SET wire = NULL');
  copy.close();
  const old = existsSync(target) ? join(stateDir, 'backups', `before-restore-${now}.db`) : null;
  if (old !== null) {
    makeStateFolder(dirname(old));
    keepPrivate(target);
    // What the old one has in its journal belongs into the file that is kept.
    const current = new DatabaseSync(target);
    const busy = Object.values(current.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() ?? {})[0];
    current.close();
    if (Number(busy) !== 0) throw failure('STATE_BUSY', { path: stateDir });
    keepAs(target, old);
  }
  replace(stateDir, partial);
  const ours = kept.filter(({ name }) => (files as readonly string[]).includes(name));
  const before = ours.map(({ name }) => {
    const path = join(stateDir, name);
    return { name, content: existsSync(path) ? readFileSync(path) : null };
  });
  for (const file of ours) putFile(stateDir, file);
  const takeBack = () => {
    if (old === null) for (const ending of ['', '-wal', '-shm']) rmSync(target + ending, { force: true });
    else {
      rmSync(partial, { force: true });
      keepPrivate(partial);
      copyFileSync(old, partial);
      replace(stateDir, partial);
    }
    for (const file of before) putFile(stateDir, file);
  };
  return { path: target, bytes: statSync(target).size, version, takeBack };
}

/** Makes `partial` the database, in one step: whenever this is killed, there is the old state or the new one. */
function replace(stateDir: string, partial: string): void {
  const target = databasePath(stateDir);
  for (const ending of ['-wal', '-shm']) rmSync(target + ending, { force: true });
  sync(partial);
  renameSync(partial, target);
  sync(stateDir);
}

/** `content` null: the file goes. */
function putFile(
  stateDir: string,
  { name, content }: { readonly name: string; readonly content: Uint8Array | null },
): void {
  const path = join(stateDir, name);
  if (content === null) {
    rmSync(path, { force: true });
    return;
  }
  makeStateFolder(dirname(path), 0o700);
  writeFileSync(`${path}.restored`, content, { mode: 0o600 });
  sync(`${path}.restored`);
  renameSync(`${path}.restored`, path);
}

/** Gives a file a second name; a copy where the file system knows only one. */
function keepAs(path: string, name: string): void {
  rmSync(name, { force: true });
  try {
    linkSync(path, name);
  } catch {
    keepPrivate(name);
    copyFileSync(path, name);
    sync(name);
  }
  sync(dirname(name));
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Version of the schema of the backup `source`. Failures: BACKUP_REFUSED, STATE_NEWER. */
export function checkBackup(source: string, migrations: readonly Migration[] = allMigrations): number {
  const version = checkForm(source, migrations);
  const connection = new DatabaseSync(source, { readOnly: true });
  try {
    checkVerdict(source, connection.prepare(integrity).get());
    return version;
  } finally {
    connection.close();
  }
}

/** As `checkBackup`; who else has something to do goes on meanwhile. */
export async function checkBackupAside(source: string): Promise<number> {
  const version = checkForm(source, allMigrations);
  checkVerdict(
    source,
    await askAside(source, integrity).catch((error: unknown) => ({ error: String(error) })),
  );
  return version;
}

const integrity = 'PRAGMA integrity_check(1)';

function checkVerdict(source: string, row: Readonly<Record<string, unknown>> | undefined): void {
  const verdict = Object.values(row ?? {})[0];
  if (verdict !== 'ok') throw unusable(source, `it is damaged: ${String(verdict)}`);
}

const unusable = (path: string, problem: string, cause?: unknown) =>
  failure('BACKUP_REFUSED', { path, problem }, cause);

function checkForm(source: string, migrations: readonly Migration[]): number {
  const refuse = (problem: string, cause?: unknown) => unusable(source, problem, cause);
  if (!existsSync(source)) throw refuse('there is no such file');
  let connection: DatabaseSync | null = null;
  try {
    connection = new DatabaseSync(source, { readOnly: true });
    // Nothing of its schema runs before it is known to be ours.
    connection.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON');
    const id = Object.values(connection.prepare('PRAGMA application_id').get() ?? {})[0];
    if (Number(id) !== applicationId) throw refuse('it is no backup of this appliance');
    const version = versionOf(connection);
    if (version > migrations.length)
      throw failure('STATE_NEWER', { path: source, found: version, known: migrations.length });
    const found = connection
      .prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('backup_info', 'backup_files')")
      .get();
    if (Number(found?.n) !== 2) throw refuse('it was not made by "bty-web backup"');
    const strange = strangerIn(connection, migrations.slice(0, version));
    if (strange !== null) throw refuse(`it holds ${strange}, as no backup of this version does`);
    return version;
  } catch (error) {
    if (error instanceof Error && error.name === 'Failure') throw error;
    throw refuse(error instanceof Error ? error.message : String(error), error);
  } finally {
    connection?.close();
  }
}

/**
 * What tells a schema from the one that `migrations` make, null when it is the same: a trigger, a view or another form
 * of a table could do anything once the appliance runs with it, and a table that is not there would stop it for ever.
 */
function strangerIn(connection: DatabaseSync, migrations: readonly Migration[]): string | null {
  const ours = new DatabaseSync(':memory:');
  try {
    for (const migration of migrations) migration.run(ours);
    ours.exec(ownTables);
    const wanted = new Set(partsOf(ours));
    for (const part of partsOf(connection)) if (!wanted.delete(part)) return `"${part.slice(0, 80)}"`;
    const [missing] = wanted;
    return missing === undefined ? null : `no "${missing.slice(0, 80)}"`;
  } finally {
    ours.close();
  }
}

/** Each table, index, trigger and view with its definition, without comments and in one line. */
function partsOf(connection: DatabaseSync): string[] {
  const rows = connection.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema').all();
  return rows.map(({ type, name, tbl_name, sql }) => {
    const plain = String(sql ?? '')
      .replaceAll(/--[^\n]*/g, '')
      .replaceAll(/\s+/g, ' ');
    return `${type} ${name} ${tbl_name} ${plain}`;
  });
}

function versionOf(connection: DatabaseSync): number {
  return Number(Object.values(connection.prepare('PRAGMA user_version').get() ?? {})[0] ?? 0);
}
