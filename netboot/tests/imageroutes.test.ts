/** The routes of images, boot files and jobs over real HTTP: names, credentials, hostile requests. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { noise } from '../testing/files.ts';
import { bytesOf, kinds, put, raw, value } from '../testing/images.ts';
import { startTestAppliance } from '../testing.ts';

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
