/** Uploads over real HTTP: whole and in pieces, refused, broken off. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
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
  // Without a length it is refused as soon as it is too much.
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
    () => 413,
  );
  assert.equal(status, 413);
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
