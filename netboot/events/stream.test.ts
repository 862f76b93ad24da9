import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { installLive, putMachine, scriptOf } from '../machines/testing.ts';
import { until } from '../testing/files.ts';
import { startTestAppliance, type TestAppliance } from '../testing.ts';

interface Message {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** Reads messages of a stream until `enough` says so. */
async function read(
  appliance: TestAppliance,
  path: string,
  enough: (messages: readonly Message[]) => boolean,
  headers: Record<string, string> = {},
): Promise<Message[]> {
  const ending = new AbortController();
  const answer = await appliance.askAdmin(path, { headers, signal: ending.signal });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/event-stream/);
  assert.ok(answer.body);
  const messages: Message[] = [];
  let text = '';
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const lines = block.split('\n');
      const field = (name: string) =>
        lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
      if (field('event').length === 0) continue;
      messages.push({
        id: field('id')[0] ?? null,
        event: field('event')[0] ?? '',
        data: field('data').join('\n'),
      });
    }
    if (enough(messages)) break;
  }
  ending.abort();
  return messages;
}

/** Waits until so many listen to news. */
async function listeners({ services }: TestAppliance, count: number): Promise<void> {
  while (services.hub.listeners < count) await new Promise((resolve) => setImmediate(resolve));
}

test('the JSON stream tells events and machines as they are, and goes on where it broke', async (context) => {
  const appliance = await startTestAppliance(context);
  await putMachine(appliance, '02:00:00:00:00:01', {});
  const all = await read(
    appliance,
    '/events/stream',
    (messages) => messages.some(({ data }) => data.includes('machine.created')),
    {
      'last-event-id': '0',
    },
  );
  assert.deepEqual(
    all.map(({ id }) => id),
    all.map((_, index) => `${index + 1}`),
  );
  const idle = appliance.services.hub.listeners;
  const live = read(appliance, '/events/stream', (messages) =>
    messages.some(({ event }) => event === 'machine'),
  );
  await listeners(appliance, idle + 1);
  await putMachine(appliance, '02:00:00:00:00:01', { hostname: 'one' });
  const messages = await live;
  const machine = JSON.parse(messages.find(({ event }) => event === 'machine')?.data ?? '{}') as {
    hostname: string;
  };
  assert.equal(machine.hostname, 'one');
  assert.ok(messages.every(({ event, id }) => (event === 'event') === (id !== null)));
  const rest = await read(appliance, '/events/stream', (found) => found.length > 0, {
    'last-event-id': all.at(-1)?.id ?? '',
  });
  assert.equal(Number(rest[0]?.id), Number(all.at(-1)?.id) + 1);
});

test('the compatible stream sends rows and counts at once and after each change, all of it escaped', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const messages = await read(appliance, '/events/machines', (found) => {
    if (found.length === 2) void putMachine(appliance, '02:00:00:00:00:01', { hostname: 'one' });
    return found.length >= 4;
  });
  assert.deepEqual(
    messages.slice(0, 4).map(({ event }) => event),
    ['machines-update', 'dashboard-counts', 'machines-update', 'dashboard-counts'],
  );
  assert.match(
    messages[2]?.data ?? '',
    /<td>02:00:00:00:00:01<\/td><td>discovered<\/td>\n<td>local<\/td><td>one<\/td>/,
  );
  assert.match(messages[3]?.data ?? '', /machines: 1/);
});

test('a client that never reads costs nothing, and the others go on', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const token = await appliance.makeToken('read');
  const idle = appliance.services.hub.listeners;
  const { port } = new URL(appliance.url);
  const deaf = Array.from({ length: 20 }, () => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(`GET /events/machines HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    socket.pause();
    context.after(() => socket.destroy());
    return socket;
  });
  assert.equal(deaf.length, 20);
  await listeners(appliance, idle + 20);
  const before = process.memoryUsage().rss;
  for (let index = 0; index < 300; index++)
    await scriptOf(appliance, `02:00:00:00:0${index % 10}:${10 + (index % 80)}`);
  assert.ok(process.memoryUsage().rss - before < 150e6);
});

test('a client that asks for all events and never reads holds one of them, not pages', async (context) => {
  const appliance = await startTestAppliance(context);
  const notes = 'x'.repeat(200_000);
  for (let index = 0; index < 100; index++)
    await appliance.services.events.record({
      kind: 'test.long',
      subject: null,
      actor: 'system',
      address: null,
      summary: `${index}`,
      details: { notes },
    });
  const token = await appliance.makeToken('read');
  const idle = appliance.services.hub.listeners;
  const { port } = new URL(appliance.url);
  const before = process.memoryUsage().rss;
  for (let index = 0; index < 30; index++) {
    const socket = connect(Number(port), '127.0.0.1');
    const head = `GET /events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nLast-Event-ID: 0`;
    socket.write(`${head}\r\n\r\n`);
    socket.pause();
    context.after(() => socket.destroy());
  }
  await listeners(appliance, idle + 30);
  // One that came after them has all: they had their turns.
  const all = await read(appliance, '/events/stream', (found) => found.length >= 100, {
    'last-event-id': '0',
  });
  assert.deepEqual(
    all.slice(0, 100).map(({ id }) => id),
    Array.from({ length: 100 }, (_, index) => `${index + 1}`),
  );
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 250e6, `${grown}`);
});

test('a stream that does not read while thousands of things change is let go', async (context) => {
  const appliance = await startTestAppliance(context);
  const { hub } = appliance.services;
  const token = await appliance.makeToken('read');
  const idle = hub.listeners;
  const { port } = new URL(appliance.url);
  const socket = connect(Number(port), '127.0.0.1');
  context.after(() => socket.destroy());
  socket.write(`GET /events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  socket.pause();
  await listeners(appliance, idle + 1);
  const value = 'x'.repeat(20_000);
  for (let index = 0; hub.listeners > idle; index++) {
    assert.ok(index < 100_000, 'it is kept for ever');
    hub.publish({ kind: 'notice', key: `${index}`, value });
    if (index % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
});

test('one address may hold a hundred streams, and each that ends makes room', async (context) => {
  const appliance = await startTestAppliance(context);
  const ending = new AbortController();
  context.after(() => ending.abort());
  const stream = (signal: AbortSignal) => appliance.askAdmin('/events/stream', { signal });
  const one = new AbortController();
  assert.equal((await stream(one.signal)).status, 200);
  const others = await Promise.all(Array.from({ length: 99 }, () => stream(ending.signal)));
  assert.ok(others.every(({ status }) => status === 200));
  const refused = await stream(ending.signal);
  assert.equal(refused.status, 503);
  assert.match(await refused.text(), /100 streams to this address are open already/);
  one.abort();
  await until('there is room again', async () => {
    const answer = await stream(ending.signal);
    if (answer.status !== 200) await answer.text();
    return answer.status === 200;
  });
});

test('a stream ends with the session that opened it, and with the appliance', async (context) => {
  const appliance = await startTestAppliance(context);
  assert.equal((await appliance.ask('/events/stream')).status, 401);
  const stream = await appliance.askAdmin('/events/stream');
  const text = stream.text();
  await appliance.close();
  assert.match(await text, /^:\n/);
});
