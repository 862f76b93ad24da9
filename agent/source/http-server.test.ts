/** What a server may answer besides the image. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer, request as forward } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import { httpSource } from './http.ts';
import { hurried, imageListener, listen, type Request } from './http-testing.ts';
import { drain, never, noise, run, sha256, temporaryDirectory } from './testing.ts';

const codeOf = (address: string, options = {}): Promise<string> =>
  httpSource(address, { ...hurried, ...options }).then(
    async (source) => {
      await source.close();
      return 'opened';
    },
    (error) => error.code,
  );

/** Answers every connection with `raw` and closes it. */
async function rawServer(context: TestContext, raw: (count: number) => string | Uint8Array): Promise<string> {
  let count = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(raw(count++)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.img`;
}

async function readAll(address: string): Promise<Uint8Array> {
  const source = await httpSource(address, { ...hurried, attempts: 3 });
  try {
    return await drain(await source.open(never));
  } finally {
    await source.close();
  }
}

test('a status other than success is told', async (context) => {
  for (const status of [400, 401, 403, 404, 410, 204, 304, 500, 503]) {
    const address = await listen(context, (_, response) => response.writeHead(status).end());
    await assert.rejects(httpSource(address, hurried), {
      code: 'SOURCE_HTTP_STATUS',
      details: { url: `${address}/`, status },
    });
  }
});

test('a server that cannot be reached is told, without credentials', async (context) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(httpSource(`http://me:secret@127.0.0.1:${port}/disk.img`, hurried), {
    code: 'SOURCE_UNREACHABLE',
    message: `http://127.0.0.1:${port}/disk.img cannot be reached: connection refused (ECONNREFUSED).`,
  });
  assert.equal(await codeOf('http://no-such-host.invalid/disk.img'), 'SOURCE_UNREACHABLE');
  assert.equal(await codeOf('http://[bad/'), 'SOURCE_UNREACHABLE');
  assert.equal(await codeOf('ftp://host/disk.img'), 'SOURCE_UNREACHABLE');
  const silent = await rawServer(context, () => '');
  assert.equal(await codeOf(silent), 'SOURCE_UNREACHABLE');
});

test('a server that accepts and never answers is given up', async (context) => {
  const address = await listen(context, () => {});
  await assert.rejects(httpSource(address, { ...hurried, connectMilliseconds: 30 }), {
    code: 'SOURCE_UNREACHABLE',
    message: /no answer for 0\.03 seconds/,
  });
});

test('a server that asks to come later is obeyed, within bounds', async (context) => {
  const bytes = noise(1000);
  const serve = imageListener(() => ({ bytes, ranges: true }));
  for (const [status, after, expected, asked] of [
    [503, '0', 'opened', 3],
    [429, '0', 'opened', 3],
    [503, '9999', 'SOURCE_HTTP_STATUS', 1],
    [404, '0', 'SOURCE_HTTP_STATUS', 1],
  ] as const) {
    let count = 0;
    const address = await listen(context, (request, response) => {
      if (count++ < 2) response.writeHead(status, { 'Retry-After': after }).end();
      else serve(request, response);
    });
    assert.equal(await codeOf(address), expected);
    assert.equal(count, asked);
  }
  const always = await listen(context, (_, response) =>
    response.writeHead(503, { 'Retry-After': '0' }).end(),
  );
  assert.equal(await codeOf(always), 'SOURCE_HTTP_STATUS');
});

test('trouble that passes does not end a transfer; trouble that stays does', async (context) => {
  const bytes = noise(400_000);
  for (const [status, expected] of [
    [503, 'whole'],
    [429, 'whole'],
    [404, 'SOURCE_DROPPED'],
  ] as const) {
    const serve = imageListener((count) => ({
      bytes,
      etag: '"1"',
      ranges: true,
      ...(count === 0 ? { breakAfter: 200_000, breakBy: 'close' } : {}),
    }));
    let count = 0;
    const address = await listen(context, (request, response) => {
      if ([1, 2].includes(count++)) response.writeHead(status).end();
      else serve(request, response);
    });
    const outcome = await readAll(address).then(
      (read) => (sha256(read) === sha256(bytes) ? 'whole' : 'other bytes'),
      (error) => error.code,
    );
    assert.equal(outcome, expected, String(status));
  }
});

test('redirects are followed, and what they lead to names the image', async (context) => {
  const bytes = noise(1000);
  const requests: Request[] = [];
  const serve = imageListener(() => ({ bytes, ranges: true }), requests);
  const address = await listen(context, (request, response) => {
    if (request.url === '/latest')
      response.writeHead(302, { Location: 'releases/1/disk.img.xz?token=x' }).end('moved');
    else serve(request, response);
  });
  const source = await httpSource(`${address}/latest`, hurried);
  assert.deepEqual([source.name, source.location], ['disk.img.xz', `${address}/latest`]);
  assert.deepEqual(await source.head(), bytes);
  await source.close();
  assert.equal(requests[0]?.url, '/releases/1/disk.img.xz?token=x');
});

test('redirects that lead nowhere are refused', async (context) => {
  const to = (location: string) =>
    listen(context, (_, response) => response.writeHead(301, { Location: location }).end());
  assert.equal(await codeOf(await to('/')), 'SOURCE_UNREACHABLE');
  assert.equal(await codeOf(await to('ftp://host/')), 'SOURCE_UNREACHABLE');
  assert.equal(await codeOf(await to('file:///etc/passwd')), 'SOURCE_UNREACHABLE');
  assert.equal(await codeOf(await to('http://[bad/')), 'SOURCE_UNREACHABLE');
  assert.equal(
    await codeOf(await listen(context, (_, response) => response.writeHead(302).end())),
    'SOURCE_HTTP_STATUS',
  );
});

test('credentials go to the host that they are for, and nowhere else', async (context) => {
  const bytes = noise(1000);
  const elsewhere: Request[] = [];
  const here: Request[] = [];
  const other = await listen(
    context,
    imageListener(() => ({ bytes, ranges: true }), elsewhere),
  );
  const serve = imageListener(() => ({ bytes, ranges: true }), here);
  const address = await listen(context, serve);
  const own = new URL(`${address}/disk.img`);
  own.username = 'me';
  own.password = 'p@ss wörd';
  const source = await httpSource(own.href, hurried);
  assert.equal(source.location, `${address}/disk.img`);
  await source.close();
  assert.equal(here[0]?.headers.authorization, `Basic ${Buffer.from('me:p@ss wörd').toString('base64')}`);

  const away = new URL(
    await listen(context, (_, response) => response.writeHead(307, { Location: `${other}/disk.img` }).end()),
  );
  away.username = 'me';
  away.password = 'secret';
  await (await httpSource(away.href, hurried)).close();
  assert.equal(elsewhere[0]?.headers.authorization, undefined);
});

test('an address that a redirect led to is renewed when it has run out', async (context) => {
  const bytes = noise(400_000);
  let valid = 1;
  const serve = imageListener((count) => ({
    bytes,
    etag: '"1"',
    ranges: true,
    ...(count === 0 ? { breakAfter: 200_000, breakBy: 'close' } : {}),
  }));
  const store = await listen(context, (request, response) => {
    if (request.url === `/${valid}`) serve(request, response);
    else response.writeHead(403).end();
    if (request.headers.range === 'bytes=0-') valid = 2;
  });
  const address = await listen(context, (_, response) =>
    response.writeHead(302, { Location: `${store}/${valid}` }).end(),
  );
  assert.equal(sha256(await readAll(address)), sha256(bytes));
});

test('lengths that contradict each other fail the transfer', async (context) => {
  const body = 'x'.repeat(100);
  const cases: readonly (readonly [string, string])[] = [
    [`206 Partial Content\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 90`, 'SOURCE_LENGTH'],
    [`206 Partial Content\r\nContent-Range: bytes 0-89/90\r\nConnection: close`, 'SOURCE_LENGTH'],
    [`206 Partial Content\r\nContent-Range: bytes 0-89/90\r\nContent-Length: 90`, 'SOURCE_LENGTH'],
    [`200 OK\r\nContent-Length: 90`, 'SOURCE_LENGTH'],
    [`200 OK\r\nContent-Length: 110`, 'SOURCE_DROPPED'],
    [`206 Partial Content\r\nContent-Range: bytes 0-109/110\r\nContent-Length: 110`, 'SOURCE_DROPPED'],
    [`206 Partial Content\r\nContent-Range: bytes 1-100/101\r\nContent-Length: 100`, 'SOURCE_UNREACHABLE'],
    [`206 Partial Content\r\nContent-Length: 100`, 'SOURCE_UNREACHABLE'],
    [`416 Range Not Satisfiable\r\nContent-Range: bytes */100`, 'SOURCE_HTTP_STATUS'],
  ];
  for (const [header, code] of cases) {
    const address = await rawServer(context, () => `HTTP/1.1 ${header}\r\n\r\n${body}`);
    await assert.rejects(readAll(address), { code }, header);
  }
});

test('a resumed reply that starts elsewhere fails the transfer', async (context) => {
  const address = await rawServer(context, (count) =>
    count === 0
      ? `HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 100\r\n\r\n${'x'.repeat(60)}`
      : `HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 50-99/100\r\nContent-Length: 50\r\n\r\n${'x'.repeat(50)}`,
  );
  await assert.rejects(readAll(address), {
    code: 'SOURCE_DROPPED',
    message: /bytes 50 to 99 when asked for byte 60/,
  });
});

test('a server that sends no byte and tells no length is asked once more, and has an empty image', async (context) => {
  let asked = 0;
  const address = await rawServer(context, (count) => {
    asked = count + 1;
    return 'HTTP/1.1 200 OK\r\n\r\n';
  });
  assert.equal((await readAll(address)).length, 0);
  assert.ok(asked <= 3, `${asked} requests`);
});

test('whatever a server answers, there are bytes or a Failure', async (context) => {
  const lines = fc.constantFrom(
    'HTTP/1.1 200 OK',
    'HTTP/1.1 206 Partial Content',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 416 x',
    'HTTP/1.1 302 x',
    'Content-Length: 5',
    'Content-Length: -5',
    'Content-Length: 99999999999999999999',
    'Content-Range: bytes 0-4/5',
    'Content-Range: bytes 0-4/*',
    'Content-Range: bytes */0',
    'Transfer-Encoding: chunked',
    'Location: /',
    'Retry-After: 0',
    'ETag: "x"',
    'Accept-Ranges: bytes',
    '',
    '5',
    'hello',
    '0',
  );
  const answers = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('HTTP/1.1 200 OK', 'HTTP/1.1 206 Partial Content'),
        fc.array(lines, { maxLength: 8 }),
      )
      .map(([first, rest]) => Buffer.from([first, ...rest].join('\r\n'))),
    fc.uint8Array({ maxLength: 200 }),
  );
  let answer: Uint8Array = new Uint8Array();
  const address = await rawServer(context, () => answer);
  await fc.assert(
    fc.asyncProperty(answers, async (next) => {
      answer = next;
      await readAll(address).catch((error) => assert.ok(error instanceof Failure, String(error)));
    }),
    { numRuns: 150 },
  );
});

test('random access gives the same bytes through drops, and keeps what it has', async (context) => {
  const bytes = noise(3_000_000);
  const requests: Request[] = [];
  const serving = imageListener(
    (count) => ({ bytes, etag: '"1"', ranges: true, ...(count % 3 === 1 ? { breakAfter: 100_000 } : {}) }),
    requests,
  );
  const source = await httpSource(`${await listen(context, serving)}/disk.img`, hurried);
  const { random } = source;
  assert.ok(random);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(3_100_000),
      fc.oneof(fc.nat(5000), fc.integer({ min: 900_000, max: 1_500_000 })),
      async (position, length) => {
        const into = new Uint8Array(length);
        const count = await random.read(into, position);
        assert.ok(count > 0 || position >= bytes.length || length === 0);
        assert.equal(Buffer.compare(into.subarray(0, count), bytes.subarray(position, position + count)), 0);
      },
    ),
    { numRuns: 60 },
  );
  const before = requests.length;
  await Promise.all([1000, 2000, 3000].map((position) => random.read(new Uint8Array(10), position)));
  await random.read(new Uint8Array(10), 4000);
  assert.ok(requests.length - before <= 3);
  await source.close();
  await assert.rejects(random.read(new Uint8Array(10), 2_900_000), { code: 'INTERNAL' });
});

test('random access notices another version', async (context) => {
  const bytes = noise(3_000_000);
  const serving = imageListener((count) => ({ bytes, etag: count === 0 ? '"1"' : '"2"', ranges: true }));
  const source = await httpSource(`${await listen(context, serving)}/disk.img`, hurried);
  await assert.rejects(source.random?.read(new Uint8Array(10), 0) ?? Promise.resolve(), {
    code: 'SOURCE_CHANGED',
  });
  await source.close();
});

test('a proxy named by the environment is used', async (context) => {
  const bytes = noise(1000);
  const address = await listen(
    context,
    imageListener(() => ({ bytes, ranges: true })),
  );
  const asked: string[] = [];
  const proxy = createHttpServer((request, response) => {
    asked.push(request.url ?? '');
    forward(request.url ?? '', { headers: request.headers }, (reply) => {
      response.writeHead(reply.statusCode ?? 500, reply.headers);
      reply.pipe(response);
    }).end();
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  context.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const environment = { HTTP_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
  const source = await httpSource(`${address}/disk.img`, { ...hurried, environment });
  assert.deepEqual(await source.head(), bytes);
  await source.close();
  assert.deepEqual(asked, [`${address}/disk.img`]);
});

const openssl = await run('openssl', ['version']).then(
  () => false as const,
  () => 'needs openssl (apt install openssl)',
);

test('https is verified, and never leads to http', { skip: openssl }, async (context) => {
  const directory = await temporaryDirectory(context);
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    certificate,
    ...subject,
  ]);
  const bytes = noise(400_000);
  const serve = imageListener(() => ({
    bytes,
    etag: '"1"',
    ranges: true,
    breakAfter: 100_000,
    breakBy: 'close',
  }));
  const server = createSecureServer(
    { key: await readFile(key), cert: await readFile(certificate) },
    (request, response) => {
      if (request.url === '/down') response.writeHead(302, { Location: 'http://localhost/disk.img' }).end();
      else serve(request, response);
    },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = `https://localhost:${(server.address() as AddressInfo).port}`;
  await assert.rejects(httpSource(`${address}/disk.img`, hurried), {
    code: 'SOURCE_UNREACHABLE',
    message: /DEPTH_ZERO_SELF_SIGNED_CERT|self-signed/,
  });
  // Trust is read when a process starts.
  const script = `
    import { createHash } from 'node:crypto';
    import { httpSource } from ${JSON.stringify(new URL('http.ts', import.meta.url).href)};
    const options = { environment: {}, backOffMilliseconds: () => 0 };
    const source = await httpSource('${address}/disk.img', options);
    const stream = await source.open(new AbortController().signal);
    const hash = createHash('sha256');
    const into = new Uint8Array(50_000);
    for (let count; (count = await stream.read(into)) > 0; ) hash.update(into.subarray(0, count));
    await source.close();
    console.log(hash.digest('hex'));
    await httpSource('${address}/down', options).catch((error) => console.log(error.message));
  `;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, SSL_CERT_FILE: certificate },
  });
  assert.equal(stdout.split('\n')[0], sha256(bytes));
  assert.match(stdout, /redirects from https to http/);
});
