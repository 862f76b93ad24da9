/** An appliance that is broken, hostile or away, over real connections. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bodyBytes, checkMessage, Plan } from '../../shared/contract/agent.ts';
import { Appliance } from './appliance.ts';

const plan: Plan = { kind: 'exit', id: 'plan-1', title: null, after: 'reboot', reason: null };

interface Asked {
  readonly appliance: Appliance;
  /** When each question came, in milliseconds. */
  readonly times: number[];
  readonly trouble: (string | null)[];
}

/**
 * Asks a server that answers its questions as `answers` do, the last of them for ever, and waits `tryMilliseconds` for
 * each answer.
 */
async function asking(
  context: TestContext,
  tryMilliseconds: number,
  ...answers: readonly RequestListener[]
): Promise<Asked> {
  const times: number[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(times.length, answers.length - 1)];
    times.push(performance.now());
    answer?.(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const trouble: (string | null)[] = [];
  const appliance = new Appliance({
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mac: '52:54:00:00:00:01',
    token: 'token-of-this-boot-0123456789',
    onTrouble: (problem) => trouble.push(problem),
    tryMilliseconds,
    firstPause: 100,
    longestPause: 400,
  });
  context.after(() => {
    appliance.close();
    server.closeAllConnections();
    server.close();
  });
  return { appliance, times, trouble };
}

const { signal } = new AbortController();
const patience = 120_000;
const whole = (response: ServerResponse) => void response.end(JSON.stringify(plan));
const ask = ({ appliance }: Asked): Promise<Plan> =>
  appliance.get('/pxe/x/plan', (value) => checkMessage(Plan, value), { signal });

const passing: readonly (readonly [string, RequestListener, RegExp, number?])[] = [
  [
    'sends more than a plan can be',
    (_request, response) => {
      const piece = Buffer.alloc(64 * 1024, '[');
      const more = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', more);
      more();
    },
    new RegExp(`more than ${bodyBytes} bytes`),
  ],
  [
    'drips one byte at a time',
    (_request, response) => {
      const timer = setInterval(() => response.write(' '), 50);
      response.on('close', () => clearInterval(timer));
    },
    /no answer within 1 seconds/,
    1000,
  ],
  ['never answers', () => {}, /no answer within 1 seconds/, 1000],
  ['hangs up', (request) => void request.socket.destroy(), /hang up|ECONNRESET/],
  [
    'breaks off in the middle',
    (request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"kind"');
      setTimeout(() => request.socket.destroy(), 50);
    },
    /aborted|ECONNRESET/,
  ],
  ['sends a header without end', (_request, response) => tooMuchHeader(response), /header|HPE|overflow/i],
  ['is overloaded', (_request, response) => void response.writeHead(503).end(), /HTTP status 503/],
];

function tooMuchHeader(response: ServerResponse): void {
  response.socket?.write(`HTTP/1.1 200 OK\r\n${`x-more: ${'y'.repeat(1000)}\r\n`.repeat(100)}`);
}

for (const [what, listener, problem, tryMilliseconds = patience] of passing) {
  test(`an appliance that ${what} is asked again, after pauses, until it answers`, async (context) => {
    const asked = await asking(context, tryMilliseconds, listener, listener, (_, response) =>
      whole(response),
    );
    assert.deepEqual(await ask(asked), plan);
    assert.equal(asked.trouble.length, 2, 'told once, and when it is over');
    assert.match(String(asked.trouble[0]), problem);
    assert.equal(asked.trouble[1], null);
    const [first = 0, second = 0, third = 0] = asked.times;
    assert.ok(second - first >= 70 && third - second >= 140, 'it does not spin');
  });
}

const final: readonly (readonly [string, RequestListener, string])[] = [
  [
    'leads elsewhere',
    (request, response) => void response.writeHead(302, { location: request.url ?? '/' }).end(),
    'APPLIANCE_REFUSED',
  ],
  ['knows no such token', (_request, response) => void response.writeHead(401).end(), 'APPLIANCE_REFUSED'],
  ['sends no JSON', (_request, response) => void response.end('<html>'), 'PLAN_INVALID'],
  ['packs what it was not asked to pack', (_request, response) => packed(response), 'PLAN_INVALID'],
  [
    'nests without end',
    (_request, response) => void response.end('['.repeat(120_000) + ']'.repeat(120_000)),
    'PLAN_INVALID',
  ],
  [
    'sends other types than it should',
    (_request, response) =>
      void response.end(JSON.stringify({ ...plan, kind: 'interactive', poll_seconds: '5' })),
    'PLAN_INVALID',
  ],
  [
    'sends a pause of a million years',
    (_request, response) =>
      void response.end(JSON.stringify({ ...plan, kind: 'interactive', poll_seconds: 1e300 })),
    'PLAN_INVALID',
  ],
];

/** Zeros that would unpack to more than a plan can be, and the word that they are packed. */
function packed(response: ServerResponse): void {
  const layer = gzipSync(Buffer.alloc(16 << 20));
  response.writeHead(200, { 'content-encoding': 'gzip' }).end(layer);
}

for (const [what, listener, code] of final) {
  test(`an appliance that ${what} is not asked again by itself`, async (context) => {
    const asked = await asking(context, patience, listener);
    await assert.rejects(ask(asked), { code });
    assert.equal(asked.times.length, 1);
  });
}

test('one that speaks no HTTP is asked again', async (context) => {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write('SSH-2.0-OpenSSH_9.2\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const appliance = new Appliance({
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mac: '52:54:00:00:00:01',
    token: null,
    onTrouble: () => {},
    firstPause: 20,
    longestPause: 1500,
  });
  const limits = { signal, forMilliseconds: 4000 };
  await assert.rejects(appliance.post('/x', {}, limits), { code: 'APPLIANCE_UNREACHABLE' });
  assert.ok(sockets.size >= 2 && sockets.size < 16, `${sockets.size} tries`);
  appliance.close();
});
