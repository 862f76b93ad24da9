/** The image plane over real HTTP: uploads, listing, digests, deleting and renaming, boot files. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, mkdir, readdir, rename, symlink, utimes, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { noise, sha256, until } from '../testing/files.ts';
import { startTestAppliance, type TestAppliance } from '../testing.ts';

const rootOf = (appliance: TestAppliance) => join(appliance.stateDir, 'images');

async function value(response: Promise<Response>, status = 200): Promise<unknown> {
  const answer = await response;
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  return text === '' ? null : JSON.parse(text);
}

const listed = async (appliance: TestAppliance) =>
  (await value(appliance.ask('/images'))) as Record<string, unknown>[];

async function bytesOf(appliance: TestAppliance, path: string): Promise<Buffer> {
  const response = await appliance.ask(path);
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

const put = (appliance: TestAppliance, path: string, body: Buffer | string, headers = {}) =>
  appliance.askAdmin(path, { method: 'PUT', body: new Uint8Array(Buffer.from(body)), headers });

const kinds = (appliance: TestAppliance): string[] =>
  appliance.services.events
    .list({ limit: 500 })
    .map(({ kind }) => kind)
    .reverse();

test('an uploaded image is listed with its digest and served by name, by digest and with any tail', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(3_000_000);
  const digest = sha256(bytes);
  const name = 'z\u00fcrich 1.img';
  const stored = await value(put(appliance, `/images/${encodeURIComponent(name)}`, bytes));
  assert.deepEqual(stored, { name, size_bytes: bytes.length, path: join(rootOf(appliance), name) });
  assert.deepEqual(await listed(appliance), [
    {
      name,
      format: 'img',
      size_bytes: bytes.length,
      url: `${appliance.url}/images/${digest}/${encodeURIComponent(name)}`,
      ref: digest.slice(0, 12),
      cached: true,
      sha256: digest,
      virtual_size_bytes: bytes.length,
    },
  ]);
  for (const path of [encodeURIComponent(name), digest, `${digest}/some/tail.img`, digest.toUpperCase()]) {
    assert.equal(sha256(await bytesOf(appliance, `/images/${path}`)), digest, path);
  }
  const head = await appliance.ask(`/images/${digest}/x.img`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-length'), String(bytes.length));
  assert.equal(head.headers.get('etag'), `"${digest}"`);
  assert.equal(head.headers.get('content-type'), 'application/octet-stream');
  const part = await appliance.ask(`/images/${digest}`, { headers: { range: 'bytes=-5' } });
  assert.equal(part.status, 206);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(-5));
  const sidecar = readFileSync(join(rootOf(appliance), `${name}.sha256`), 'utf8');
  assert.equal(sidecar, `${digest}  ${name}\n`);
  const seen = kinds(appliance).filter((kind) => kind.startsWith('image.'));
  assert.deepEqual(seen, ['image.uploaded', 'image.hashed']);
});

test('an image that is overwritten never answers to its old digest again', async (context) => {
  const appliance = await startTestAppliance(context);
  const [old, fresh] = [noise(500_000, 1), noise(700_000, 2)];
  await value(put(appliance, '/images/s.img', old));
  await value(put(appliance, '/images/s.img', fresh));
  assert.deepEqual(
    (await listed(appliance)).map((row) => [row.size_bytes, row.sha256]),
    [[fresh.length, sha256(fresh)]],
  );
  assert.equal((await appliance.ask(`/images/${sha256(old)}`)).status, 404);
  // The same by other doors than HTTP: in place, by replacing, and with the times put back.
  const path = join(rootOf(appliance), 's.img');
  await appendFile(path, 'x');
  assert.equal((await appliance.ask(`/images/${sha256(fresh)}`)).status, 404);
  const longer = Buffer.concat([fresh, Buffer.from('x')]);
  await until('the new digest is known', async () =>
    (await listed(appliance)).some((row) => row.sha256 === sha256(longer)),
  );
  const other = join(rootOf(appliance), 'other');
  await writeFile(other, old);
  await utimes(other, new Date(0), new Date(0));
  await rename(other, path);
  assert.equal((await appliance.ask(`/images/${sha256(longer)}`)).status, 404);
  await until('the replaced file is read', async () =>
    (await listed(appliance)).some((row) => row.sha256 === sha256(old)),
  );
  const sidecar = await until('the sidecar follows', () => {
    const text = readFileSync(`${path}.sha256`, 'utf8');
    return text.startsWith(sha256(old)) ? text : false;
  });
  assert.equal(sidecar, `${sha256(old)}  s.img\n`);
});

test('files that are dropped into the directory are found; a sidecar that says otherwise is told', async (context) => {
  const appliance = await startTestAppliance(context);
  const root = rootOf(appliance);
  await mkdir(root, { recursive: true });
  const bytes = noise(100_000);
  await writeFile(join(root, 'b.img'), bytes);
  await writeFile(join(root, 'notes.txt'), 'no image');
  await writeFile(join(root, 'a.qcow2'), 'no qcow2 at all');
  await symlink('/etc/passwd', join(root, 'link.img'));
  await writeFile(join(root, 'c.img'), 'abc');
  const late = new Date(Date.now() + 60_000);
  await writeFile(join(root, 'c.img.sha256'), `${'ab'.repeat(32)}  c.img\n`);
  await utimes(join(root, 'c.img.sha256'), late, late);
  const rows = await until('all three are read', async () => {
    const found = await listed(appliance);
    return found.length === 3 ? found : false;
  });
  assert.deepEqual(
    rows.map((row) => [row.name, row.format]),
    [
      ['a.qcow2', 'qcow2'],
      ['b.img', 'img'],
      ['c.img', 'img'],
    ],
  );
  const { images } = (await value(appliance.askAdmin('/catalog/images'))) as {
    images: { names: string[]; problem: string | null; sha256: string }[];
  };
  assert.match(images[0]?.problem ?? '', /name says qcow2/);
  assert.equal(images[1]?.problem, null);
  assert.match(images[2]?.problem ?? '', /c\.img\.sha256 says that its SHA-256 is abab/);
  assert.equal(images[2]?.sha256, sha256('abc'));
  assert.equal((await appliance.ask('/images/link.img')).status, 404);
});

test('a gz is unpacked in the background, which tells the size of its disk or its damage', async (context) => {
  const appliance = await startTestAppliance(context);
  const packed = Buffer.concat([gzipSync(noise(700_000)), gzipSync(noise(300_000))]);
  await value(put(appliance, '/images/a.img.gz', packed));
  await value(put(appliance, '/images/b.img.gz', packed.subarray(0, -1000)));
  const images = await until('both are looked at', async () => {
    const all = (await value(appliance.askAdmin('/catalog/images'))) as { images: Record<string, unknown>[] };
    return all.images.every(({ checked, problem }) => checked || problem !== null) ? all.images : false;
  });
  assert.deepEqual(
    [images[0]?.virtual_size_bytes, images[0]?.checked, images[0]?.problem],
    [1_000_000, true, null],
  );
  assert.deepEqual([images[1]?.virtual_size_bytes, images[1]?.checked], [null, false]);
  assert.match(String(images[1]?.problem), /gz stream is damaged: unexpected end of file/);
  assert.equal(appliance.services.images.find(sha256(packed))?.virtualBytes, 1_000_000);
});

test('names that lead elsewhere are refused by every door', async (context) => {
  const appliance = await startTestAppliance(context);
  await writeFile(join(appliance.stateDir, 'secret'), 'secret');
  const names = [
    '..',
    '.',
    '%2e%2e',
    '.hidden.img',
    'a%00b.img',
    'a%0ab.img',
    'a%5cb.img',
    `${'x'.repeat(300)}.img`,
  ];
  for (const name of names) {
    for (const door of ['images', 'boot']) {
      const answers = await Promise.all([
        raw(appliance, 'GET', `/${door}/${name}`),
        raw(appliance, 'PUT', `/${door}/${name}`, 'x'),
      ]);
      for (const { status } of answers)
        assert.ok([400, 401, 404, 405].includes(status), `${door} ${name}: ${status}`);
    }
    const { status } = await raw(
      appliance,
      'PUT',
      `/images/${name}`,
      'x',
      await appliance.makeToken('admin'),
    );
    assert.ok([400, 404, 405].includes(status), `${name}: ${status}`);
  }
  const admin = await appliance.makeToken('admin');
  assert.deepEqual(await raw(appliance, 'PUT', '/images/.x', 'x', admin), {
    status: 400,
    detail: 'bad name',
  });
  assert.equal((await raw(appliance, 'PUT', '/images/a%2Fb', 'x', admin)).status, 405);
  assert.deepEqual(await raw(appliance, 'GET', '/images/%2e%2e%2fsecret'), {
    status: 404,
    detail: 'no such image: ..',
  });
  for (const path of [
    '/images/../secret',
    '/images/..%2fsecret',
    '/boot/..%2fsecret',
    '/boot/%2e%2e/secret',
  ]) {
    const { status } = await raw(appliance, 'GET', path);
    assert.ok(status === 404 || status === 400, `${path}: ${status}`);
  }
  const boot = join(appliance.stateDir, 'boot');
  await mkdir(boot, { recursive: true });
  await symlink('../secret', join(boot, 'escape'));
  await writeFile(join(boot, 'kernel'), 'k');
  await symlink('kernel', join(boot, 'current'));
  assert.deepEqual(await raw(appliance, 'GET', '/boot/escape'), { status: 400, detail: 'bad name' });
  assert.deepEqual(await raw(appliance, 'PUT', '/boot/escape', 'x', admin), {
    status: 400,
    detail: 'bad name',
  });
  assert.equal((await bytesOf(appliance, '/boot/current')).toString(), 'k');
  assert.deepEqual(await raw(appliance, 'GET', '/boot/absent'), {
    status: 404,
    detail: 'no such file: absent',
  });
  assert.deepEqual(
    readdirSync(appliance.stateDir).filter((name) => name === 'x'),
    [],
  );
});

/** A request whose path reaches the server as it is written. */
function raw(appliance: TestAppliance, method: string, path: string, body = '', token?: string) {
  const { hostname, port } = new URL(appliance.url);
  return new Promise<{ status: number; detail: unknown }>((resolve, reject) => {
    const headers = {
      ...(body === '' ? {} : { 'content-length': String(body.length) }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const request = httpRequest({ host: hostname, port, method, path, headers, agent: false });
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString();
        const detail = text.startsWith('{') ? (JSON.parse(text) as { detail: unknown }).detail : text;
        resolve({ status: response.statusCode ?? 0, detail });
      });
    });
    request.on('error', reject);
    request.end(Buffer.from(body, 'latin1'));
  });
}

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

test('images are renamed and deleted, with their sidecars and never over another one', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(50_000);
  await value(put(appliance, '/images/a.img', bytes));
  await value(put(appliance, '/images/b.img', 'b'));
  const renamed = (name: string, to: string) =>
    appliance.askAdmin(`/images/${name}/rename`, { method: 'POST', body: JSON.stringify({ name: to }) });
  assert.equal((await renamed('a.img', 'b.img')).status, 409);
  assert.equal((await renamed('absent.img', 'c.img')).status, 404);
  assert.equal((await renamed('a.img', '../c.img')).status, 400);
  assert.equal((await renamed('a.img', '')).status, 422);
  const answer = (await value(renamed('a.img', 'c.img'))) as { name: string; size_bytes: number };
  assert.deepEqual([answer.name, answer.size_bytes], ['c.img', bytes.length]);
  assert.deepEqual(
    (await listed(appliance)).map((row) => [row.name, row.sha256]),
    [
      ['b.img', sha256('b')],
      ['c.img', sha256(bytes)],
    ],
  );
  assert.equal((await appliance.askAdmin('/images/a.img', { method: 'DELETE' })).status, 404);
  assert.equal((await appliance.ask('/images/c.img', { method: 'DELETE' })).status, 401);
  assert.equal((await appliance.askAdmin('/images/c.img', { method: 'DELETE' })).status, 204);
  assert.equal((await appliance.ask(`/images/${sha256(bytes)}`)).status, 404);
  assert.deepEqual((await readdir(rootOf(appliance))).toSorted(), ['b.img', 'b.img.sha256']);
  const seen = kinds(appliance).filter((kind) => /renamed|deleted/.test(kind));
  assert.deepEqual(seen, ['image.renamed', 'image.deleted']);
});

test('boot files are uploaded and served, with ranges and with events', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(200_000);
  assert.equal((await appliance.ask('/boot/x.vmlinuz', { method: 'PUT', body: 'x' })).status, 401);
  const stored = await value(put(appliance, '/boot/x.vmlinuz', bytes));
  assert.deepEqual(stored, {
    name: 'x.vmlinuz',
    size_bytes: bytes.length,
    path: join(appliance.stateDir, 'boot', 'x.vmlinuz'),
  });
  assert.ok((await bytesOf(appliance, '/boot/x.vmlinuz')).equals(bytes));
  const part = await appliance.ask('/boot/x.vmlinuz', { headers: { range: 'bytes=10-19' } });
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(10, 20));
  assert.equal((await appliance.ask('/boot/x.vmlinuz', { method: 'HEAD' })).status, 200);
  assert.ok(kinds(appliance).includes('boot.uploaded'));
});

test('digests are computed on request, told as jobs, and unknown names are told', async (context) => {
  const appliance = await startTestAppliance(context);
  const bytes = noise(400_000);
  await mkdir(rootOf(appliance), { recursive: true });
  await writeFile(join(rootOf(appliance), 'plain'), bytes);
  const ask = (name: unknown) =>
    appliance.askAdmin('/catalog/hashes', { method: 'POST', body: JSON.stringify({ name }) });
  const path = join(rootOf(appliance), 'absent.img');
  assert.deepEqual(
    ((await value(ask('absent.img'), 404)) as { detail: string }).detail,
    `no image file at ${path}`,
  );
  for (const name of ['.', '..', '', 5])
    assert.ok([404, 422].includes((await ask(name)).status), String(name));
  await value(ask('plain'), 202);
  const done = await until('it is computed', async () => {
    const { hashes } = (await value(appliance.askAdmin('/catalog/hashes'))) as {
      hashes: Record<string, unknown>[];
    };
    return hashes.find(({ name, status }) => name === 'plain' && status === 'completed');
  });
  assert.equal(done.sha256, sha256(bytes));
  assert.equal(done.bytes_hashed, bytes.length);
  assert.equal(done.bytes_total, bytes.length);
  assert.ok(Number(done.started_at) > 1.6e9 && Number(done.finished_at) >= Number(done.started_at));
  assert.equal(((await value(ask('plain'), 202)) as { status: string }).status, 'completed');
  const cancelled = await appliance.askAdmin('/catalog/hashes/plain', { method: 'DELETE' });
  assert.equal(((await cancelled.json()) as { status: string }).status, 'completed');
  const unknown = await appliance.askAdmin("/catalog/hashes/it's", { method: 'DELETE' });
  assert.equal(unknown.status, 404);
  assert.equal(((await unknown.json()) as { detail: string }).detail, `no active hash named "it's"`);
});

test('every route of images and jobs asks for credentials where the contract does', async (context) => {
  const appliance = await startTestAppliance(context);
  const guarded: readonly (readonly [string, string])[] = [
    ['PUT', '/images/a.img'],
    ['DELETE', '/images/a.img'],
    ['POST', '/images/a.img/rename'],
    ['PUT', '/boot/a'],
    ['GET', '/catalog/images'],
    ['GET', '/catalog/entries'],
    ['POST', '/catalog/entries'],
    ['DELETE', '/catalog/entries?src=x'],
    ['GET', '/catalog/downloads'],
    ['POST', '/catalog/downloads'],
    ['DELETE', '/catalog/downloads/x'],
    ['GET', '/catalog/hashes'],
    ['POST', '/catalog/hashes'],
    ['DELETE', '/catalog/hashes/x'],
    ['GET', '/boot/releases'],
    ['POST', '/boot/releases'],
    ['DELETE', '/boot/releases/x'],
    ['GET', '/tasks'],
    ['DELETE', '/tasks/aa:bb:cc:dd:ee:ff'],
  ];
  for (const [method, path] of guarded) {
    const body = method === 'POST' ? '{}' : null;
    const open = await appliance.ask(path, { method, body });
    assert.equal(open.status, 401, `${method} ${path}`);
    assert.deepEqual(await open.json(), { detail: 'login required' });
    const wrong = await appliance.ask(path, { method, body, headers: { cookie: 'bty-token=x' } });
    assert.equal(wrong.status, 401);
    await wrong.body?.cancel();
  }
  const cookie = await appliance.logIn();
  const asked = async (path: string, method = 'GET') => {
    const response = await appliance.ask(path, { method, headers: { cookie } });
    return [response.status, await response.json()];
  };
  assert.deepEqual(await asked('/catalog/entries'), [200, []]);
  assert.deepEqual(await asked('/catalog/downloads'), [200, { manifest: null, downloads: [] }]);
  assert.deepEqual(await asked('/boot/releases'), [
    200,
    { boot_root: join(appliance.stateDir, 'boot'), max_parallel: 1, fetches: [] },
  ]);
  assert.deepEqual(await asked('/tasks'), [200, { tasks: [] }]);
  const [status, told] = await asked('/tasks/AA-BB-CC-DD-EE-FF', 'DELETE');
  assert.deepEqual(
    [status, (told as { detail: string }).detail],
    [404, "no task known for mac 'aa:bb:cc:dd:ee:ff'"],
  );
  assert.equal((await asked('/tasks/nonsense', 'DELETE'))[0], 400);
  assert.deepEqual(
    await Promise.all([appliance.ask('/boot/releases', { method: 'PATCH' }).then(({ status }) => status)]),
    [405],
  );
});

test('whatever is sent to the routes of images and jobs, the fault is never ours', async (context) => {
  const appliance = await startTestAppliance(context);
  await value(put(appliance, '/images/a.img', noise(1000)));
  const token = await appliance.makeToken('admin');
  const segment = fc.oneof(
    fc.constantFrom(
      '..',
      '%00',
      '%',
      '%ff',
      'a.img',
      'latest',
      '%2e%2e%2f',
      'x'.repeat(400),
      '{tag}',
      '*',
      ' ',
    ),
    fc.string({ maxLength: 20 }).map((text) => encodeURIComponent(text.toWellFormed())),
  );
  const path = fc
    .tuple(
      fc.constantFrom(
        '/images/',
        '/boot/',
        '/catalog/hashes/',
        '/catalog/downloads/',
        '/boot/releases/',
        '/catalog/entries?src=',
        '/tasks/',
      ),
      segment,
      fc.constantFrom('', '/rename', '/x/y'),
    )
    .map((parts) => parts.join('').replaceAll(' ', '%20'));
  const fixed = fc.constantFrom(
    '/catalog/hashes',
    '/catalog/downloads',
    '/boot/releases',
    '/catalog/entries',
  );
  const hostile = fc.oneof(
    fc.string(),
    fc.json(),
    fc.constantFrom('{"name":"\u0000"}', '{"name":{}}', '[', '{"tag":[]}'),
  );
  const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS');
  await fc.assert(
    fc.asyncProperty(method, fc.oneof(path, fixed), hostile, async (verb, where, text) => {
      // A source of releases that names a host would be asked.
      const body = verb === 'GET' || verb === 'HEAD' ? '' : text.toWellFormed();
      const { status } = await raw(appliance, verb, where, Buffer.from(body).toString('latin1'), token);
      assert.ok(status < 500, `${verb} ${where} ${body}: ${status}`);
    }),
    { numRuns: 300 },
  );
});
