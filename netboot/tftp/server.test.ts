import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Datagram, Step } from '../story/step.ts';
import { noise, sha256, temporaryDirectory, until } from '../testing/files.ts';
import { bound, fetchTftp } from '../tests/tftp-peer.ts';
import { fileOfBytes, fileOfPath, netascii, type TftpFile } from './file.ts';
import { encode, type Options, type Parsed, parse } from './packet.ts';
import { type TftpOptions, TftpServer } from './server.ts';
import { defaultRules } from './transfer.ts';

const content = noise(300_000);
const small = noise(700, 2);

/** Sends nothing a second time by itself, so that on a slow machine each packet comes once. */
const unhurried = { ...defaultRules, firstTimeout: 120_000, leastTimeout: 120_000, mostTimeout: 120_000 };

interface Running {
  readonly server: TftpServer;
  readonly steps: Step[];
  readonly datagrams: Datagram[];
}

async function start(context: TestContext, options: Partial<TftpOptions> = {}): Promise<Running> {
  const steps: Step[] = [];
  const datagrams: Datagram[] = [];
  const files: Readonly<Record<string, Uint8Array>> = {
    'boot.bin': content,
    'dir/small': small,
    'text.cfg': Buffer.from('one\ntwo\rthree'),
  };
  const server = await TftpServer.listen({
    address: '127.0.0.1',
    port: 0,
    find: (name) => (files[name] ? fileOfBytes(files[name]) : null),
    witness: { step: (step) => steps.push(step), datagram: (datagram) => datagrams.push(datagram) },
    macOf: (address) => (address === '127.0.0.1' ? '52:54:00:00:00:01' : null),
    allowed: (address) => address.startsWith('127.0.0.'),
    limits: { blockSize: 65464, windowSize: 64, windowBytes: 131072 },
    ...options,
  });
  context.after(() => server.close());
  return { server, steps, datagrams };
}

const asked = (blockSize: number, windowSize: number): Options => [
  ['blksize', String(blockSize)],
  ['windowsize', String(windowSize)],
  ['tsize', '0'],
];
const kinds = (steps: readonly Step[]) => steps.map(({ kind }) => kind);

test('files arrive whole with every block size and window, from memory and from a disk', async (context) => {
  const path = join(await temporaryDirectory(context), 'file');
  await writeFile(path, content);
  for (const find of [undefined, () => fileOfPath(path)]) {
    const { server } = await start(context, find ? { find } : {});
    for (const [blockSize, windowSize] of [
      [8, 64],
      [512, 1],
      [1468, 16],
      [8192, 4],
      [65464, 64],
    ] as const) {
      const client = await fetchTftp(server.local, {
        file: 'boot.bin',
        options: asked(blockSize, windowSize),
      });
      assert.equal(client.state, 'done', client.problem);
      assert.equal(sha256(client.content), sha256(content));
      assert.equal(client.size, content.length);
    }
  }
});

test('a fetch is told as steps with its size and rate, and its datagrams are handed on', async (context) => {
  const { server, steps, datagrams } = await start(context, { rules: unhurried });
  const timeout = 120_000;
  await fetchTftp(server.local, { file: '\\DIR/../x', timeout });
  await fetchTftp(server.local, { file: 'dir\\small', options: [['tsize', '0']], probe: true, timeout });
  await until('the probe is told', () => steps.some(({ kind }) => kind === 'tftp-probe'));
  await fetchTftp(server.local, { file: 'dir/small', timeout });
  await until('the end is told', () => steps.some(({ kind }) => kind === 'tftp-done'));
  assert.deepEqual(kinds(steps), ['tftp-failed', 'tftp-start', 'tftp-probe', 'tftp-start', 'tftp-done']);
  const done = steps.at(-1);
  assert.ok(done?.kind === 'tftp-done' && done.bytes === small.length && done.mac === '52:54:00:00:00:01');
  const names = datagrams.map(({ payload }) => parse(payload).kind);
  assert.deepEqual(names.slice(-5), ['read', 'data', 'ack', 'data', 'ack']);
  assert.ok(
    datagrams.some(({ from, to }) => from.port === server.local.port || to.port === server.local.port),
  );
  const { done: count, probes, failed } = server.counts();
  assert.deepEqual({ count, probes, failed }, { count: 1, probes: 1, failed: 0 });
});

test('one port serves all transfers where address translation wants that', async (context) => {
  const { server } = await start(context, { singlePort: true });
  const clients = await Promise.all(
    Array.from({ length: 6 }, () => fetchTftp(server.local, { file: 'boot.bin', options: asked(1468, 8) })),
  );
  for (const client of clients) assert.equal(sha256(client.content), sha256(content));
});

test('text is converted for netascii and its size is not promised', async (context) => {
  const { server } = await start(context);
  const client = await fetchTftp(server.local, {
    file: 'text.cfg',
    mode: 'netascii',
    options: [['tsize', '0']],
  });
  assert.equal(client.content.toString('latin1'), 'one\r\ntwo\r\0three');
  assert.equal(client.size, null);
  assert.deepEqual(Buffer.from(netascii(Buffer.from('a\n'))).toString(), 'a\r\n');
});

interface Raw {
  readonly send: (bytes: Uint8Array, port: number) => void;
  /** Next packet, with its sender's port. */
  readonly next: (
    milliseconds?: number,
  ) => Promise<{ readonly packet: Parsed; readonly port: number } | null>;
}

async function raw(context: TestContext, address = '127.0.0.1'): Promise<Raw> {
  const socket = await bound(address);
  context.after(() => socket.close());
  const heard: { packet: Parsed; port: number }[] = [];
  socket.on('message', (bytes, { port }) => heard.push({ packet: parse(Buffer.from(bytes)), port }));
  return {
    send: (bytes, port) => socket.send(bytes, port, '127.0.0.1'),
    next: (milliseconds = 60_000) =>
      until('a packet comes', () => heard.shift(), milliseconds).catch(() => null),
  };
}
const read = (file: string, options: Options = [], mode = 'octet') =>
  encode({ kind: 'read', file, mode, options });

test('writing, unknown modes, unknown names and names that climb are refused with the codes of RFC 1350', async (context) => {
  const { server } = await start(context);
  const client = await raw(context);
  const answers: [Uint8Array, number][] = [
    [encode({ kind: 'write', file: 'x', mode: 'octet', options: [] }), 2],
    [read('boot.bin', [], 'mail'), 4],
    [read('absent'), 1],
    [read('../../etc/passwd'), 2],
    [read('/etc/passwd'), 1],
    [read('C:\\boot.ini'), 2],
    [read('..\\..\\boot.bin'), 2],
  ];
  for (const [bytes, code] of answers) {
    client.send(bytes, server.local.port);
    const answer = await client.next();
    assert.ok(answer?.packet.kind === 'error' && answer.packet.code === code, JSON.stringify(answer));
  }
});

test('a packet from elsewhere gets an error and the transfer goes on', async (context) => {
  const { server } = await start(context, { rules: unhurried });
  const client = await raw(context);
  const stranger = await raw(context);
  client.send(read('dir/small'), server.local.port);
  const first = await client.next();
  assert.ok(first?.packet.kind === 'data' && first.packet.block === 1);
  stranger.send(encode({ kind: 'ack', block: 1 }), first.port);
  const answer = await stranger.next();
  assert.ok(answer?.packet.kind === 'error' && answer.packet.code === 5);
  client.send(encode({ kind: 'ack', block: 1 }), first.port);
  const second = await client.next();
  assert.ok(second?.packet.kind === 'data' && second.packet.block === 2);
  client.send(encode({ kind: 'ack', block: 2 }), first.port);
  await until('it is done', () => server.counts().done === 1);
});

test('the same request again is answered by the same transfer', async (context) => {
  const { server } = await start(context, { rules: unhurried });
  const client = await raw(context);
  for (let at = 0; at < 3; at += 1) client.send(read('dir/small'), server.local.port);
  const ports = new Set<number>();
  for (let at = 0; at < 2; at += 1) {
    const answer = await client.next();
    assert.ok(answer?.packet.kind === 'data' && answer.packet.block === 1);
    ports.add(answer.port);
  }
  assert.equal(ports.size, 1);
  assert.equal(server.counts().running, 1);
});

test('a request that comes late changes nothing in its transfer, and another one ends that without a word', async (context) => {
  const { server, steps } = await start(context, { rules: unhurried });
  const client = await raw(context);
  client.send(read('boot.bin', asked(512, 1)), server.local.port);
  const agreed = await client.next();
  assert.equal(agreed?.packet.kind, 'options');
  const [port, old] = [agreed?.port ?? 0, server.local.port];
  for (const block of [0, 1]) {
    client.send(encode({ kind: 'ack', block }), port);
    const answer = await client.next();
    assert.ok(answer?.packet.kind === 'data' && answer.packet.block === block + 1);
  }
  client.send(read('boot.bin', asked(512, 1)), old);
  client.send(encode({ kind: 'ack', block: 2 }), port);
  const next = await client.next();
  assert.ok(next?.packet.kind === 'data' && next.packet.block === 3 && next.port === port);
  client.send(read('dir/small'), old);
  const other = await client.next();
  // An error would be taken for the answer.
  assert.equal(other?.packet.kind, 'data');
  assert.notEqual(other?.port, port);
  await until('the first one is told to be over', () => steps.some(({ kind }) => kind === 'tftp-failed'));
  assert.equal(server.counts().running, 1);
});

test('addresses outside of the local subnets hear nothing', async (context) => {
  const { server } = await start(context, { allowed: (address) => address !== '127.0.0.9' });
  const outside = await raw(context, '127.0.0.9');
  const inside = await raw(context);
  outside.send(read('dir/small'), server.local.port);
  inside.send(read('dir/small'), server.local.port);
  assert.equal((await inside.next())?.packet.kind, 'data');
  assert.equal(await outside.next(50), null);
  assert.equal(server.counts().foreign, 1);
});

test('a flood from one address or from many leaves room for the others', async (context) => {
  const { server, steps } = await start(context, {
    caps: { transfers: 12, perClient: 8, unproven: 2000 },
  });
  for (const address of ['127.0.0.2', '127.0.0.3', '127.0.0.4']) {
    for (let at = 0; at < 20; at += 1)
      (await raw(context, address)).send(read('boot.bin'), server.local.port);
  }
  await until('the flood is in', () => server.counts().busy >= 48);
  assert.equal(server.counts().running, 12);
  const client = await fetchTftp(server.local, { file: 'boot.bin', timeout: 300, retries: 400 });
  assert.equal(client.state, 'done', client.problem);
  assert.ok(steps.some((step) => step.kind === 'tftp-failed' && step.end === 'too-busy'));
});

test('noise on every port breaks nothing', async (context) => {
  const { server } = await start(context);
  const client = await raw(context);
  client.send(read('boot.bin', asked(512, 4)), server.local.port);
  const answer = await client.next();
  assert.equal(answer?.packet.kind, 'options');
  for (let at = 0; at < 2000; at += 1) {
    const bytes = noise(at % 600, at);
    client.send(bytes, server.local.port);
    if (answer) client.send(bytes, answer.port);
    if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const after = await fetchTftp(server.local, { file: 'boot.bin' });
  assert.equal(sha256(after.content), sha256(content));
});

test('a file that can not be read ends the request, not the server', async (context) => {
  const broken: TftpFile = { size: 5000, read: () => Promise.reject(new Error('EIO')), close() {} };
  const { server } = await start(context, {
    find: (name) =>
      name === 'broken' ? broken : name === 'throws' ? Promise.reject(new Error('x')) : fileOfBytes(small),
  });
  assert.equal((await fetchTftp(server.local, { file: 'throws' })).state, 'failed');
  assert.equal((await fetchTftp(server.local, { file: 'broken', retries: 2, timeout: 100 })).state, 'failed');
  assert.equal((await fetchTftp(server.local, { file: 'fine' })).state, 'done');
});

test('a busy port is told with its number', async (context) => {
  const { server } = await start(context);
  await assert.rejects(start(context, { port: server.local.port }), { code: 'PORT_TAKEN' });
});

test('a lossy path is survived over real sockets', async (context) => {
  const { server } = await start(context);
  const wish = { file: 'boot.bin', options: asked(1468, 16), timeout: 200, retries: 400 };
  const client = await fetchTftp(server.local, wish, { loss: 0.03 });
  assert.equal(sha256(client.content), sha256(content));
});
