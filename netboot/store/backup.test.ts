import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Failure } from '../../shared/failure.ts';
import { putMachine } from '../machines/testing.ts';
import { startTestAppliance, temporaryDirectory } from '../testing.ts';
import { backup, restore } from './backup.ts';
import { holdState } from './lock.ts';

const failsWith = (code: string) => (error: unknown) => error instanceof Failure && error.code === code;

test('a backup made while the appliance writes is whole, and moves it to another place with its CA', async (context) => {
  const appliance = await startTestAppliance(context, { config: { tlsGenerated: true, tlsPort: 0 } });
  const { services, stateDir } = appliance;
  const save = (index: number) =>
    services.machines.save(
      `02:00:00:00:${String(Math.floor(index / 100)).padStart(2, '0')}:${String(index % 100).padStart(2, '0')}`,
      { notes: `${index}` },
      'replace',
      null,
      { actor: 'test', address: null },
    );
  for (let index = 0; index < 100; index++) await save(index);
  const writing = Promise.all(Array.from({ length: 200 }, (_, index) => save(100 + index)));
  const file = join(temporaryDirectory(context), 'state.bak');
  const made = backup(stateDir, file, 1, 'test');
  await writing;
  assert.ok(made.bytes > 0);
  assert.throws(() => backup(stateDir, file, 1, 'test'), failsWith('BACKUP_REFUSED'));

  const elsewhere = temporaryDirectory(context);
  restore(elsewhere, file, 2);
  const moved = await startTestAppliance(context, {
    stateDir: elsewhere,
    config: { tlsGenerated: true, tlsPort: 0 },
  });
  assert.equal(moved.fingerprint, appliance.fingerprint);
  assert.equal(moved.services.machines.store.count({}), 100);
  const verdict = moved.services.events.verify();
  assert.equal(verdict.kind, 'intact');
  await moved.close();
});

test('restoring keeps what was there, and is refused while an appliance runs', async (context) => {
  const appliance = await startTestAppliance(context);
  await putMachine(appliance, '02:00:00:00:00:01', {});
  const file = join(temporaryDirectory(context), 'state.bak');
  backup(appliance.stateDir, file, 1, 'test');
  await putMachine(appliance, '02:00:00:00:00:02', {});
  assert.throws(() => restore(appliance.stateDir, file, 2), failsWith('STATE_BUSY'));
  await assert.rejects(
    startTestAppliance(context, { stateDir: appliance.stateDir }),
    failsWith('STATE_BUSY'),
  );
  await appliance.close();
  restore(appliance.stateDir, file, 3);
  const again = await startTestAppliance(context, { stateDir: appliance.stateDir });
  assert.equal(again.services.machines.store.count({}), 1);
  await again.close();
  const kept = readFileSync(join(appliance.stateDir, 'backups', 'before-restore-3.db'));
  assert.equal(kept.subarray(0, 15).toString(), 'SQLite format 3');
});

test('nobody else may read the state, a backup of it, or what a restore keeps', async (context) => {
  const appliance = await startTestAppliance(context);
  const { stateDir } = appliance;
  const file = join(temporaryDirectory(context), 'state.bak');
  backup(stateDir, file, 1, 'test');
  const open = (folder: string, names: readonly string[]) =>
    names.filter((name) => (statSync(join(folder, name)).mode & 0o077) !== 0);
  assert.deepEqual(open(file, ['']), []);
  const names = readdirSync(stateDir).filter((name) => name.startsWith('state.db'));
  assert.deepEqual(names, ['state.db', 'state.db-shm', 'state.db-wal']);
  assert.deepEqual(open(stateDir, names), []);
  await appliance.close();
  // As an earlier version left it.
  chmodSync(join(stateDir, 'state.db'), 0o644);
  restore(stateDir, file, 3);
  assert.deepEqual(open(stateDir, ['state.db', 'backups/before-restore-3.db']), []);
  chmodSync(join(stateDir, 'state.db'), 0o644);
  await startTestAppliance(context, { stateDir });
  assert.deepEqual(open(stateDir, ['state.db', 'state.db-wal']), []);
});

test('a restore that is killed at any step leaves the old state or the new one', async (context) => {
  const appliance = await startTestAppliance(context);
  const { stateDir } = appliance;
  await putMachine(appliance, '02:00:00:00:00:01', {});
  const file = join(temporaryDirectory(context), 'state.bak');
  backup(stateDir, file, 1, 'test');
  await putMachine(appliance, '02:00:00:00:00:02', {});
  await appliance.close();
  let ended: string | null = 'SIGKILL';
  let steps = 0;
  for (; ended === 'SIGKILL'; steps++) {
    const folder = temporaryDirectory(context);
    cpSync(stateDir, folder, { recursive: true });
    // It is killed before its change number `steps` to the names in the state directory.
    const program = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      let left = ${steps};
      for (const name of ['renameSync', 'linkSync', 'rmSync']) {
        const real = fs[name];
        fs[name] = (...given) => left-- === 0 ? process.kill(process.pid, 'SIGKILL') : real(...given);
      }
      syncBuiltinESMExports();
      const { restore } = await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'backup.ts')).href)});
      restore(${JSON.stringify(folder)}, ${JSON.stringify(file)}, 3);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    ended = child.signal;
    assert.equal(ended ?? child.status, ended ?? 0, child.stderr);
    const connection = new DatabaseSync(join(folder, 'state.db'), { readOnly: true });
    const count = Number(connection.prepare('SELECT count(*) AS n FROM machines').get()?.n);
    connection.close();
    assert.ok(ended === null ? count === 1 : count === 1 || count === 2, `${count} after step ${steps}`);
  }
  assert.ok(steps > 4);
});

test('what is no backup is refused, and the state stays', (context) => {
  const folder = temporaryDirectory(context);
  const file = join(folder, 'x.bak');
  assert.throws(() => restore(folder, file, 1), failsWith('BACKUP_REFUSED'));
  writeFileSync(file, 'SQLite format 3\0 and nothing more');
  assert.throws(() => restore(folder, file, 1), failsWith('BACKUP_REFUSED'));
  assert.throws(() => backup(folder, join(folder, 'y.bak'), 1, 'test'), failsWith('STATE_UNUSABLE'));
});

test('a state directory is held by one, and free again when that one ends', (context) => {
  const folder = temporaryDirectory(context);
  const release = holdState(folder);
  assert.throws(() => holdState(folder), failsWith('STATE_BUSY'));
  release();
  holdState(folder)();
});
