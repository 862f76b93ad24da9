import assert from 'node:assert/strict';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { until } from '../testing/files.ts';
import { moreHands } from './hands.ts';

const waiting = 64;

/** Connects so often, says so, and sends no byte. */
const caller = `
  const { connect } = require('node:net');
  const { workerData: { port, count, connected } } = require('node:worker_threads');
  for (let made = 0; made < count; made++) {
    const socket = connect(port, '127.0.0.1', () => {
      Atomics.add(connected, 0, 1);
      Atomics.notify(connected, 0);
    });
    socket.on('error', () => {});
  }
`;

test('of connections that wait many are taken in one turn, and all of them are the server\u2019s', {
  skip: process.platform === 'linux' ? false : 'one at a time elsewhere',
}, async (context) => {
  const server = createServer((request, response) => response.end(request.url));
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 256 }, resolve));
  const more = await moreHands(server, 256, true);
  context.after(() => server.closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const perTurn = new Map<number, number>();
  let turn = 0;
  let taken = 0;
  server.on('connection', () => {
    taken++;
    perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1);
  });
  const connected = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(caller, { eval: true, workerData: { port, count: waiting, connected } });
  context.after(() => worker.terminate());
  // Nothing is taken until all wait.
  for (let seen = 0; seen < waiting; seen = Atomics.load(connected, 0)) {
    assert.notEqual(Atomics.wait(connected, 0, seen, 60_000), 'timed-out');
  }
  const count = () => {
    turn++;
    if (taken < waiting) setImmediate(count);
  };
  setImmediate(count);
  await until('all are taken', () => taken === waiting);
  assert.ok(Math.max(...perTurn.values()) >= 16, `${[...perTurn.values()]} in the turns`);
  await worker.terminate();
  const answers = await Promise.all(
    Array.from({ length: waiting }, (_, index) => {
      return new Promise<string>((resolve, reject) => {
        const asked = get({ port, host: '127.0.0.1', path: `/${index}`, agent: false }, async (response) => {
          let text = '';
          for await (const chunk of response) text += String(chunk);
          resolve(text);
        });
        asked.on('error', reject);
      });
    }),
  );
  assert.deepEqual(
    answers,
    Array.from({ length: waiting }, (_, index) => `/${index}`),
  );
  const closed = [server, ...more].map((one) => new Promise((resolve) => one.close(resolve)));
  server.closeAllConnections();
  await Promise.all(closed);
  await assert.rejects(
    new Promise((resolve, reject) => get({ port, host: '127.0.0.1' }, resolve).on('error', reject)),
    { code: 'ECONNREFUSED' },
  );
});
