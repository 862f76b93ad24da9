/** Whoever may use the appliance, and uses it at the same moment or in bad faith: races, and rights that reach too far. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Scope, scopes } from '../../shared/contract/operation.ts';
import { routes } from '../http/routes/index.ts';
import { makeApplication } from '../http/server.ts';
import { noise, sha256 } from '../testing/files.ts';
import { bytesOf, listed, put, raw, rootOf, value } from '../testing/images.ts';
import { startTestAppliance, type TestAppliance } from '../testing.ts';

const rename = (appliance: TestAppliance, name: string, to: string) =>
  appliance.askAdmin(`/images/${name}/rename`, { method: 'POST', body: JSON.stringify({ name: to }) });
const remove = (appliance: TestAppliance, name: string) =>
  appliance.askAdmin(`/images/${name}`, { method: 'DELETE' });

async function statusesOf(answers: readonly Promise<Response>[]): Promise<number[]> {
  const all = await Promise.all(answers);
  await Promise.all(all.map((answer) => answer.arrayBuffer()));
  return all.map(({ status }) => status);
}

const count = (statuses: readonly number[], wanted: number) =>
  statuses.filter((status) => status === wanted).length;

test('of many who delete or rename one image in one moment, one does; it is never there twice or lost', async (context) => {
  const appliance = await startTestAppliance(context);
  for (let round = 0; round < 8; round++) {
    const bytes = noise(2000, round + 1);
    await value(put(appliance, '/images/a.img', bytes));
    const names = Array.from({ length: 10 }, (_, index) => `b${index}.img`);
    const renamed = await statusesOf(names.map((name) => rename(appliance, 'a.img', name)));
    assert.equal(count(renamed, 200), 1, renamed.join());
    assert.equal(count(renamed, 404), 9, renamed.join());
    const [row, ...others] = await listed(appliance);
    assert.deepEqual([row?.sha256, others.length], [sha256(bytes), 0]);
    const name = String(row?.name);
    const kept = (await readdir(rootOf(appliance))).filter((one) => !one.endsWith('.sha256'));
    assert.deepEqual(kept, [name]);
    const removed = await statusesOf(Array.from({ length: 10 }, () => remove(appliance, name)));
    assert.equal(count(removed, 204), 1, removed.join());
    assert.equal(count(removed, 404), 9, removed.join());
    assert.deepEqual(await readdir(rootOf(appliance)), []);
  }
});

test('images that are uploaded, renamed, deleted and fetched at once are whole or not there, and no fault is ours', async (context) => {
  const appliance = await startTestAppliance(context);
  const contents = [1, 2, 3].map((seed) => noise(200_000, seed));
  const digests = new Set(contents.map((bytes) => sha256(bytes)));
  const names = ['a.img', 'b.img', 'c.img'];
  const name = (turn: number) => names[turn % names.length] ?? 'a.img';
  const lanes = [
    (turn: number) => put(appliance, `/images/${name(turn)}`, contents[turn % 3] ?? noise(1)),
    (turn: number) => rename(appliance, name(turn), name(turn + 1)),
    (turn: number) => remove(appliance, name(turn * 2)),
    (turn: number) => appliance.ask(`/images/${name(turn)}`),
    (turn: number) => appliance.ask(`/images/${[...digests][turn % 3]}`),
    () => appliance.ask('/images'),
  ];
  await Promise.all(
    lanes.map(async (ask, lane) => {
      for (let turn = 0; turn < 25; turn++) {
        const answer = await ask(turn + lane);
        const bytes = Buffer.from(await answer.arrayBuffer());
        assert.ok([200, 204, 404, 409].includes(answer.status), `${answer.url}: ${answer.status} ${bytes}`);
        if ((lane === 3 || lane === 4) && answer.status === 200) assert.ok(digests.has(sha256(bytes)));
        if (lane === 4 && answer.status === 200) assert.ok(answer.url.endsWith(sha256(bytes)));
      }
    }),
  );
  for (const row of await listed(appliance))
    assert.equal(sha256(await bytesOf(appliance, `/images/${row.name}`)), row.sha256);
  const faults = appliance.log.filter((line) => line.includes('"fault"'));
  assert.deepEqual(faults, []);
});

test('what lies in the image directory and is no file is not listed, not served, and keeps nobody waiting', async (context) => {
  const appliance = await startTestAppliance(context);
  const root = rootOf(appliance);
  await value(put(appliance, '/images/real.img', 'real'));
  await symlink('/etc/passwd', join(root, 'link.img'));
  await symlink('real.img', join(root, 'inside.img'));
  await symlink('/proc/self/environ', join(root, `${'a'.repeat(64)}`));
  execFileSync('mkfifo', [join(root, 'pipe.img')]);
  await writeFile(join(root, 'odd name é.img'), 'odd');
  const names = (await listed(appliance)).map((row) => row.name);
  assert.ok(
    names.every((name) => name === 'real.img' || name === 'odd name é.img'),
    names.join(),
  );
  for (const name of ['link.img', 'inside.img', 'pipe.img', 'a'.repeat(64)]) {
    assert.equal((await raw(appliance, 'GET', `/images/${name}`)).status, 404, name);
    assert.equal((await raw(appliance, 'HEAD', `/images/${name}`)).status, 404, name);
    const asked = { method: 'POST', body: JSON.stringify({ name }) };
    const answer = await appliance.askAdmin('/catalog/hashes', asked);
    await answer.arrayBuffer();
    assert.ok(answer.status === 404 || answer.status === 422, `${name}: ${answer.status}`);
  }
  // An upload takes the place of the link, and never of what it leads to.
  await value(put(appliance, '/images/inside.img', 'new'));
  assert.equal((await bytesOf(appliance, '/images/real.img')).toString(), 'real');
  assert.equal((await bytesOf(appliance, '/images/inside.img')).toString(), 'new');
  // The longest name that a folder takes leaves no room for the name of a digest beside it.
  const long = `${'n'.repeat(251)}.img`;
  await value(put(appliance, `/images/${long}`, 'long'));
  await value(rename(appliance, long, `${'m'.repeat(251)}.img`));
  assert.equal((await bytesOf(appliance, `/images/${'m'.repeat(251)}.img`)).toString(), 'long');
  assert.equal((await remove(appliance, `${'m'.repeat(251)}.img`)).status, 204);
});

test('each right reaches as far as the operations that name it, and no further', async (context) => {
  const appliance = await startTestAppliance(context);
  const { app, operations } = await makeApplication(appliance.services, routes);
  await app.close();
  const tokens = await Promise.all(
    scopes.map(async (scope, rank) => {
      return { name: scope, rank, headers: { authorization: `Bearer ${await appliance.makeToken(scope)}` } };
    }),
  );
  const session = { name: 'session', rank: scopes.length - 1, headers: { cookie: await appliance.logIn() } };
  for (const { name: scope, rank, headers } of [...tokens, session]) {
    for (const { access, method, path, name } of operations) {
      const needed = scopes.indexOf(access as Scope);
      // What is allowed is tried with GET only: what it does is others' business.
      if (needed === -1 || (needed <= rank && method !== 'GET') || path.startsWith('/events/')) continue;
      const url = path.replaceAll(/\{mac\}/g, '02:00:00:00:00:01').replaceAll(/\{[a-z_]+(\.\.\.)?\}/g, 'x');
      const answer = await appliance.ask(url, { method, headers });
      await answer.arrayBuffer();
      if (needed > rank) assert.equal(answer.status, 403, `${scope} ${name}`);
      else assert.ok(![401, 403, 500].includes(answer.status), `${scope} ${name}: ${answer.status}`);
    }
  }
});

test('pieces of an upload that do not fit together make no image, whoever sends them', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(300_000);
  const piece = (from: number, to: number, total: number | string, body = bytes.subarray(from, to)) =>
    put(appliance, '/images/a.img', body, { 'content-range': `bytes ${from}-${to - 1}/${total}` });
  assert.equal((await piece(100, 200, 300_000)).status, 409);
  await value(piece(0, 100_000, 300_000), 202);
  for (const [from, to] of [
    [0, 100_000],
    [99_999, 200_000],
    [100_001, 200_000],
    [200_000, 300_000],
  ] as const)
    assert.equal((await piece(from, to, 300_000)).status, 409, `${from}-${to}`);
  assert.equal((await piece(100_000, 200_000, 300_000, bytes.subarray(0, 5))).status, 400);
  // Another length is another file, which has nothing yet.
  assert.equal((await piece(100_000, 200_000, 300_001)).status, 409);
  // Two who send the same piece: the newer one ends the older, and the file holds the bytes once.
  const both = await Promise.allSettled([piece(100_000, 200_000, 300_000), piece(100_000, 200_000, 300_000)]);
  assert.ok(both.some((one) => one.status === 'fulfilled' && [202, 409].includes(one.value.status)));
  const asked = await put(appliance, '/images/a.img', '', { 'content-range': 'bytes */300000' });
  const offset = Number(asked.headers.get('upload-offset'));
  assert.ok(offset >= 100_000 && offset <= 200_000, String(offset));
  await value(piece(offset, 300_000, 300_000));
  assert.deepEqual(await bytesOf(appliance, '/images/a.img'), bytes);
});
