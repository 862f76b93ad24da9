/** Uploads over real HTTP: whole and in pieces, refused, broken off. */
import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { noise, sha256, until } from '../testing/files.ts';
import { bytesOf, kinds, listed, put, rootOf, value } from '../testing/images.ts';
import { startTestAppliance, type TestAppliance } from '../testing.ts';

test('an upload that breaks off leaves nothing, and says so', async (context) => {
  const appliance = await startTestAppliance(context);
  const token = await appliance.makeToken('operate');
  const { port } = new URL(appliance.url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(
    `PUT /images/a.img HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 1000000\r\n\r\n`,
  );
  socket.write(noise(500_000));
  const root = rootOf(appliance);
  await until('its bytes come', () =>
    readdir(root).then(
      (names) => names.some((name) => name.endsWith('.partial')),
      () => false,
    ),
  );
  assert.deepEqual(await listed(appliance), []);
  socket.destroy();
  await until('the failure is told', () => kinds(appliance).includes('image.upload_failed'));
  assert.deepEqual(await readdir(root), []);
});

test('what does not fit is refused before its bytes are read', async (context) => {
  const config = { maxUploadBytes: 1_000_000, imageQuotaBytes: 1_500_000 };
  const appliance = await startTestAppliance(context, { config });
  const token = await appliance.makeToken('operate');
  const { port } = new URL(appliance.url);
  const announce = (headers: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(`PUT /images/a.img HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`);
      socket.once('data', (piece: Buffer) => {
        resolve(piece.toString().split('\r\n')[0] ?? '');
        socket.destroy();
      });
    });
  const bearer = `Authorization: Bearer ${token}\r\n`;
  assert.match(await announce('Content-Length: 1000'), /401/);
  assert.match(await announce(`${bearer}Content-Length: 1000001`), /413/);
  assert.match(await announce(`${bearer}Content-Range: bytes 0-9/99999999\r\nContent-Length: 10`), /413/);
  await value(put(appliance, '/images/one.img', noise(900_000)));
  assert.match(await announce(`${bearer}Content-Length: 900000`), /507/);
  assert.match(await announce(`${bearer}Content-Length: 99999999999999`), /413/);
  // Without a length it is refused as soon as it is too much: here for the quota, which is the narrower one by then.
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
  });
  const sent = appliance.askAdmin('/images/b.img', {
    method: 'PUT',
    body: endless,
    duplex: 'half',
  } as RequestInit);
  const status = await sent.then(
    (response) => response.status,
    () => 507,
  );
  assert.equal(status, 507);
  assert.deepEqual((await readdir(rootOf(appliance))).toSorted(), ['one.img', 'one.img.sha256']);
});

test('a digest that is sent along is checked', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(10_000);
  const digest = (of: Buffer) => `sha-256=:${Buffer.from(sha256(of), 'hex').toString('base64')}:`;
  const refused = await put(appliance, '/images/a.img', bytes, { 'repr-digest': digest(noise(5)) });
  assert.equal(refused.status, 422);
  assert.match(((await refused.json()) as { detail: string }).detail, /is not the expected image/);
  assert.deepEqual(await readdir(rootOf(appliance)), []);
  await value(put(appliance, '/images/a.img', bytes, { 'repr-digest': digest(bytes) }));
});

test('an upload in pieces goes on where it broke off, also after a restart', async (context) => {
  const first = await startTestAppliance(context);
  const bytes = noise(900_000);
  const total = bytes.length;
  const piece = (appliance: TestAppliance, from: number, to: number) =>
    put(appliance, '/images/a.img', bytes.subarray(from, to), {
      'content-range': `bytes ${from}-${to - 1}/${total}`,
    });
  const asked = (appliance: TestAppliance) =>
    put(appliance, '/images/a.img', '', { 'content-range': `bytes */${total}` });
  assert.deepEqual(await value(asked(first), 202), { name: 'a.img', offset: 0, size_bytes: total });
  assert.deepEqual(await value(piece(first, 0, 300_000), 202), {
    name: 'a.img',
    offset: 300_000,
    size_bytes: total,
  });
  assert.equal((await piece(first, 500_000, 600_000)).status, 409);
  // A connection that breaks in the middle of a piece keeps what came.
  const token = await first.makeToken('operate');
  const socket = connect(Number(new URL(first.url).port), '127.0.0.1');
  socket.write(
    `PUT /images/a.img HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 300000\r\n` +
      `Content-Range: bytes 300000-599999/${total}\r\n\r\n`,
  );
  socket.write(bytes.subarray(300_000, 450_000));
  await until(
    'half of the piece is here',
    async () => Number((await asked(first)).headers.get('upload-offset')) === 450_000,
  );
  socket.destroy();
  await first.close();
  const second = await startTestAppliance(context, { stateDir: first.stateDir });
  const answer = await asked(second);
  assert.equal(answer.headers.get('upload-offset'), '450000');
  assert.deepEqual(await listed(second), []);
  await value(piece(second, 450_000, total));
  assert.equal(sha256(await bytesOf(second, `/images/${sha256(bytes)}`)), sha256(bytes));
  for (const range of ['bytes 5-4/10', 'bytes 0-10/10', 'lines 1-2/3', 'bytes 0-9/*']) {
    assert.equal((await put(second, '/images/b.img', 'x', { 'content-range': range })).status, 400, range);
  }
  assert.deepEqual(
    (await readdir(rootOf(second))).filter((name) => name.endsWith('.partial')),
    [],
  );
});

test('the quota counts what is promised, counts a replaced image once, and its refusal is no fault', async (context) => {
  const appliance = await startTestAppliance(context, { config: { imageQuotaBytes: 1_000_000 } });
  const part = (name: string, first: number, last: number, total: number) =>
    put(appliance, `/images/${name}`, noise(last - first + 1), {
      'content-range': `bytes ${first}-${last}/${total}`,
    });
  await value(put(appliance, '/images/one.img', noise(600_000)));
  await value(put(appliance, '/images/one.img', noise(600_000, 2)));
  // A piece keeps the room for the rest; one that is refused keeps none.
  assert.equal((await part('two.img', 5, 9, 300_000)).status, 409);
  assert.equal((await part('three.img', 0, 9, 500_000)).status, 507);
  await value(part('two.img', 0, 9, 300_000), 202);
  assert.equal((await part('three.img', 0, 9, 300_000)).status, 507);
  assert.equal((await put(appliance, '/images/three.img', noise(300_000))).status, 507);
  assert.equal((await put(appliance, '/images/unlisted.bin.txt', noise(300_000))).status, 507);
  const unknownLength = new ReadableStream({
    start: (controller) => {
      controller.enqueue(new Uint8Array(300_000));
      controller.close();
    },
  });
  const init = { method: 'PUT', body: unknownLength, duplex: 'half' } as RequestInit;
  assert.equal((await appliance.askAdmin('/images/three.img', init)).status, 507);
  await value(part('two.img', 10, 299_999, 300_000));
  // Two at once that fit one by one.
  const both = await Promise.all(
    ['a.img', 'b.img'].map((name) => put(appliance, `/images/${name}`, noise(60_000))),
  );
  assert.ok(both.filter(({ status }) => status === 200).length <= 1);
  const used = (await value(appliance.askAdmin('/catalog/images'))) as { used_bytes: number };
  assert.ok(used.used_bytes <= 1_000_000, String(used.used_bytes));
  assert.deepEqual(
    appliance.log.filter((line) => line.includes('fault')),
    [],
  );
});

test('a name that a folder has, and a file of no bytes in pieces, are refused with their reason', async (context) => {
  const appliance = await startTestAppliance(context);
  await mkdir(join(rootOf(appliance), 'sub.img'), { recursive: true });
  await mkdir(join(appliance.stateDir, 'boot', 'built'), { recursive: true });
  const piece = { 'content-range': 'bytes 0-0/1' };
  for (const [path, headers] of [
    ['/images/sub.img', {}],
    ['/images/sub.img', piece],
    ['/boot/built', {}],
  ] as const) {
    const answer = await put(appliance, path, 'x', headers);
    assert.equal(answer.status, 409, path);
    assert.match(((await answer.json()) as { detail: string }).detail, /folder/);
  }
  assert.equal((await put(appliance, '/images/x.img', '', { 'content-range': 'bytes */0' })).status, 400);
  assert.deepEqual(await readdir(rootOf(appliance)), ['sub.img']);
});
