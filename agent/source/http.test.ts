import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fill, headBytes } from './head.ts';
import { httpSource } from './http.ts';
import { hurried, imageListener, listen, type Request, type Serving } from './http-testing.ts';
import type { ImageSource } from './source.ts';
import { drain, never, noise, seeded, sha256 } from './testing.ts';

const old = new Date(Date.now() - 86_400_000).toUTCString();

/** A source whose replies are as `serving` says, with what was asked and noticed. */
async function begin(context: TestContext, serving: (count: number) => Serving, options = {}) {
  const requests: Request[] = [];
  const notices: string[] = [];
  const address = `${await listen(context, imageListener(serving, requests))}/images/disk.img`;
  const onNotice = (text: string) => notices.push(text);
  const source = await httpSource(address, { ...hurried, onNotice, ...options });
  context.after(() => source.close());
  return { source, requests, notices, address };
}

const wholeOf = async (source: ImageSource): Promise<Uint8Array> => drain(await source.open(never));

test('an image is read with its size, head, name and as often as it is opened', async (context) => {
  const bytes = noise(700_000);
  const { source, requests, notices, address } = await begin(context, () => ({
    bytes,
    etag: '"1"',
    ranges: true,
  }));
  assert.deepEqual(
    [source.kind, source.location, source.name, source.size, source.random?.size],
    ['http', address, 'disk.img', bytes.length, bytes.length],
  );
  assert.deepEqual(await source.head(), bytes.slice(0, headBytes));
  assert.equal(sha256(await wholeOf(source)), sha256(bytes));
  assert.equal(sha256(await drain(await source.open(never), 1000)), sha256(bytes));
  assert.equal(requests.length, 2);
  assert.equal(requests[0]?.range, 'bytes=0-');
  assert.equal(requests[0]?.headers['accept-encoding'], 'identity');
  assert.match(requests[0]?.headers['user-agent'] ?? '', /^bty\/\d/);
  assert.deepEqual(notices, []);
});

for (const [validator, guard] of [
  ['a strong ETag', { etag: '"1"' }],
  ['a weak ETag', { etag: 'W/"1"' }],
  ['a date', { lastModified: old }],
  ['no version', {}],
] as const) {
  test(`a connection that breaks at random bytes is resumed at the exact byte, with ${validator}`, async (context) => {
    const random = seeded(validator.length);
    const bytes = noise(600_000);
    const ways = ['reset', 'close'] as const;
    const serving = (): Serving => ({
      bytes,
      ...guard,
      ranges: true,
      breakAfter: Math.floor(random() * 90_000),
      breakBy: ways[Math.floor(random() * 2)] ?? 'reset',
    });
    // A reset may lose all that was under way, many times in a row.
    const { source, requests, notices } = await begin(context, serving, { attempts: 1000 });
    assert.equal(sha256(await drain(await source.open(never), 10_000)), sha256(bytes));
    assert.ok(requests.length > 5);
    assert.ok(
      notices.some((text) => /^Connection lost at byte \d+ \(.*\); resuming\.$/.test(text)),
      notices.join(),
    );
    assert.equal(
      requests[1]?.headers['if-range'],
      'etag' in guard && validator === 'a strong ETag' ? '"1"' : 'lastModified' in guard ? old : undefined,
    );
  });
}

test('a stalled connection is resumed after the idle time', async (context) => {
  const bytes = noise(300_000);
  const serving = (count: number): Serving => ({
    bytes,
    etag: '"1"',
    ranges: true,
    ...(count < 2 ? { breakAfter: 140_000, breakBy: 'stall' } : {}),
  });
  const { source, requests } = await begin(context, serving, { idleMilliseconds: 1500 });
  assert.equal(sha256(await wholeOf(source)), sha256(bytes));
  assert.deepEqual(
    requests.map((request) => request.range),
    ['bytes=0-', 'bytes=140000-', 'bytes=280000-'],
  );
});

test('a server that delivers nothing any more fails the transfer with the byte it stopped at', async (context) => {
  const bytes = noise(300_000);
  const serving = (count: number): Serving => ({
    bytes,
    etag: '"1"',
    ranges: true,
    breakAfter: count === 0 ? 200_000 : 0,
    breakBy: 'close',
  });
  const waits: number[] = [];
  const { source, requests, notices } = await begin(context, serving, {
    attempts: 4,
    backOffMilliseconds: (attempt: number) => {
      waits.push(attempt);
      return 0;
    },
  });
  await assert.rejects(
    drain(await source.open(never)),
    (error: { code: string; details: { offset: number } }) => {
      assert.equal(error.code, 'SOURCE_DROPPED');
      assert.equal(error.details.offset, 200_000);
      return true;
    },
  );
  assert.deepEqual(waits, [1, 2, 3, 4]);
  assert.equal(requests.length, 5);
  assert.equal(notices.length, 1);
});

test('a server without Range support is told, and read whole', async (context) => {
  const bytes = noise(300_000);
  const { source, notices } = await begin(context, () => ({ bytes, ranges: false }));
  assert.equal(source.random, null);
  assert.equal(sha256(await wholeOf(source)), sha256(bytes));
  assert.deepEqual(notices, ['The server has no Range support; a dropped connection cannot be resumed.']);
});

for (const [way, code] of [
  ['reset', 'SOURCE_DROPPED'],
  ['close', 'SOURCE_DROPPED'],
] as const) {
  test(`a ${way} without Range support fails with ${code}`, async (context) => {
    const bytes = noise(400_000);
    const serving = (): Serving => ({ bytes, ranges: false, breakAfter: 390_000, breakBy: way });
    const { source, requests } = await begin(context, serving);
    await assert.rejects(wholeOf(source), { code });
    // A reset may lose bytes that were under way, down to what can be compared with a new beginning.
    if (way === 'close') assert.equal(requests.length, 2);
  });
}

test('without Range support, a break within the first bytes is mended by comparing them', async (context) => {
  const bytes = noise(400_000);
  const serving = (count: number): Serving => ({
    bytes,
    ranges: false,
    ...(count < 3 ? { breakAfter: 30_000 * (count + 1) } : {}),
  });
  const { source, requests } = await begin(context, serving);
  assert.equal(sha256(await wholeOf(source)), sha256(bytes));
  assert.equal(requests.length, 4);
});

test('without Range support, another image behind the same address is noticed', async (context) => {
  const serving = (count: number): Serving =>
    count === 0
      ? { bytes: noise(400_000), ranges: false, breakAfter: 50_000, breakBy: 'close' }
      : { bytes: noise(400_000, 2), ranges: false };
  const { source } = await begin(context, serving);
  await assert.rejects(wholeOf(source), { code: 'SOURCE_CHANGED' });
});

const changes: readonly (readonly [string, Partial<Serving>, Partial<Serving>])[] = [
  ['its ETag', { etag: '"1"' }, { etag: '"2"' }],
  ['its ETag, told in spite of If-Range', { etag: '"1"' }, { etag: '"2"', ranges: 'ignoring If-Range' }],
  ['its weak ETag', { etag: 'W/"1"' }, { etag: 'W/"2"' }],
  ['its date', { lastModified: old }, { lastModified: new Date().toUTCString() }],
  ['its size', {}, { bytes: noise(400_001) }],
  ['its size, below what was read', {}, { bytes: noise(100_000) }],
];
for (const [what, before, after] of changes) {
  test(`an image that changes ${what} between resumes fails the transfer`, async (context) => {
    const common: Serving = { bytes: noise(400_000), ranges: true };
    const serving = (count: number): Serving =>
      count === 0 ? { ...common, ...before, breakAfter: 200_000, breakBy: 'close' } : { ...common, ...after };
    const { source } = await begin(context, serving);
    await assert.rejects(wholeOf(source), { code: 'SOURCE_CHANGED' });
  });
}

test('a reply that answers the condition need not repeat the date', async (context) => {
  const bytes = noise(400_000);
  const serving = (count: number): Serving =>
    count === 0
      ? { bytes, ranges: true, lastModified: old, breakAfter: 200_000, breakBy: 'close' }
      : { bytes, ranges: 'ignoring If-Range' };
  const { source } = await begin(context, serving);
  assert.equal(sha256(await wholeOf(source)), sha256(bytes));
});

test('replies shorter than asked are put together', async (context) => {
  const bytes = noise(400_000);
  const { source, requests, notices } = await begin(context, () => ({
    bytes,
    etag: '"1"',
    ranges: true,
    atMost: 70_000,
  }));
  assert.equal(source.size, bytes.length);
  assert.equal(sha256(await wholeOf(source)), sha256(bytes));
  assert.equal(requests.length, 6);
  assert.deepEqual(notices, []);
});

for (const framing of ['chunked', 'close'] as const) {
  test(`an image of unknown length (${framing}) is read to its end`, async (context) => {
    const bytes = noise(400_000);
    const { source, notices } = await begin(context, () => ({ bytes, ranges: false, framing }));
    assert.equal(source.size, null);
    assert.equal(sha256(await wholeOf(source)), sha256(bytes));
    assert.equal(
      notices.some((text) => /a cut would go unnoticed/.test(text)),
      framing === 'close',
    );
  });
}

test('a cut transfer of unknown length is completed where Range requests prove the cut', async (context) => {
  const bytes = noise(400_000);
  const serving = (count: number): Serving =>
    count === 0
      ? { bytes, ranges: false, framing: 'close', breakAfter: 250_000, breakBy: 'close' }
      : { bytes, ranges: true };
  const { source } = await begin(context, serving);
  assert.equal(sha256(await wholeOf(source)), sha256(bytes));
});

test('a cut chunked transfer without Range support fails', async (context) => {
  const bytes = noise(400_000);
  const serving = (): Serving => ({
    bytes,
    ranges: false,
    framing: 'chunked',
    breakAfter: 250_000,
    breakBy: 'close',
  });
  const { source } = await begin(context, serving);
  await assert.rejects(wholeOf(source), { code: 'SOURCE_DROPPED' });
});

test('an empty image is an empty source', async (context) => {
  for (const ranges of [true, false]) {
    const { source } = await begin(context, () => ({ bytes: new Uint8Array(0), ranges }));
    assert.equal(source.size, 0);
    assert.equal((await source.head()).length, 0);
    assert.equal((await wholeOf(source)).length, 0);
  }
});

test('a server that serves proper parts only gives random access all the same', async (context) => {
  const bytes = noise(400_000);
  const serving = (count: number): Serving => ({
    bytes,
    etag: '"1"',
    ranges: count > 0,
    headers: { 'Accept-Ranges': 'bytes' },
  });
  const { source, requests } = await begin(context, serving);
  assert.equal(requests[1]?.range, 'bytes=1-1');
  assert.equal(source.random?.size, bytes.length);
  assert.equal(sha256(await wholeOf(source)), sha256(bytes));
});

test('stored bytes are delivered as they are, whatever the server calls their encoding', async (context) => {
  const bytes = noise(1000);
  const { source } = await begin(context, () => ({
    bytes,
    ranges: true,
    headers: { 'Content-Encoding': 'gzip', 'Content-Type': 'text/html' },
  }));
  assert.deepEqual(await source.head(), bytes);
});

test('aborting rejects a pending read at once, and the server sees the connection end', async (context) => {
  const bytes = noise(400_000);
  let closed: (value: string) => void = () => {};
  const seen = new Promise<string>((resolve) => {
    closed = resolve;
  });
  const serve = imageListener(() => ({ bytes, ranges: true, breakAfter: 200_000, breakBy: 'stall' }));
  const address = await listen(context, (request, response) => {
    request.socket.once('close', () => closed('closed'));
    serve(request, response);
  });
  const source = await httpSource(address, hurried);
  const controller = new AbortController();
  const stream = await source.open(controller.signal);
  await fill((room) => stream.read(room), new Uint8Array(200_000));
  const pending = stream.read(new Uint8Array(10));
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(pending, reason);
  assert.equal(await seen, 'closed');
  await source.close();
  await assert.rejects(wholeOf(source), { code: 'INTERNAL' });
});

test('aborting ends the wait between attempts', async (context) => {
  const bytes = noise(400_000);
  const controller = new AbortController();
  const { source } = await begin(context, () => ({ bytes, ranges: true, breakAfter: 150_000 }), {
    backOffMilliseconds: () => {
      queueMicrotask(() => controller.abort(new Error('enough')));
      return 1e6;
    },
    longestWaitMilliseconds: 1e6,
    signal: controller.signal,
  });
  await assert.rejects(wholeOf(source), { message: 'enough' });
});

test('a reader that does not keep up makes the server wait', async (context) => {
  const size = 64 * 1024 * 1024;
  let written = 0;
  let waited: () => void = () => {};
  const full = new Promise<void>((resolve) => {
    waited = resolve;
  });
  const address = await listen(context, (_, response) => {
    response.writeHead(200, { 'Content-Length': size });
    const chunk = noise(1024 * 1024);
    const more = (): void => {
      if (written === size) response.end();
      else {
        written += chunk.length;
        if (response.write(chunk)) setImmediate(more);
        else {
          // The socket takes no more for now; when it never does, the reader is what holds it up.
          const timer = setTimeout(waited, 300);
          response.once('drain', () => {
            clearTimeout(timer);
            more();
          });
        }
      }
    };
    more();
  });
  const source = await httpSource(address, hurried);
  const stream = await source.open(never);
  await stream.read(new Uint8Array(10));
  await full;
  assert.ok(written < size / 2, `${written} bytes were taken in`);
  await source.close();
});
