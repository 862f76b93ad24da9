import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { Failure } from '../../shared/failure.ts';
import { until } from '../testing/files.ts';
import { temporaryDirectory } from '../testing.ts';
import { applicationId, databasePath, openDatabase } from './database.ts';
import { type Copied, type Disk, FileDisk } from './disk.ts';
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

/** A disk that keeps what a power cut would leave: the files as they were when they were last flushed. */
class CarefulDisk implements Disk {
  readonly real: FileDisk;
  readonly kept: string;
  readonly path: string;
  flushes = 0;
  copies = 0;
  broken: Error | null = null;
  /** While set, flushes are not carried out before it is resolved. */
  gate: Promise<void> | null = null;

  constructor(folder: string, kept: string) {
    this.path = databasePath(folder);
    this.kept = kept;
    this.real = new FileDisk(this.path);
  }

  /** Copies in a process of its own: see `keepCopy`. */
  keep(): void {
    for (const ending of ['', '-wal'])
      execFileSync('cp', [this.path + ending, databasePath(this.kept) + ending]);
  }

  flush(done: (error: Error | null) => void): void {
    this.flushes += 1;
    if (this.broken !== null) {
      queueMicrotask(() => done(this.broken));
      return;
    }
    void (this.gate ?? Promise.resolve()).then(() => {
      this.keep();
      this.real.flush(done);
    });
  }

  flushNow(): void {
    if (this.broken !== null) throw this.broken;
    this.real.flushNow();
    this.keep();
  }

  copy(done: (copied: Copied | null) => void): void {
    this.copies += 1;
    this.real.copy(done);
  }

  close(): void {
    this.real.close();
  }
}

function careful(context: TestContext) {
  const folder = temporaryDirectory(context);
  const kept = temporaryDirectory(context);
  const disk = new CarefulDisk(folder, kept);
  const database = openDatabase(folder, [first], disk);
  const insert = (value: number) =>
    database.write(() => void database.prepare('INSERT INTO a (x) VALUES (?)').run(value));
  /** What would be there after a power cut. */
  const survivors = () => {
    const connection = new DatabaseSync(databasePath(kept));
    const rows = connection.prepare('SELECT x FROM a ORDER BY x').all();
    connection.close();
    return rows.map(({ x }) => Number(x));
  };
  return { disk, database, insert, survivors };
}

test('nobody is told of a write before its flush, and what came meanwhile shares the next one', async (context) => {
  const { disk, database, insert, survivors } = careful(context);
  const gate = Promise.withResolvers<void>();
  disk.gate = gate.promise;
  const told: number[] = [];
  const all = [insert(1).then(() => told.push(1))];
  await until('the flush is asked for', () => disk.flushes === 1);
  all.push(...[2, 3, 4, 5, 6, 7, 8, 9].map((value) => insert(value).then(() => told.push(value))));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told, [], 'nothing is on the disk yet');
  assert.equal(database.prepare('SELECT count(*) AS n FROM a').get()?.n, 1, 'reads see what is committed');
  gate.resolve();
  await all[0];
  assert.ok(survivors().includes(1));
  await Promise.all(all);
  assert.deepEqual(survivors(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.ok(disk.flushes < all.length, `${disk.flushes} flushes`);
  database.close();
});

test('what may be told before it is on the disk does not wait for one, and is flushed with what comes then', async (context) => {
  const { disk, database, insert, survivors } = careful(context);
  const gate = Promise.withResolvers<void>();
  disk.gate = gate.promise;
  const first = insert(1);
  await until('the flush is asked for', () => disk.flushes === 1);
  const seen: number[] = [];
  const see = (value: number) =>
    database.write(
      () => {
        database.prepare('INSERT INTO a (x) VALUES (?)').run(value);
        database.afterCommit(() => seen.push(value));
        return value;
      },
      (given) => given !== 4,
    );
  const told: number[] = [];
  const third = insert(3).then(() => told.push(3));
  const fourth = see(4).then(() => told.push(4));
  assert.equal(await see(2), 2);
  assert.deepEqual([told, seen], [[], []], 'others wait, and so does what follows from it');
  gate.resolve();
  await Promise.all([first, third, fourth]);
  assert.deepEqual(survivors(), [1, 2, 3, 4]);
  assert.deepEqual(seen, [4, 2]);
  database.close();
});

test('what was acknowledged survives a power cut at any later moment, also while the journal is copied', async (context) => {
  const { disk, database, insert, survivors } = careful(context);
  const acknowledged: number[] = [];
  for (let round = 0; round < 40; round++) {
    const values = Array.from({ length: 40 }, (_, index) => round * 40 + index);
    await Promise.all(values.map((value) => insert(value)));
    acknowledged.push(...values);
    if (round % 8 === 7) assert.deepEqual(survivors(), acknowledged);
  }
  assert.ok(disk.copies > 0, 'the journal was copied meanwhile');
  database.close();
});

test('the journal begins anew when it is copied, so that it does not grow for ever', async (context) => {
  const folder = temporaryDirectory(context);
  const database = openDatabase(folder, [first]);
  const text = 'x'.repeat(4000);
  database.writeNow(() => database.connection.exec('CREATE TABLE long (x TEXT) STRICT'));
  for (let round = 0; round < 300; round++)
    await Promise.all(
      Array.from({ length: 100 }, () =>
        database.write(() => void database.prepare('INSERT INTO long VALUES (?)').run(text)),
      ),
    );
  const { size } = statSync(`${databasePath(folder)}-wal`);
  assert.ok(size < 32 << 20, `120 MB were written, and the journal has ${size} bytes`);
  database.close();
});

test('a flush that fails is no success for anybody, and the next write begins by saving the journal', async (context) => {
  const { disk, database, insert } = careful(context);
  await insert(1);
  disk.broken = new Error('EIO: no such luck');
  await assert.rejects(insert(2), /no such luck/);
  assert.throws(() => database.writeNow(() => 3), /no such luck/);
  disk.broken = null;
  await insert(4);
  const other = new DatabaseSync(disk.path, { readOnly: true });
  assert.equal(other.prepare('SELECT count(*) AS n FROM a WHERE x IN (1, 4)').get()?.n, 2);
  other.close();
  database.close();
});

test('it is opened with a journal ahead that the database itself flushes', (context) => {
  const database = openDatabase(temporaryDirectory(context));
  const pragma = (name: string) =>
    Object.values(database.connection.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  assert.deepEqual([pragma('journal_mode'), pragma('synchronous'), pragma('foreign_keys')], ['wal', 1, 1]);
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

test('a database of other pages gets ours, with its rows; where there is no room for that it is used as it is', (context) => {
  const pages = (database: ReturnType<typeof openDatabase>) =>
    database.connection.prepare('PRAGMA page_size').get()?.page_size;
  const folder = temporaryDirectory(context);
  const old = new DatabaseSync(databasePath(folder));
  old.exec('PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; CREATE TABLE a (x INTEGER) STRICT');
  old.exec('INSERT INTO a VALUES (7); PRAGMA user_version = 1');
  old.exec(`PRAGMA application_id = ${applicationId}`);
  // Whoever reads meanwhile keeps the journal in use.
  const reader = new DatabaseSync(databasePath(folder), { readOnly: true });
  reader.exec('BEGIN; SELECT * FROM a');
  old.close();
  const busy = openDatabase(folder, [first]);
  assert.deepEqual([pages(busy), busy.prepare('SELECT x FROM a').get()?.x], [4096, 7]);
  reader.close();
  busy.close();
  const now = openDatabase(folder, [first]);
  assert.deepEqual([pages(now), now.prepare('SELECT x FROM a').get()?.x], [8192, 7]);
  assert.equal(now.prepare('PRAGMA journal_mode').get()?.journal_mode, 'wal');
  now.close();
});

test('migrations are numbered in their order and named once', () => {
  const names = migrations.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)].sort());
});

/** As a program: opens the database of a folder with a migration that is long, and is killed meanwhile. */
const migrating = `
import { writeSync } from 'node:fs';
const [folder, database] = process.argv.slice(1);
const { openDatabase } = await import(database);
openDatabase(folder, [
  { name: '001-a', run: () => {} },
  {
    name: '002-long',
    run: (connection) => {
      connection.exec('ALTER TABLE a ADD COLUMN y TEXT');
      for (let row = 0; row < 1e9; row++) {
        connection.exec("UPDATE a SET y = hex(randomblob(2000))");
        if (row === 2) writeSync(1, 'in the middle');
      }
    },
  },
]);
`;

test('a kill -9 in the middle of a migration leaves the rows of before, and the next start migrates', async (context) => {
  const folder = temporaryDirectory(context);
  const old = openDatabase(folder, [first]);
  const insert = old.prepare('INSERT INTO a VALUES (?)');
  old.writeNow(() => {
    for (let row = 0; row < 500; row++) insert.run(row);
  });
  old.close();
  const file = new URL('./database.ts', import.meta.url).href;
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', migrating];
  const child = spawn(process.execPath, [...flags, folder, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const over = once(child, 'exit');
  child.kill('SIGKILL');
  assert.deepEqual(await over, [null, 'SIGKILL']);
  const untouched = new DatabaseSync(databasePath(folder), { readOnly: true });
  assert.equal(untouched.prepare('PRAGMA user_version').get()?.user_version, 1);
  untouched.close();
  const now = openDatabase(folder, [first, second]);
  const rows = now.prepare('SELECT x, y FROM a ORDER BY x').all();
  assert.deepEqual([rows.length, rows[7]?.x, rows[7]?.y], [500, 7, null]);
  assert.equal(now.prepare('PRAGMA integrity_check(1)').get()?.integrity_check, 'ok');
  now.close();
  const copy = new DatabaseSync(join(folder, 'backups', 'before-migration-from-1.db'), { readOnly: true });
  assert.equal(copy.prepare('SELECT count(*) AS n FROM a').get()?.n, 500);
  copy.close();
});
