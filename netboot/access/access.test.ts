import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestAppliance, temporaryDirectory, testPassword } from '../testing.ts';

const form = (password: string) => ({ method: 'POST', body: new URLSearchParams({ password }) });

test('logging in gives the cookie of the contract, and logging out kills every copy of it', async (context) => {
  const { ask, logIn } = await startTestAppliance(context);
  const answer = await ask('/ui/login', form(testPassword));
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.get('location'), '/ui/dashboard');
  assert.match(
    answer.headers.get('set-cookie') ?? '',
    /^bty-token=[\w-]{43}; path=\/; Max-Age=604800; httponly; samesite=strict$/,
  );
  const cookie = await logIn();
  assert.equal((await ask('/access/who', { headers: { cookie } })).status, 200);
  assert.equal((await ask('/ui/login', { headers: { cookie } })).status, 303);
  const out = await ask('/ui/logout', { method: 'POST', headers: { cookie } });
  assert.equal(out.status, 303);
  assert.match(out.headers.get('set-cookie') ?? '', /^bty-token=null; .*1970/);
  const after = await ask('/access/who', { headers: { cookie } });
  assert.equal(after.status, 401);
  assert.deepEqual(await after.json(), { detail: 'login required' });
});

test('a wrong password is the form again, a missing field a 422, a page without login a redirect', async (context) => {
  const { ask } = await startTestAppliance(context);
  const wrong = await ask('/ui/login', form('nonsense'));
  assert.equal(wrong.status, 200);
  assert.match(await wrong.text(), /not the password/);
  const missing = await ask('/ui/login', { method: 'POST', body: new URLSearchParams({ user: 'x' }) });
  assert.equal(missing.status, 422);
  const { detail } = (await missing.json()) as { detail: { type: string; loc: unknown }[] };
  assert.deepEqual([detail[0]?.type, detail[0]?.loc], ['missing', ['body', 'password']]);
  for (const path of ['/ui/dashboard', '/ui/machines', '/ui/machines/aa:bb:cc:dd:ee:ff', '/ui/settings']) {
    const page = await ask(path);
    assert.deepEqual([page.status, page.headers.get('location')], [303, '/ui/login']);
  }
  assert.equal((await ask('/')).headers.get('location'), '/ui/login');
  assert.equal((await ask('/ui')).headers.get('location'), '/ui/dashboard');
});

test('after five wrong passwords an address waits, even with the right one, and the log tells it', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const { ask, services } = await startTestAppliance(context, { clock: () => now });
  for (let guess = 0; guess < 5; guess++) assert.equal((await ask('/ui/login', form('no'))).status, 200);
  const locked = await ask('/ui/login', form(testPassword));
  assert.equal(locked.status, 429);
  assert.equal(locked.headers.get('retry-after'), '30');
  const kinds = services.events.list({ limit: 10 }).map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(0, 2), ['auth.locked', 'auth.login.failed']);
  now += 31_000;
  assert.equal((await ask('/ui/login', form(testPassword))).status, 303);
});

test('who guessed wrong before a restart waits after it too, and no longer', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const stateDir = temporaryDirectory(context);
  const first = await startTestAppliance(context, { stateDir, clock: () => now });
  for (let guess = 0; guess < 5; guess++)
    assert.equal((await first.ask('/ui/login', form('no'))).status, 200);
  await first.close();
  now += 10_000;
  const second = await startTestAppliance(context, { stateDir, clock: () => now });
  const locked = await second.ask('/ui/login', form(testPassword));
  assert.equal(locked.status, 429);
  assert.equal(locked.headers.get('retry-after'), '20');
  now += 21_000;
  assert.equal((await second.ask('/ui/login', form(testPassword))).status, 303);
});

test('a session ends after its time, and each use prolongs it', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const { ask, logIn } = await startTestAppliance(context, {
    clock: () => now,
    config: { sessionSeconds: 3600 },
  });
  const cookie = await logIn();
  now += 3000_000;
  const used = await ask('/access/who', { headers: { cookie } });
  assert.equal(used.status, 200);
  assert.match(used.headers.get('set-cookie') ?? '', /Max-Age=3600/);
  now += 3000_000;
  assert.equal((await ask('/access/who', { headers: { cookie } })).status, 200);
  now += 3601_000;
  assert.equal((await ask('/access/who', { headers: { cookie } })).status, 401);
});

test('an API token has the rights of its scope, no others, until it ends', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const { ask, askAdmin, makeToken } = await startTestAppliance(context, { clock: () => now });
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
  const read = await makeToken('read');
  assert.equal((await ask('/access/who', bearer(read))).status, 200);
  const refused = await ask('/access/tokens', bearer(read));
  assert.equal(refused.status, 403);
  assert.match(((await refused.json()) as { detail: string }).detail, /this token may read/);
  assert.equal((await ask('/access/who', bearer('bty_wrong'))).status, 401);

  const body = JSON.stringify({ name: 'ci', scope: 'operate', expires_in_days: 1 });
  const made = await askAdmin('/access/tokens', { method: 'POST', body });
  assert.equal(made.status, 201);
  const { token, id } = (await made.json()) as { token: string; id: string };
  assert.equal((await ask('/access/who', bearer(token))).status, 200);
  assert.equal((await askAdmin('/access/tokens', { method: 'POST', body })).status, 409);
  const listed = await (await askAdmin('/access/tokens')).text();
  assert.ok(!listed.includes(token) && listed.includes('"ci"'));
  now += 86_400_001;
  assert.equal((await ask('/access/who', bearer(token))).status, 401);
  assert.equal((await askAdmin(`/access/tokens/${id}`, { method: 'DELETE' })).status, 204);
  assert.equal((await askAdmin(`/access/tokens/${id}`, { method: 'DELETE' })).status, 404);
});

test('what another site makes a browser send is refused; curl sends no such marks and passes', async (context) => {
  const { ask, logIn, url } = await startTestAppliance(context);
  const cookie = await logIn();
  const out = (headers: Record<string, string>) =>
    ask('/ui/logout', { method: 'POST', headers: { cookie, ...headers } });
  assert.equal((await out({ origin: 'https://evil.example' })).status, 403);
  assert.equal((await out({ origin: 'null' })).status, 403);
  assert.equal((await ask('/access/who', { headers: { cookie } })).status, 200);
  assert.equal((await out({ origin: url })).status, 303);
});

test('the secrets of sessions, tokens and the password are not in the database', async (context) => {
  const { services, logIn, makeToken } = await startTestAppliance(context);
  const cookie = (await logIn()).split('=')[1] ?? '';
  const token = await makeToken('read');
  const everything = ['sessions', 'tokens', 'passwords', 'events']
    .map((table) => JSON.stringify(services.database.prepare(`SELECT * FROM ${table}`).all()))
    .join();
  for (const secret of [cookie, token, testPassword]) assert.ok(!everything.includes(secret));
});

test('changing the password needs the old one and ends every session', async (context) => {
  const { ask, logIn } = await startTestAppliance(context);
  const cookie = await logIn();
  const change = (current: string, password: string) =>
    ask('/access/password', {
      method: 'PUT',
      headers: { cookie },
      body: JSON.stringify({ current, password }),
    });
  assert.equal((await change('wrong', 'another password')).status, 403);
  assert.equal((await change(testPassword, 'short')).status, 422);
  assert.equal((await change(testPassword, 'another password')).status, 204);
  assert.equal((await ask('/access/who', { headers: { cookie } })).status, 401);
  assert.equal((await ask('/ui/login', form('another password'))).status, 303);
});

test('without a password one is made at the first start, told once, and it works', async (context) => {
  const first = await startTestAppliance(context, { config: { adminPassword: null } });
  const made = first.firstPassword;
  assert.match(made ?? '', /^[a-z2-9]{20}$/);
  assert.equal((await first.ask('/ui/login', form(made ?? ''))).status, 303);
  await first.close();
  const again = await startTestAppliance(context, {
    stateDir: first.stateDir,
    config: { adminPassword: null },
  });
  assert.equal(again.firstPassword, null);
  assert.equal((await again.ask('/ui/login', form(made ?? ''))).status, 303);
  await again.close();
});
