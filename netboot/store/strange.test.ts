/** Backups that somebody made by hand: none of them takes the appliance down, or brings something that runs in it. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import type { RestoreOffer } from '../../shared/contract/system.ts';
import { Failure } from '../../shared/failure.ts';
import { routes } from '../http/routes/index.ts';
import { makeApplication } from '../http/server.ts';
import { bootLive, image, installLive, inventoryOf, putMachine } from '../machines/testing.ts';
import { value } from '../testing/images.ts';
import { startTestAppliance, temporaryDirectory } from '../testing.ts';
import { backup, restore } from './backup.ts';

const mac = '02:00:00:00:00:01';
const settings = '{"interfaces":[]}';
const refused = (error: unknown) => error instanceof Failure && error.code === 'BACKUP_REFUSED';

/** A backup of an appliance in which everything that is kept was kept once, and its state directory. */
async function made(context: TestContext) {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash', labels: { rack: '7' } });
  const live = await bootLive(appliance, mac);
  assert.equal(
    (await live.ask('inventory', inventoryOf('4c4c4544-0000-2010-8020-80c04f4e3132', 'S1'))).status,
    204,
  );
  await appliance.askAdmin('/images/a.img', { method: 'PUT', body: 'a' });
  const order = { image_sha256: image, macs: [mac], allowed: 0 };
  await value(appliance.askAdmin('/rollouts', { method: 'POST', body: JSON.stringify(order) }), 201);
  await appliance.close();
  mkdirSync(join(appliance.stateDir, 'dhcp'), { recursive: true });
  writeFileSync(join(appliance.stateDir, 'dhcp', 'settings.json'), settings);
  const file = join(temporaryDirectory(context), 'state.bak');
  backup(appliance.stateDir, file, 1, 'test');
  return { file, stateDir: appliance.stateDir };
}

function changed(context: TestContext, file: string, sql: string): string {
  const copy = join(temporaryDirectory(context), 'strange.bak');
  writeFileSync(copy, readFileSync(file));
  const database = new DatabaseSync(copy, { enableForeignKeyConstraints: false });
  database.exec(sql);
  database.close();
  return copy;
}

test('a backup whose tables are not those of its version is refused, and nothing in it runs', async (context) => {
  const { file, stateDir } = await made(context);
  const before = readFileSync(join(stateDir, 'state.db'));
  const endless =
    'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS program, x AS made_at FROM n';
  for (const sql of [
    'CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM machines; END',
    'CREATE TRIGGER t AFTER DELETE ON backup_files BEGIN DELETE FROM machines; END',
    `DROP TABLE backup_info; CREATE VIEW backup_info AS ${endless}`,
    'DROP TABLE tokens',
    'DROP INDEX machines_by_phase',
    'ALTER TABLE machines ADD COLUMN more TEXT',
    'CREATE VIRTUAL TABLE v USING fts5(x)',
    'DROP TABLE passwords; CREATE TABLE passwords (one INTEGER PRIMARY KEY, hash TEXT, changed_at INTEGER DEFAULT (abs(1)))',
    'PRAGMA user_version = 3',
  ])
    assert.throws(() => restore(stateDir, changed(context, file, sql), 2), refused, sql);
  assert.deepEqual(readFileSync(join(stateDir, 'state.db')), before);
  restore(stateDir, file, 3);
});

test('whatever the rows of a backup say, the appliance starts with it and no page is a fault', async (context) => {
  const { file } = await made(context);
  const nonsense = ['{', '[]', '{}', 'null', '7', '""', '{"a":{"b":[]}}'];
  for (const text of nonsense) {
    const columns = [
      'machines.life',
      'machines.labels',
      'machines.target_disk',
      'machines.wire',
      'inventories.document',
      'events.details',
      'jobs.input',
      'jobs.result',
      'file_facts.facts',
      'boots.steps',
      'rollouts.state',
      'kept_settings.value',
    ];
    const sql = columns.map((column) => {
      const [table, name] = column.split('.');
      return `UPDATE ${table} SET ${name} = '${text}'`;
    });
    const stateDir = temporaryDirectory(context);
    restore(stateDir, changed(context, file, sql.join(';')), 2);
    const appliance = await startTestAppliance(context, { stateDir });
    const { app, operations } = await makeApplication(appliance.services, routes);
    await app.close();
    for (const { method, path, name } of operations) {
      if (method !== 'GET' || path.startsWith('/events/')) continue;
      const url = path
        .replaceAll('{mac}', mac)
        .replaceAll('{id}', '1')
        .replaceAll(/\{[a-z_]+(\.\.\.)?\}/g, 'a.img');
      const answer = await appliance.askAdmin(url);
      const body = await answer.text();
      assert.ok(answer.status < 500 || answer.status === 503, `${text}: ${name}: ${answer.status} ${body}`);
      if (name === 'machine.list') assert.equal((JSON.parse(body) as { mac: string }[])[0]?.mac, mac);
    }
    for (const query of ['?label=rack=7', '?q=rack', '?limit=5&phase=stopped'])
      await value(appliance.askAdmin(`/machines${query}`));
    await appliance.close();
  }
});

test('a backup that the appliance does not start with is taken back', async (context) => {
  const { file, stateDir } = await made(context);
  const sql = `UPDATE backup_files SET content = CAST('other' AS BLOB); DELETE FROM machines;
    INSERT INTO task_runs (mac, status, stage, state) VALUES ('${mac}', 'running', 'queued', '{')`;
  const strange = readFileSync(changed(context, file, sql));
  const first = await startTestAppliance(context, { stateDir });
  const offer = (await value(first.askAdmin('/restore', { method: 'PUT', body: strange }))) as RestoreOffer;
  assert.equal(offer.machines, 0);
  const body = JSON.stringify({ sha256: offer.sha256 });
  await value(first.askAdmin('/restore', { method: 'POST', body }), 202);
  await first.close();
  const again = await startTestAppliance(context, { stateDir });
  assert.equal(readFileSync(join(stateDir, 'dhcp', 'settings.json'), 'utf8'), settings);
  assert.equal(again.services.machines.store.get(mac)?.mac, mac);
  const [told] = again.services.events.list({ kind: 'settings.restore-failed' });
  assert.match(String(told?.summary), /does not start with it/);
  assert.equal(again.services.events.verify().kind, 'intact');
});
