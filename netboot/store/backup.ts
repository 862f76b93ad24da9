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
import { applicationId, databasePath } from './database.ts';
import { keepPrivate, makeStateFolder } from './folder.ts';
import { holdState } from './lock.ts';
import type { Migration } from './migration.ts';
import { migrations as allMigrations } from './migrations/index.ts';

/** Files beside the database that cannot be made again. */
const files = ['tls/ca.pem', 'tls/ca.key', 'dhcp/settings.json', 'dhcp/leases.journal'] as const;

export interface BackupInfo {
  readonly path: string;
  readonly bytes: number;
  /** Version of the schema. */
  readonly version: number;
}

/** Writes the state of `stateDir` to `target`, also while the appliance runs. Failures: STATE_UNUSABLE, BACKUP_REFUSED. */
export function backup(stateDir: string, target: string, now: number, program: string): BackupInfo {
  if (existsSync(target)) throw failure('BACKUP_REFUSED', { path: target, problem: 'it exists already' });
  const source = databasePath(stateDir);
  if (!existsSync(source))
    throw failure('STATE_UNUSABLE', { path: stateDir, problem: 'there is no state.db in it' });
  const partial = `${target}.partial`;
  rmSync(partial, { force: true });
  try {
    // It holds the key of the CA; SQLite writes into an empty file that is there.
    keepPrivate(partial);
    const connection = new DatabaseSync(source, { readOnly: true, timeout: 5000 });
    try {
      // One transaction sees one moment, whatever is written meanwhile.
      connection.prepare('VACUUM INTO ?').run(partial);
    } finally {
      connection.close();
    }
    const copy = new DatabaseSync(partial);
    try {
      copy.exec(`
        CREATE TABLE backup_info (program TEXT NOT NULL, made_at INTEGER NOT NULL) STRICT;
        CREATE TABLE backup_files (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
        DELETE FROM sessions;
        DELETE FROM tickets;
      `);
      copy.prepare('INSERT INTO backup_info (program, made_at) VALUES (?, ?)').run(program, now);
      for (const name of files) {
        const path = join(stateDir, name);
        if (existsSync(path))
          copy
            .prepare('INSERT INTO backup_files (name, content) VALUES (?, ?)')
            .run(name, readFileSync(path));
      }
      const version = versionOf(copy);
      copy.close();
      renameSync(partial, target);
      return { path: target, bytes: statSync(target).size, version };
    } finally {
      if (copy.isOpen) copy.close();
    }
  } catch (error) {
    rmSync(partial, { force: true });
    if (error instanceof Error && error.name === 'Failure') throw error;
    const problem = error instanceof Error ? error.message : String(error);
    throw failure('BACKUP_REFUSED', { path: target, problem }, error);
  }
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
): BackupInfo {
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
  copy.exec('DROP TABLE backup_info; DROP TABLE backup_files');
  copy.close();
  if (existsSync(target)) {
    const old = join(stateDir, 'backups', `before-restore-${now}.db`);
    makeStateFolder(dirname(old));
    keepPrivate(target);
    // What the old one has in its journal belongs into the file that is kept.
    const current = new DatabaseSync(target);
    const busy = Object.values(current.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() ?? {})[0];
    current.close();
    if (Number(busy) !== 0) throw failure('STATE_BUSY', { path: stateDir });
    keepAs(target, old);
  }
  for (const ending of ['-wal', '-shm']) rmSync(target + ending, { force: true });
  // One step: whenever this is killed, there is the old state or the new one.
  sync(partial);
  renameSync(partial, target);
  sync(stateDir);
  for (const { name, content } of kept) {
    if (!(files as readonly string[]).includes(name)) continue;
    const path = join(stateDir, name);
    makeStateFolder(dirname(path), 0o700);
    writeFileSync(`${path}.restored`, content, { mode: 0o600 });
    sync(`${path}.restored`);
    renameSync(`${path}.restored`, path);
  }
  return { path: target, bytes: statSync(target).size, version };
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
  const refuse = (problem: string, cause?: unknown) =>
    failure('BACKUP_REFUSED', { path: source, problem }, cause);
  if (!existsSync(source)) throw refuse('there is no such file');
  let connection: DatabaseSync | null = null;
  try {
    connection = new DatabaseSync(source, { readOnly: true });
    const id = Object.values(connection.prepare('PRAGMA application_id').get() ?? {})[0];
    if (Number(id) !== applicationId) throw refuse('it is no backup of this appliance');
    const version = versionOf(connection);
    if (version > migrations.length)
      throw failure('STATE_NEWER', { path: source, found: version, known: migrations.length });
    const found = connection
      .prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('backup_info', 'backup_files')")
      .get();
    if (Number(found?.n) !== 2) throw refuse('it was not made by "bty-web backup"');
    const verdict = Object.values(connection.prepare('PRAGMA integrity_check(1)').get() ?? {})[0];
    if (verdict !== 'ok') throw refuse(`it is damaged: ${String(verdict)}`);
    return version;
  } catch (error) {
    if (error instanceof Error && error.name === 'Failure') throw error;
    throw refuse(error instanceof Error ? error.message : String(error), error);
  } finally {
    connection?.close();
  }
}

function versionOf(connection: DatabaseSync): number {
  return Number(Object.values(connection.prepare('PRAGMA user_version').get() ?? {})[0] ?? 0);
}
