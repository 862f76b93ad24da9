import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { exchangeDirectly, parseHeader } from './http-direct.ts';
import { never, noise } from './testing.ts';

test('a reply header is a status and its fields, by lower-case name', () => {
  assert.deepEqual(parseHeader('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag:"x"  \r\nX-a:\r\nX-A: 2'), {
    status: 200,
    headers: { 'content-length': '5', etag: '"x"', 'x-a': '' },
  });
  assert.equal(parseHeader('HTTP/1.0 404')?.status, 404);
});

test('what is no reply header is refused', () => {
  for (const text of [
    '',
    'HTTP/2 200 OK',
    'HTTP/1.1 20 OK',
    'ICY 200 OK',
    'HTTP/1.1 200 OK\nETag: x',
    'HTTP/1.1 200 OK\r\nETag : x',
    'HTTP/1.1 200 OK\r\n folded',
    'HTTP/1.1 200 OK\r\nETag: a\nb',
    'HTTP/1.1 200 OK\r\nContent-Length: -1',
    'HTTP/1.1 200 OK\r\nContent-Length: 1, 1',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2',
    'HTTP/1.1 200 OK\r\nno colon',
  ]) {
    assert.equal(parseHeader(text), null, text);
  }
  fc.assert(fc.property(fc.string(), (text) => void parseHeader(`HTTP/1.1 200 OK\r\n${text}`)));
});

/** Lets `talk` answer one connection. */
async function ask(context: TestContext, talk: (socket: Socket) => Promise<void>) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.setNoDelay(true);
    socket.once('data', () => void talk(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/x`);
  return exchangeDirectly({ url, headers: {}, answerMilliseconds: 120_000, signal: never });
}

const sent = (socket: Socket, bytes: string | Uint8Array): Promise<void> =>
  new Promise((resolve) => socket.write(bytes, () => setImmediate(resolve)));

test('a reply that comes byte by byte, after interim ones, is the same reply', async (context) => {
  const whole = 'HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
  const answer = await ask(context, async (socket) => {
    for (const byte of whole) await sent(socket, byte);
  });
  assert.equal(answer?.status, 200);
  const body = answer.body(120_000);
  const into = new Uint8Array(10);
  let filled = 0;
  for (let count = 1; count > 0; filled += count) count = await body.read(into.subarray(filled));
  assert.equal(Buffer.from(into).toString('latin1', 0, filled), 'hello');
});

test('small packets to a slow reader do not pile up', async (context) => {
  const size = 400_000;
  const bytes = noise(size);
  let taken = 0;
  const answer = await ask(context, async (socket) => {
    await sent(socket, `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    for (; taken < 2000; taken += 10) await sent(socket, bytes.subarray(taken, taken + 10));
    socket.end(bytes.subarray(taken));
  });
  const body = answer?.body(120_000);
  assert.ok(body);
  const into = new Uint8Array(size);
  let filled = 0;
  for (let count = 1; count > 0; filled += count)
    count = await body.read(into.subarray(filled, filled + 3000));
  assert.equal(filled, size);
  assert.equal(Buffer.compare(into, bytes), 0);
});

test('a header without end is given up', async (context) => {
  await assert.rejects(
    ask(context, async (socket) => {
      await sent(socket, 'HTTP/1.1 200 OK\r\n');
      for (let line = 0; line < 100; line++) await sent(socket, `X-${line}: ${'x'.repeat(1000)}\r\n`);
    }),
    { message: 'the header of its reply is too long' },
  );
});

test('interim replies without end are given up', async (context) => {
  const many = 'HTTP/1.1 100\r\n\r\n'.repeat(64 * 1024);
  await assert.rejects(
    ask(context, async (socket) => void socket.end(many)),
    {
      message: 'more than 16 interim replies came before the one that is meant',
    },
  );
});

test('a reply in chunks is left to others', async (context) => {
  const answer = await ask(context, (socket) =>
    sent(socket, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
  );
  assert.equal(answer, null);
});

test('what was answered leaves nothing at the signal, which ends what is not', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const abort = new AbortController();
  const { signal } = abort;
  const question = {
    url: new URL(`http://127.0.0.1:${port}/`),
    headers: {},
    signal,
    answerMilliseconds: 60_000,
  };
  for (let count = 0; count < 5; count++) {
    const body = (await exchangeDirectly(question))?.body(60_000);
    while ((await body?.read(new Uint8Array(10))) !== 0);
  }
  server.close();
  await once(server, 'close');
  while (getEventListeners(signal, 'abort').length > 0) await new Promise((resolve) => setImmediate(resolve));
  abort.abort(new Error('enough'));
  await assert.rejects(exchangeDirectly(question), /enough/);
});
