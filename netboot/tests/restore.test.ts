/** A backup that is restored over HTTP, with the appliance as a process of its own. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import type { Event } from '../../shared/contract/event.ts';
import type { RestoreOffer } from '../../shared/contract/system.ts';
import { until } from '../testing/files.ts';
import { startTestAppliance, temporaryDirectory, testPassword } from '../testing.ts';
import { startProgram } from './program.ts';

const settings = '{"interfaces":[{"interface":"lab7","mode":"off"}]}';

async function start(context: TestContext) {
  const stateDir = temporaryDirectory(context);
  mkdirSync(join(stateDir, 'dhcp'), { recursive: true });
  writeFileSync(join(stateDir, 'dhcp', 'settings.json'), settings);
  const args = ['--state-dir', stateDir, '--admin-password', testPassword, '--user', 'root'];
  const program = await startProgram(context, args);
  let cookie = '';
  const logIn = async () => {
    const body = new URLSearchParams({ password: testPassword });
    const answer = await fetch(`${program.url}/ui/login`, { method: 'POST', redirect: 'manual', body });
    cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  };
  await logIn();
  const ask = (method: string, path: string, body?: string | Uint8Array<ArrayBuffer>) =>
    fetch(`${program.url}${path}`, { method, headers: { cookie }, ...(body === undefined ? {} : { body }) });
  return { stateDir, program, ask, logIn };
}

test('a backup that is sent takes the place of the state, in the same process and on the same port', async (context) => {
  const { stateDir, program, ask, logIn } = await start(context);
  const put = (mac: string) => ask('PUT', `/machines/${mac}`, '{}');
  await put('52:54:00:00:00:01');
  const backup = new Uint8Array(await (await ask('GET', '/backup')).arrayBuffer());
  await put('52:54:00:00:00:02');
  writeFileSync(join(stateDir, 'dhcp', 'settings.json'), '{"interfaces":[]}');

  const offered = await ask('PUT', '/restore', backup);
  assert.equal(offered.status, 200);
  const offer = (await offered.json()) as RestoreOffer;
  const sha256 = createHash('sha256').update(backup).digest('hex');
  assert.deepEqual([offer.sha256, offer.machines], [sha256, 1]);
  assert.match(offer.program, /^bty-web /);
  const wrong = await ask('POST', '/restore', JSON.stringify({ sha256: 'b'.repeat(64) }));
  assert.equal(wrong.status, 409);
  assert.equal((await ask('POST', '/restore', JSON.stringify({ sha256 }))).status, 202);

  // No session of the state that is left is good any more.
  await until('it is back', async () => {
    const answer = await ask('GET', '/machines').catch(() => null);
    return answer?.status === 401;
  });
  await logIn();
  const machines = (await (await ask('GET', '/machines')).json()) as { mac: string }[];
  assert.deepEqual(
    machines.map(({ mac }) => mac),
    ['52:54:00:00:00:01'],
  );
  assert.equal(readFileSync(join(stateDir, 'dhcp', 'settings.json'), 'utf8'), settings);
  const { events } = (await (await ask('GET', '/events')).json()) as { events: Event[] };
  assert.ok(events.some(({ kind }) => kind === 'settings.restored'));
  assert.equal(
    events.some(({ kind }) => kind === 'settings.restoring'),
    false,
  );
  const kept = readdirSync(join(stateDir, 'backups'));
  assert.ok(
    kept.some((name) => name.startsWith('before-restore-')),
    kept.join(),
  );
  assert.equal(readdirSync(stateDir).includes('restore'), false);
  const audit = (await (await ask('GET', '/audit')).json()) as { state: string };
  assert.equal(audit.state, 'intact');
  assert.equal(await program.end('SIGTERM'), 0);
});

test('what is no backup is refused with its reason, leaves nothing behind, and needs all rights', async (context) => {
  const appliance = await startTestAppliance(context);
  const { stateDir } = appliance;
  const send = (bytes: Uint8Array<ArrayBuffer>) =>
    appliance.askAdmin('/restore', { method: 'PUT', body: bytes });
  const backup = new Uint8Array(await (await appliance.askAdmin('/backup')).arrayBuffer());
  const other = join(temporaryDirectory(context), 'other.db');
  const database = new DatabaseSync(other);
  database.exec('CREATE TABLE machines (mac TEXT)');
  database.close();
  const broken = backup.slice(0, backup.length - 4096);
  for (const [name, bytes] of Object.entries({
    nothing: new Uint8Array(),
    noise: new Uint8Array(5000).fill(7),
    'another database': new Uint8Array(readFileSync(other)),
    'half of one': broken,
  })) {
    const answer = await send(bytes);
    assert.equal(answer.status, 400, name);
    assert.equal(((await answer.json()) as { code: string }).code, 'BACKUP_REFUSED', name);
    assert.equal(readdirSync(stateDir).includes('restore'), false, name);
  }
  for (const scope of ['read', 'operate'] as const) {
    const headers = { authorization: `Bearer ${await appliance.makeToken(scope)}` };
    assert.equal((await appliance.ask('/restore', { method: 'PUT', body: backup, headers })).status, 403);
  }
  assert.equal((await appliance.ask('/restore', { method: 'PUT', body: backup })).status, 401);

  // One that is withdrawn, or that nobody confirmed before the end, is forgotten.
  const { sha256 } = (await (await send(backup)).json()) as RestoreOffer;
  assert.equal((await appliance.askAdmin('/restore', { method: 'DELETE' })).status, 204);
  const body = JSON.stringify({ sha256 });
  assert.equal((await appliance.askAdmin('/restore', { method: 'POST', body })).status, 409);
  assert.equal((await send(backup)).status, 200);
  await appliance.close();
  const again = await startTestAppliance(context, { stateDir });
  assert.equal(readdirSync(stateDir).includes('restore'), false);
  assert.equal((await again.askAdmin('/restore', { method: 'POST', body })).status, 409);

  // One that was damaged after it was confirmed leaves the state as it is, and says so.
  assert.equal((await again.askAdmin('/restore', { method: 'PUT', body: backup })).status, 200);
  assert.equal((await again.askAdmin('/restore', { method: 'POST', body })).status, 202);
  assert.equal((await again.askAdmin('/restore', { method: 'DELETE' })).status, 409);
  await again.close();
  writeFileSync(join(stateDir, 'restore', 'offered.backup'), broken);
  const last = await startTestAppliance(context, { stateDir });
  const { events } = (await (await last.askAdmin('/events')).json()) as { events: Event[] };
  assert.ok(events.some(({ kind }) => kind === 'settings.restore-failed'));
  assert.ok(events.some(({ kind }) => kind === 'settings.restoring'));
});
