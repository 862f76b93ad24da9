import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import { imageListener, listen } from '../source/http-testing.ts';
import { never, noise, sha256, temporaryDirectory } from '../source/testing.ts';
import { cachedPath, fetchEntry, listCatalog } from './cache.ts';
import {
  cacheDirectory,
  catalogLocation,
  configuredCatalog,
  findEntry,
  loadCatalog,
  parseCatalog,
  sourceOf,
} from './manifest.ts';

const bytes = noise(3_000_000);
const digest = sha256(bytes);
const manifest = (src: string, sha = digest, more = ''): string =>
  `version = 1\n[[images]]\nname = "disk"\nsrc = ${JSON.stringify(src)}\nsha256 = "${sha}"\n${more}`;

async function prepare(context: TestContext, text: string) {
  const directory = await temporaryDirectory(context);
  const path = join(directory, 'catalog.toml');
  await writeFile(path, text);
  const catalog = await loadCatalog(path, never);
  return {
    directory,
    path,
    catalog,
    entry: findEntry(catalog, 'disk'),
    cache: join(directory, 'state', 'cache'),
  };
}

test('the manifest is the one given, or configured, or in the state directory', async (context) => {
  const directory = await temporaryDirectory(context);
  const usual = join(directory, 'catalog.toml');
  const state = { BTY_STATE_DIR: directory };
  assert.equal(await catalogLocation('a.toml', { BTY_CATALOG_FILE: 'b.toml' }), 'a.toml');
  assert.equal(await catalogLocation(undefined, { ...state, BTY_CATALOG_FILE: 'b.toml' }), 'b.toml');
  assert.equal(await catalogLocation(undefined, { ...state, BTY_CATALOG_FILE: '' }), null);
  await assert.rejects(configuredCatalog(undefined, state, never), { code: 'CATALOG_MISSING', exitCode: 1 });
  await writeFile(usual, 'version = 1');
  assert.equal(await catalogLocation(undefined, state), usual);
  assert.deepEqual((await configuredCatalog(undefined, state, never)).entries, []);
  assert.equal(cacheDirectory({}), '/var/lib/bty/cache');
  assert.equal(cacheDirectory(state), join(directory, 'cache'));
  assert.equal(cacheDirectory({ ...state, BTY_CATALOG_CACHE_DIR: '/c' }), '/c');
});

test('a manifest that cannot be used is told with its fault', async (context) => {
  const directory = await temporaryDirectory(context);
  const path = join(directory, 'catalog.toml');
  const fault = async (content: string): Promise<string> => {
    await writeFile(path, content);
    return loadCatalog(path, never).then(
      () => 'valid',
      (error) => error.message.replace(path, 'P'),
    );
  };
  assert.equal(await fault('version = 1\nx ='), 'The catalog P is not valid: line 2: invalid value.');
  assert.equal(await fault('version = 2'), 'The catalog P is not valid: "version" must be 1.');
  assert.equal(
    await fault('version = 1 # '.padEnd(4194305, 'x')),
    'The catalog P is not valid: it is larger than 4194304 bytes.',
  );
  assert.equal(await fault('version = 1 # '.padEnd(4194304, 'x')), 'valid');
  await assert.rejects(loadCatalog(join(directory, 'absent'), never), {
    code: 'CATALOG_INVALID',
    exitCode: 1,
    message: /there is no such file/,
  });
  await assert.rejects(loadCatalog(directory, never), {
    code: 'CATALOG_INVALID',
    message: /it is a directory/,
  });
  const { catalog } = await prepare(context, manifest('x'));
  assert.throws(() => findEntry(catalog, 'other'), { code: 'CATALOG_ENTRY_UNKNOWN' });
});

test('a catalog is read from a server, and what it names lies there', async (context) => {
  const text = manifest('../images/disk.img');
  const served = Buffer.from(text);
  const address = await listen(
    context,
    imageListener(() => ({ bytes: served, ranges: true })),
  );
  const catalog = await loadCatalog(`${address.replace('//', '//me:secret@')}/v1/catalog.toml`, never);
  assert.equal(catalog.location, `${address}/v1/catalog.toml`);
  const entry = findEntry(catalog, 'disk');
  assert.deepEqual(sourceOf(entry, catalog), {
    kind: 'http',
    location: `${address.replace('//', '//me:secret@')}/images/disk.img`,
  });
  assert.deepEqual(sourceOf({ ...entry, src: '/etc/shadow' }, catalog).kind, 'http');
  assert.throws(() => sourceOf({ ...entry, src: 'file:///etc/shadow' }, catalog), {
    code: 'CATALOG_INVALID',
  });
  const large = await listen(
    context,
    imageListener(() => ({ bytes: noise(4194305), ranges: false, framing: 'chunked' })),
  );
  await assert.rejects(loadCatalog(large, never), { code: 'CATALOG_INVALID', message: /larger than/ });
  await assert.rejects(
    loadCatalog(`${await listen(context, (_, response) => response.writeHead(404).end())}/c`, never),
    {
      code: 'SOURCE_HTTP_STATUS',
    },
  );
});

test('the src of an image is an address or a path beside the manifest', async (context) => {
  const { directory, catalog, entry } = await prepare(context, manifest('x'));
  const located = (src: string) => sourceOf({ ...entry, src }, catalog);
  assert.deepEqual(located('HTTPS://host/x'), { kind: 'http', location: 'HTTPS://host/x' });
  assert.deepEqual(located('images/x'), { kind: 'file', location: join(directory, 'images/x') });
  assert.deepEqual(located('/images/x'), { kind: 'file', location: '/images/x' });
  assert.deepEqual(located(pathToFileURL('/images/a b').href), { kind: 'file', location: '/images/a b' });
  assert.throws(() => located('oras://host/x'), {
    code: 'CATALOG_INVALID',
    message: /the src of "disk" is an address of the kind "oras:"; bty reads http, https and files\./,
  });
});

test('an image is fetched once, and listed as cached', async (context) => {
  let count = 0;
  const serve = imageListener((asked) => ({
    bytes,
    etag: '"1"',
    ranges: true,
    ...(asked === 0 ? { breakAfter: 1_000_000, breakBy: 'close' } : {}),
  }));
  const address = await listen(context, (request, response) => {
    count++;
    serve(request, response);
  });
  const { catalog, entry, cache } = await prepare(
    context,
    manifest(`${address}/disk.img`, digest.toUpperCase(), `size_bytes = ${bytes.length}`),
  );
  assert.equal((await listCatalog(catalog, cache))[0]?.cached, false);
  const seen: number[] = [];
  const notices: string[] = [];
  const options = {
    signal: never,
    onProgress: (progress: { bytes: number; totalBytes: number | null }) => {
      assert.equal(progress.totalBytes, bytes.length);
      seen.push(progress.bytes);
    },
    onNotice: (text: string) => notices.push(text),
  };
  const fetched = await fetchEntry(entry, catalog, cache, options);
  assert.deepEqual(fetched, { name: 'disk', sha256: digest, path: join(cache, digest), fetched: true });
  assert.equal(sha256(await readFile(fetched.path)), digest);
  assert.equal(seen.at(-1), bytes.length);
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  assert.match(notices.join(), /Connection lost at byte 1000000/);
  assert.deepEqual(await readdir(cache), [digest]);
  assert.deepEqual(await listCatalog(catalog, cache), [
    {
      name: 'disk',
      src: `${address}/disk.img`,
      sha256: digest,
      format: null,
      size_bytes: bytes.length,
      description: null,
      cached: true,
    },
  ]);
  assert.equal((await fetchEntry(entry, catalog, cache, options)).fetched, false);
  assert.equal(count, 2);
});

test('a fetch that fails leaves nothing behind', async (context) => {
  const address = await listen(
    context,
    imageListener(() => ({ bytes, ranges: true })),
  );
  const cases: readonly (readonly [string, string, string, string])[] = [
    [`${address}/disk.img`, 'ab'.repeat(32), '', 'DIGEST_MISMATCH'],
    [`${address}/disk.img`, digest, 'size_bytes = 5', 'SOURCE_LENGTH'],
    ['absent.img', digest, '', 'IMAGE_NOT_FOUND'],
    ['oras://host/x', digest, '', 'CATALOG_INVALID'],
  ];
  for (const [src, sha, more, code] of cases) {
    const { catalog, entry, cache } = await prepare(context, manifest(src, sha, more));
    await assert.rejects(fetchEntry(entry, catalog, cache, { signal: never }), { code });
    assert.deepEqual(await readdir(cache).catch(() => []), []);
    assert.equal(await cachedPath(cache, sha), null);
  }
});

test('a cancelled fetch leaves nothing behind', async (context) => {
  const address = await listen(
    context,
    imageListener(() => ({ bytes, ranges: true, breakAfter: 2_000_000, breakBy: 'stall' })),
  );
  const { catalog, entry, cache } = await prepare(context, manifest(`${address}/disk.img`));
  const controller = new AbortController();
  const reason = new Error('enough');
  const onProgress = (progress: { bytes: number }): void => {
    if (progress.bytes > 500_000) controller.abort(reason);
  };
  await assert.rejects(fetchEntry(entry, catalog, cache, { signal: controller.signal, onProgress }), reason);
  assert.deepEqual(await readdir(cache), []);
});

test('a cache that cannot store is told', async (context) => {
  const { directory, catalog, entry } = await prepare(context, manifest('disk.img'));
  await writeFile(join(directory, 'disk.img'), bytes);
  await writeFile(join(directory, 'file'), '');
  await assert.rejects(fetchEntry(entry, catalog, join(directory, 'file', 'cache'), { signal: never }), {
    code: 'CACHE_FAILED',
    message: /not a directory \(ENOTDIR\)/,
  });
});

test('files of killed fetches are removed, those of running ones are not', async (context) => {
  const { directory, catalog, entry, cache } = await prepare(context, manifest('disk.img'));
  await writeFile(join(directory, 'disk.img'), bytes);
  await mkdir(cache, { recursive: true });
  const [killed, running, other] = [`.${digest}.a.part`, `.${digest}.b.part`, `.${'0'.repeat(64)}.a.part`];
  for (const name of [killed, running, other]) await writeFile(join(cache, name), 'x');
  for (const name of [killed, other]) await utimes(join(cache, name), 1000, 1000);
  await fetchEntry(entry, catalog, cache, { signal: never });
  assert.deepEqual((await readdir(cache)).toSorted(), [other, running, digest].toSorted());
  assert.equal((await stat(join(cache, digest))).mode & 0o777, 0o644 & ~process.umask());
});

test('whatever a manifest holds, it is valid or a Failure', () => {
  const piece = fc.constantFrom(
    'version = 1\n',
    '[[images]]\n',
    'name = "x"\n',
    'src = "y"\n',
    `sha256 = "${digest}"\n`,
    '[images]\n',
    'a.b = 1\n',
    '"',
    '[',
    '{',
    '\u0000',
    '__proto__ = 1\n',
    'size_bytes = 1e9\n',
    'size_bytes = inf\n',
    'name = 1979-05-27\n',
  );
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 500 }),
    fc.array(piece, { maxLength: 40 }).map((pieces) => Buffer.from(pieces.join(''))),
  );
  fc.assert(
    fc.property(hostile, (content) => {
      try {
        parseCatalog(content, 'catalog.toml');
      } catch (error) {
        assert.ok(error instanceof Failure && error.message.length < 500, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('a cache directory that cannot be made is told, and nothing goes round in circles', async (context) => {
  const directory = await temporaryDirectory(context);
  const image = join(directory, 'a.img');
  await writeFile(image, noise(1000));
  const text = `version = 1\n[[images]]\nname = "a"\nsrc = "${image}"\nsha256 = "${sha256(noise(1000))}"\n`;
  const path = join(directory, 'catalog.toml');
  await writeFile(path, text);
  const catalog = await loadCatalog(path, never);
  const entry = findEntry(catalog, 'a');
  await assert.rejects(fetchEntry(entry, catalog, '/proc/none/cache', { signal: never }), {
    code: 'CACHE_FAILED',
  });
});
