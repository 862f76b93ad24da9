import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { installLive } from './machines/testing.ts';
import { restore } from './store/backup.ts';
import { value } from './testing/images.ts';
import { startTestAppliance, temporaryDirectory } from './testing.ts';

const mac = '52:54:00:00:00:01';
type Rows = readonly Readonly<Record<string, unknown>>[];

test('the overview counts machines by phase and names those that need somebody', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  await appliance.ask(`/pxe/${mac}`);
  const body = JSON.stringify({ image_sha256: 'a'.repeat(64), boot_policy: 'flash' });
  await value(appliance.askAdmin('/machines/52:54:00:00:00:02', { method: 'PUT', body }));
  const found = (await value(appliance.askAdmin('/overview'))) as Record<string, unknown>;
  assert.deepEqual(found.phases, { armed: 1, booting: 1 });
  assert.equal(found.machines, 2);
  assert.deepEqual(
    (found.flashing as Rows).map((machine) => machine.mac),
    [mac],
  );
  assert.deepEqual(found.failing, []);
});

test('settings are told without secrets, and only to an administrator', async (context) => {
  const appliance = await startTestAppliance(context, { config: { sessionSecret: 'hidden text' } });
  const answer = await appliance.askAdmin('/settings');
  const text = await answer.text();
  assert.ok(!text.includes('hidden text'));
  const rows = JSON.parse(text) as Rows;
  const row = (name: string) => rows.find((one) => one.name === name);
  assert.equal(row('session_secret')?.secret, true);
  assert.equal(row('state_dir')?.value, appliance.stateDir);
  assert.deepEqual([row('bulk_limit')?.value, row('bulk_limit')?.usual], ['100', true]);
  const authorization = `Bearer ${await appliance.makeToken('operate')}`;
  assert.equal((await appliance.ask('/settings', { headers: { authorization } })).status, 403);
});

test('the chain of events is called unbroken until somebody breaks it', async (context) => {
  const appliance = await startTestAppliance(context);
  const verdict = async () => (await value(appliance.askAdmin('/audit'))) as Record<string, unknown>;
  assert.equal((await verdict()).state, 'intact');
  await appliance.ask(`/pxe/${mac}`);
  appliance.services.database.connection.exec("UPDATE events SET summary = 'Nothing.' WHERE id = 1");
  const broken = await verdict();
  assert.deepEqual([broken.state, broken.broken_at], ['broken', 1]);
});

test('one session is ended and the others stay', async (context) => {
  const appliance = await startTestAppliance(context);
  const [mine, other] = [await appliance.logIn(), await appliance.logIn()];
  const list = async () =>
    (await value(appliance.ask('/access/sessions', { headers: { cookie: mine } }))) as Rows;
  const sessions = await list();
  assert.deepEqual(sessions.map(({ current }) => current).sort(), [false, true]);
  const foreign = sessions.find(({ current }) => current === false);
  const path = `/access/sessions/${String(foreign?.id)}`;
  await value(appliance.ask(path, { method: 'DELETE', headers: { cookie: mine } }), 204);
  assert.equal((await appliance.ask('/access/who', { headers: { cookie: other } })).status, 401);
  assert.equal((await list()).length, 1);
  await value(appliance.ask(path, { method: 'DELETE', headers: { cookie: mine } }), 404);
});

test('an image is set for many machines in one step, and armed with it', async (context) => {
  const appliance = await startTestAppliance(context);
  await appliance.ask(`/pxe/${mac}`);
  const act = (body: object) =>
    value(appliance.askAdmin('/machines/actions', { method: 'POST', body: JSON.stringify(body) }));
  const image_sha256 = 'b'.repeat(64);
  await act({ action: 'set-image', macs: [mac], image_sha256 });
  const machine = async () =>
    (await value(appliance.askAdmin(`/machines/${mac}`))) as Record<string, unknown>;
  assert.deepEqual([(await machine()).image_sha256, (await machine()).boot_policy], [image_sha256, 'tui']);
  await act({ action: 'arm', macs: [mac], image_sha256: 'c'.repeat(64) });
  assert.deepEqual(
    [(await machine()).image_sha256, (await machine()).boot_policy],
    ['c'.repeat(64), 'flash-once'],
  );
  const refused = JSON.stringify({ action: 'set-image', macs: [mac] });
  await value(appliance.askAdmin('/machines/actions', { method: 'POST', body: refused }), 422);
});

test('a manifest is taken whole, or not at all', async (context) => {
  const appliance = await startTestAppliance(context);
  const put = (body: string) => appliance.askAdmin('/catalog/manifest', { method: 'PUT', body });
  const good = `version = 1\n[[images]]\nname = "a.img"\nsrc = "http://x.test/a.img"\nsha256 = "${'a'.repeat(64)}"\n`;
  assert.deepEqual(await value(put(good)), { path: join(appliance.stateDir, 'catalog.toml'), count: 1 });
  await value(put('version = 2'), 422);
  // Whoever may bind images may not read what else lies on this machine.
  for (const src of [
    '/etc/passwd',
    'state.db',
    'file:///etc/passwd',
    'FILE:/etc/passwd',
    '../x.img',
    'ftp://x.test/a',
  ])
    await value(put(good.replace('http://x.test/a.img', src)), 422);
  const { images } = (await value(appliance.askAdmin('/catalog/images'))) as { images: Rows };
  assert.deepEqual(
    images.map(({ names }) => names),
    [['a.img']],
  );
});

test('the backup that is downloaded is one that can be restored', async (context) => {
  const appliance = await startTestAppliance(context);
  await appliance.ask(`/pxe/${mac}`);
  const answer = await appliance.askAdmin('/backup');
  assert.equal(answer.status, 200);
  const folder = temporaryDirectory(context);
  const file = join(folder, 'state.backup');
  writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  const target = join(folder, 'state');
  const { path } = restore(target, file, Date.now());
  const database = new DatabaseSync(path, { readOnly: true });
  assert.equal(database.prepare('SELECT mac FROM machines').get()?.mac, mac);
  database.close();
});

test('live systems are told file by file', async (context) => {
  const appliance = await startTestAppliance(context);
  const read = async () => (await value(appliance.askAdmin('/live-systems'))) as Rows;
  const [first] = await read();
  assert.equal(first?.installed, false);
  const { bootDir } = appliance.services.config;
  mkdirSync(bootDir, { recursive: true });
  for (const name of ['vmlinuz', 'initrd']) writeFileSync(join(bootDir, `bty-netboot-x86_64.${name}`), 'x');
  assert.equal((await read())[0]?.installed, true);
});
