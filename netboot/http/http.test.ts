// biome-ignore-all lint/suspicious/noTemplateCurlyInString: iPXE spells its settings like that.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Operation } from '../../shared/contract/operation.ts';
import { installLive } from '../machines/testing.ts';
import { startTestAppliance, type TestAppliance } from '../testing.ts';
import { routes } from './routes/index.ts';
import { makeApplication } from './server.ts';

async function operationsOf(appliance: TestAppliance): Promise<readonly Operation[]> {
  const { app, operations } = await makeApplication(appliance.services, routes);
  await app.close();
  return operations;
}

const concrete = (path: string) =>
  path.replaceAll(/\{mac\}/g, '02:00:00:00:00:01').replaceAll(/\{[a-z_]+(\.\.\.)?\}/g, 'x');

/** Sends bytes as they are and answers the status and the rest. */
function raw(appliance: TestAppliance, bytes: string | Buffer): Promise<{ status: number; text: string }> {
  const { port } = new URL(appliance.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1');
    let text = '';
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
    });
    socket.on('close', () => resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text }));
    socket.on('error', reject);
    socket.write(bytes);
  });
}

test('every operation that is not open refuses who shows nothing, a wrong cookie, a wrong token', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const operations = await operationsOf(appliance);
  assert.ok(operations.length >= 48);
  for (const operation of operations) {
    const { method, access, path } = operation;
    const stranger: Record<string, string>[] = [
      {},
      { cookie: 'bty-token=eyJhbGciOi' },
      { authorization: 'Bearer bty_nonsense' },
      { authorization: 'Basic b3BlcmF0b3I6YnR5' },
    ];
    for (const headers of stranger) {
      const init = { method, headers };
      const answer = await appliance.ask(concrete(path), init);
      const text = await answer.text();
      const name = `${operation.name} ${JSON.stringify(headers)}: ${answer.status} ${text.slice(0, 200)}`;
      if (access === 'open')
        assert.ok((answer.status !== 401 && answer.status < 500) || answer.status === 503, name);
      else if (operation.name === 'boot.done' && !headers.authorization?.startsWith('Bearer')) {
        // This address fetched the script of that machine a moment ago, and the settings allow it.
        assert.equal(answer.status, 204, name);
      } else if (access === 'agent') assert.ok([401, 403, 404, 422].includes(answer.status), name);
      else {
        assert.equal(answer.status, 401, name);
        assert.equal(text, '{"detail":"login required"}', name);
      }
    }
  }
});

test('a token that may read changes nothing anywhere', async (context) => {
  const appliance = await startTestAppliance(context);
  const headers = { authorization: `Bearer ${await appliance.makeToken('read')}` };
  for (const { method, access, path, name } of await operationsOf(appliance)) {
    if (access !== 'operate' && access !== 'admin') continue;
    const answer = await appliance.ask(concrete(path), { method, headers });
    assert.equal(answer.status, 403, name);
    await answer.arrayBuffer();
  }
});

test('every path answers HEAD where it answers GET, and names its methods where it does not know one', async (context) => {
  const appliance = await startTestAppliance(context);
  const streams = new Set(['/events/machines', '/events/stream']);
  for (const { method, path, name } of await operationsOf(appliance)) {
    const url = concrete(path);
    if (method === 'GET' && !streams.has(path)) {
      const [get, head] = [await appliance.askAdmin(url), await appliance.askAdmin(url, { method: 'HEAD' })];
      await get.arrayBuffer();
      // A machine's second look is another boot; what matters is that HEAD is served.
      assert.equal(head.status, get.status, name);
    }
    const unknown = await appliance.ask(url, { method: 'OPTIONS' });
    assert.equal(unknown.status, 405, name);
    assert.ok(unknown.headers.get('allow')?.includes(method), name);
  }
});

test('every answer forbids to be framed, sniffed or scripted, and names its request', async (context) => {
  const appliance = await startTestAppliance(context);
  for (const path of ['/', '/healthz', '/nowhere', '/machines', '/pxe-bootstrap.ipxe', '/ui/login']) {
    const { headers } = await appliance.ask(path);
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('access-control-allow-origin'), null);
    assert.ok(headers.get('x-request-id'));
  }
});

test('a Host that is no address is a 400; one that is stands in scripts, and no other text does', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const asked = (host: string, path = '/pxe/02:00:00:00:00:01') =>
    raw(appliance, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const good = ['bty-server:8080', '10.0.0.1', '[fd00::1]:8080', 'a.b.example'];
  for (const host of good) {
    const { status, text } = await asked(host);
    assert.equal(status, 200, host);
    assert.ok(text.includes(`set bty-base http://${host}\n`), host);
  }
  const bad = [
    'a b',
    'x;y',
    '${net0/mac}',
    'x||shell',
    'evil/..',
    'user@host',
    'a:99999',
    '[::zz]',
    '"x"',
    "a'b",
    '',
  ];
  for (const host of bad) {
    const { status, text } = await asked(host);
    assert.equal(status, 400, host);
    assert.ok(!text.includes('#!ipxe'), host);
  }
  const old = await raw(appliance, 'GET /pxe-bootstrap.ipxe HTTP/1.0\r\n\r\n');
  assert.ok(old.text.includes(`set bty-base ${appliance.url}\n`));
});

test('whatever bytes come as body or path, the answer is never a fault of ours', async (context) => {
  const appliance = await startTestAppliance(context);
  const operations = (await operationsOf(appliance)).filter(({ path }) => !path.startsWith('/events/'));
  const piece = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom(
      '..',
      '%2e%2e',
      '%2f',
      '%00',
      '.',
      '%',
      '%zz',
      '../../etc/passwd',
      "'",
      '\\',
      '%c0%af',
      '__proto__',
    ),
  );
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .dictionary(
        fc.constantFrom('image_sha256', 'boot_policy', 'labels', 'name', 'action', 'macs', '__proto__', 'x'),
        fc.jsonValue(),
      )
      .map((value) => Buffer.from(JSON.stringify(value))),
    fc.constant(Buffer.from('['.repeat(5000))),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...operations),
      piece,
      piece,
      body,
      async (operation, one, two, bytes) => {
        const parts = [one, two];
        const path = operation.path.replaceAll(/\{[a-z_]+(\.\.\.)?\}/g, () =>
          encodeURI(wellFormed(parts.pop() ?? 'x')),
        );
        const { method } = operation;
        const query = `?limit=${encodeURIComponent(wellFormed(one))}&src=${encodeURIComponent(wellFormed(two))}`;
        const init = method === 'GET' ? { method } : { method, body: new Uint8Array(bytes) };
        const answer = await appliance.askAdmin(`${path}${query}`, init);
        await answer.arrayBuffer();
        assert.ok(answer.status < 500 || answer.status === 503, `${method} ${path}: ${answer.status}`);
      },
    ),
    { numRuns: 300, endOnFailure: true },
  );
  assert.deepEqual(
    appliance.log.filter((line) => line.includes('"fault"')),
    [],
  );
});

const wellFormed = (text: string) => text.toWellFormed().replaceAll(/[?#]/g, '');

test('bytes that are no HTTP, heads without an end and paths without one are cut off, not served', async (context) => {
  const appliance = await startTestAppliance(context);
  for (const bytes of [
    'nonsense\r\n\r\n',
    `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(5000)}\r\n`,
    'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n',
    'POST /ui/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n',
    'GET /%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'GET /pxe/%ff%fe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  ]) {
    const { status } = await raw(appliance, bytes);
    assert.ok(status >= 400 && status < 500, `${bytes.slice(0, 40)}: ${status}`);
  }
  assert.equal((await appliance.ask('/healthz')).status, 200);
});

test('a body that is too long is refused before it is read, and its connection is closed', async (context) => {
  const appliance = await startTestAppliance(context);
  const head = 'PUT /machines/02:00:00:00:00:01 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n';
  const { status, text } = await raw(appliance, head);
  assert.equal(status, 413);
  assert.match(text, /connection: close/i);
});

test('a page of another site registers no machine, however it spells the path', async (context) => {
  const appliance = await startTestAppliance(context);
  for (const path of ['/pxe/', '/%70xe/', '/%70%78%65/', '/pxe%2f'])
    for (const mark of ['Sec-Fetch-Site: cross-site', 'Origin: http://elsewhere.example']) {
      const head = `GET ${path}02:00:00:00:00:01 HTTP/1.1\r\nHost: x\r\n${mark}\r\nConnection: close\r\n\r\n`;
      assert.equal((await raw(appliance, head)).status, 403, `${path} ${mark}`);
    }
  assert.equal(appliance.services.machines.store.count({}), 0);
});

test('a request that is answered and never ends loses its connection', {
  timeout: 200_000,
}, async (context) => {
  const appliance = await startTestAppliance(context);
  for (const rest of ['Content-Length: 100000\r\n\r\nx', 'Transfer-Encoding: chunked\r\n\r\n1;']) {
    // `raw` waits for the end of the connection; silence alone would end each after two minutes.
    const { status } = await raw(appliance, `GET /healthz HTTP/1.1\r\nHost: x\r\n${rest}`);
    assert.equal(status, 200);
  }
});

test('a hidden slash is a slash: an image name cannot leave its directory', async (context) => {
  const appliance = await startTestAppliance(context);
  const { askAdmin, ask } = appliance;
  assert.equal((await askAdmin('/images/a%2Fb', { method: 'PUT', body: 'x' })).status, 405);
  for (const path of [
    '/images/..%2f..%2fetc%2fpasswd',
    '/images/%2e%2e%2fstate.db',
    '/images/..%5cstate.db',
    '/static/..%2f..%2fpackage.json',
  ])
    assert.equal((await ask(path)).status, 404, path);
  for (const path of ['/boot/..%2fstate.db', '/boot/%2e%2e', '/boot/../state.db', '/images/..']) {
    const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const { status } = await raw(appliance, head);
    assert.ok(status === 404 || status === 400, path);
  }
});

test('the OpenAPI document names every operation once and has an answer for each', async (context) => {
  const appliance = await startTestAppliance(context);
  const document = (await (await appliance.ask('/openapi.json')).json()) as {
    openapi: string;
    paths: Record<string, Record<string, { operationId: string; responses: object }>>;
  };
  assert.match(document.openapi, /^3\.1/);
  const ids = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map((one) => one.operationId),
  );
  const names = (await operationsOf(appliance)).map(({ name }) => name);
  assert.deepEqual(ids.toSorted(), names.toSorted());
  assert.equal(new Set(ids).size, ids.length);
});

test('health, readiness with reasons, version and measurements', async (context) => {
  const appliance = await startTestAppliance(context);
  assert.deepEqual(await (await appliance.ask('/healthz')).json(), { status: 'ok' });
  const before = await appliance.ask('/readyz');
  assert.equal(before.status, 503);
  assert.match(await before.text(), /No live system is in/);
  installLive(appliance.stateDir);
  const measured = await (await appliance.ask('/metrics')).text();
  assert.match(
    measured,
    /bty_http_request_seconds_count\{operation="system\.ready",method="GET",status="503"\} 1/,
  );
  assert.match(measured, /process_resident_memory_bytes/);
});

test('with TLS, plain HTTP serves machines and nobody else, and the cookie is for TLS only', async (context) => {
  const appliance = await startTestAppliance(context, { config: { tlsGenerated: true, tlsPort: 0 } });
  const [secure, plain] = appliance.listening;
  assert.ok(secure?.secure && plain && !plain.secure);
  assert.match(appliance.fingerprint ?? '', /^[0-9a-f]{64}$/);
  const machines = `http://127.0.0.1:${plain.port}`;
  assert.equal((await fetch(`${machines}/pxe-bootstrap.ipxe`)).status, 200);
  assert.equal((await fetch(`${machines}/healthz`)).status, 200);
  for (const path of ['/machines', '/ui/login', '/metrics', '/events'])
    assert.equal((await fetch(`${machines}${path}`)).status, 404, path);
});
