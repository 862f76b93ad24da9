import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Failure } from '../../shared/failure.ts';
import { temporaryDirectory } from '../testing.ts';
import { databasePath, openDatabase } from './database.ts';
import type { Migration } from './migration.ts';
import { migrations } from './migrations/index.ts';

const first: Migration = {
  name: '001-a',
  run: (database) => database.exec('CREATE TABLE a (x INTEGER) STRICT'),
};
const second: Migration = {
  name: '002-b',
  run: (database) => database.exec('ALTER TABLE a ADD COLUMN y TEXT'),
};
const broken: Migration = {
  name: '002-broken',
  run: (database) => {
    database.exec('ALTER TABLE a ADD COLUMN y TEXT');
    throw new Error('out of luck');
  },
};
const failsWith = (code: string) => (error: unknown) => error instanceof Failure && error.code === code;

test('writes of one moment are one transaction; one that throws leaves no trace and disturbs no other', async (context) => {
  const database = openDatabase(temporaryDirectory(context), [first]);
  const insert = (value: number) => database.prepare('INSERT INTO a VALUES (?)').run(value);
  const told: string[] = [];
  const results = await Promise.allSettled([
    database.write(() => {
      insert(1);
      database.afterCommit(() => told.push('one'));
      return 'done';
    }),
    database.write(() => {
      insert(2);
      database.afterCommit(() => told.push('two'));
      throw new Error('no');
    }),
    database.write(() => insert(3)),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(
    database
      .prepare('SELECT x FROM a ORDER BY x')
      .all()
      .map(({ x }) => x),
    [1, 3],
  );
  assert.deepEqual(told, ['one']);
  assert.equal(
    database.writeNow(() => 5),
    5,
  );
  assert.throws(
    () =>
      database.writeNow(() => {
        throw new Error('told at once');
      }),
    /told at once/,
  );
  database.close();
  await assert.rejects(database.write(() => 1));
});

test('it is opened with a journal ahead and every commit flushed', (context) => {
  const database = openDatabase(temporaryDirectory(context));
  const pragma = (name: string) =>
    Object.values(database.connection.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  assert.deepEqual([pragma('journal_mode'), pragma('synchronous'), pragma('foreign_keys')], ['wal', 2, 1]);
  database.close();
});

test('an older database is copied, then migrated; its rows are kept', (context) => {
  const folder = temporaryDirectory(context);
  const old = openDatabase(folder, [first]);
  old.writeNow(() => old.prepare('INSERT INTO a VALUES (7)').run());
  old.close();
  const now = openDatabase(folder, [first, second]);
  assert.deepEqual({ ...now.prepare('SELECT * FROM a').get() }, { x: 7, y: null });
  now.close();
  const copy = new DatabaseSync(join(folder, 'backups', 'before-migration-from-1.db'), { readOnly: true });
  assert.deepEqual({ ...copy.prepare('SELECT * FROM a').get() }, { x: 7 });
  copy.close();
});

test('a migration that fails leaves the database as it was', (context) => {
  const folder = temporaryDirectory(context);
  openDatabase(folder, [first]).close();
  assert.throws(() => openDatabase(folder, [first, broken]), failsWith('STATE_UNUSABLE'));
  const again = openDatabase(folder, [first]);
  assert.deepEqual(again.prepare('SELECT * FROM a').all(), []);
  again.close();
});

test('a newer database, another program’s, and no database at all are refused and left alone', (context) => {
  const folder = temporaryDirectory(context);
  openDatabase(folder, [first, second]).close();
  assert.throws(() => openDatabase(folder, [first]), failsWith('STATE_NEWER'));
  const foreign = temporaryDirectory(context);
  const other = new DatabaseSync(databasePath(foreign));
  other.exec('CREATE TABLE theirs (x)');
  other.close();
  assert.throws(() => openDatabase(foreign), failsWith('STATE_FOREIGN'));
  assert.throws(() => openDatabase('/dev/null/nowhere'), failsWith('STATE_UNUSABLE'));
  assert.ok(existsSync(databasePath(foreign)));
  assert.equal(readdirSync(folder).includes('backups'), false);
});

test('migrations are numbered in their order and named once', () => {
  const names = migrations.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)].sort());
});
