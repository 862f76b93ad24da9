import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { imageListener, listen } from './http-testing.ts';
import { openSource } from './open.ts';
import { drain, never, noise, sha256, temporaryDirectory } from './testing.ts';

const bytes = noise(100_000);
const digest = sha256(bytes);
const serve = imageListener(() => ({ bytes, etag: '"1"', ranges: true }));

async function opened(context: TestContext, location: string, more = {}) {
  const found = await openSource(location, {
    signal: never,
    environment: { BTY_STATE_DIR: '/nowhere' },
    ...more,
  });
  context.after(() => found.source.close());
  assert.equal(sha256(await drain(await found.source.open(never))), digest);
  return { ...found, kind: found.source.kind, name: found.source.name };
}

test('a path is a file', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  await writeFile(path, bytes);
  const { kind, name, expected, described } = await opened(context, path);
  assert.deepEqual(
    [kind, name, expected, described],
    ['file', 'disk.img', { sha256: null, sizeBytes: null }, null],
  );
});

test('an http address is a server', async (context) => {
  const { kind, name } = await opened(context, `${await listen(context, serve)}/disk.img`);
  assert.deepEqual([kind, name], ['http', 'disk.img']);
});

test('a descriptor leads to its address, and its digest and size come along', async (context) => {
  const directory = await temporaryDirectory(context);
  const address = await listen(context, serve);
  const path = join(directory, 'disk.BRI');
  await writeFile(
    path,
    `url = "${address}/get/7"\nname = "Disk"\nformat = "img"\nsize_bytes = 100000\nsha256 = "${digest.toUpperCase()}"\ndescription = "x"`,
  );
  const { name, expected, described } = await opened(context, path);
  assert.deepEqual([name, expected, described], ['Disk.img', { sha256: digest, sizeBytes: 100000 }, 'x']);
  await writeFile(path, `url = "${address}/get/7"\nsize_bytes = 5`);
  await assert.rejects(openSource(path, { signal: never }), { code: 'SOURCE_LENGTH' });
  await writeFile(path, 'x');
  await assert.rejects(openSource(path, { signal: never }), { code: 'DESCRIPTOR_INVALID' });
});

test('a name is looked up in the catalog, and its cached image preferred', async (context) => {
  const directory = await temporaryDirectory(context);
  let count = 0;
  const address = await listen(context, (request, response) => {
    count++;
    serve(request, response);
  });
  const entry = `name = "debian"\nsrc = "${address}/disk.img.xz?x=/y"\nsha256 = "${digest}"\ndescription = "stable"`;
  await writeFile(join(directory, 'catalog.toml'), `version = 1\n[[images]]\n${entry}`);
  const environment = { BTY_STATE_DIR: directory };
  const expected = { sha256: digest, sizeBytes: null };
  const remote = await opened(context, 'debian', { environment });
  assert.deepEqual(
    [remote.kind, remote.name, remote.expected, remote.described],
    ['http', 'disk.img.xz', expected, 'stable'],
  );
  assert.equal(count, 1);
  await mkdir(join(directory, 'cache'));
  await writeFile(join(directory, 'cache', digest), bytes);
  const cached = await opened(context, 'debian', { environment });
  assert.deepEqual([cached.kind, cached.name, cached.expected], ['file', 'disk.img.xz', expected]);
  assert.equal(count, 1);
  await opened(context, 'debian', { catalog: join(directory, 'catalog.toml'), environment });
});

test('a file goes before a catalog image of its name', async (context) => {
  const directory = await temporaryDirectory(context);
  const [path, catalog] = [join(directory, 'debian'), join(directory, 'catalog.toml')];
  await writeFile(path, bytes);
  await writeFile(
    catalog,
    `version = 1\n[[images]]\nname = ${JSON.stringify(path)}\nsrc = "x"\nsha256 = "${digest}"`,
  );
  assert.equal((await opened(context, path, { catalog })).expected.sha256, null);
});

test('what is neither is told as what was looked for', async (context) => {
  const directory = await temporaryDirectory(context);
  const catalog = join(directory, 'catalog.toml');
  await writeFile(catalog, 'version = 1');
  const outcome = (location: string, more = {}) =>
    openSource(location, { signal: never, environment: { BTY_STATE_DIR: '/nowhere' }, ...more }).then(
      () => 'opened',
      (error) => `${error.code} ${error.message}`,
    );
  assert.equal(await outcome('absent.img'), 'IMAGE_NOT_FOUND There is no image at absent.img.');
  assert.equal(
    await outcome('absent.img', { catalog }),
    `IMAGE_NOT_FOUND There is no image at absent.img, and the catalog ${catalog} names none like it.`,
  );
  assert.equal(
    await outcome('./absent.img', { catalog }),
    'IMAGE_NOT_FOUND There is no image at ./absent.img.',
  );
  assert.equal(await outcome('absent.bri'), 'IMAGE_NOT_FOUND There is no image at absent.bri.');
  assert.match(
    await outcome('ftp://me:x@host/disk.img'),
    /^SOURCE_UNREACHABLE ftp:\/\/host\/disk.img .* not "ftp:"/,
  );
  assert.match(await outcome('x', { catalog: '/nowhere/catalog.toml' }), /^CATALOG_INVALID/);
  assert.match(await outcome(''), /^IMAGE_NOT_FOUND/);
  assert.match(await outcome(directory), /^IMAGE_UNREADABLE/);
  const reason = new Error('enough');
  await assert.rejects(openSource(catalog, { signal: AbortSignal.abort(reason) }), reason);
});
