import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bty, directory, envelope, start } from './testing.ts';

const image = Buffer.alloc(4096, 'image');
const digest = createHash('sha256').update(image).digest('hex');
const manifest = (name: string, src: string, sha256 = digest) =>
  `version = 1\n[[images]]\nname = ${JSON.stringify(name)}\nsrc = ${JSON.stringify(src)}\nsha256 = "${sha256}"\n`;

interface State {
  readonly path: string;
  readonly catalog: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A state directory with a catalog and, as `disk.img`, the image. */
async function stateWith(context: TestContext, text: string): Promise<State> {
  const path = await directory(context);
  const catalog = join(path, 'catalog.toml');
  await writeFile(catalog, text);
  await writeFile(join(path, 'disk.img'), image);
  return { path, catalog, env: { BTY_STATE_DIR: path } };
}

test('a valid catalog is told with its count, in text and in JSON', async (context) => {
  const { catalog, env } = await stateWith(context, manifest('a', 'disk.img'));
  assert.deepEqual(await bty(['catalog', 'validate', catalog]), {
    code: 0,
    stdout: `catalog at ${catalog}: ok (1 entries)\n`,
    stderr: '',
  });
  const json = await bty(['catalog', 'validate', '--json'], { env });
  assert.deepEqual(
    [json.code, envelope(json, 'catalog-validate')],
    [0, { schema_version: '1', command: 'catalog-validate', path: catalog, valid: true, count: 1 }],
  );
});

test('an invalid catalog is exit code 1, in JSON with valid: false', async (context) => {
  const { catalog } = await stateWith(context, 'version = 2\n');
  const text = await bty(['catalog', 'validate', catalog]);
  assert.deepEqual([text.code, text.stdout], [1, '']);
  assert.match(text.stderr, /^bty: The catalog .* is not valid: /);
  const json = await bty(['catalog', 'validate', catalog, '--json']);
  const told = envelope(json, 'catalog-validate');
  assert.deepEqual([json.code, told.valid, typeof told.error], [1, false, 'string']);
});

test('without a catalog there is no JSON, only a sentence and exit code 1', async (context) => {
  const env = { BTY_STATE_DIR: await directory(context) };
  for (const args of [['validate'], ['list']]) {
    const { code, stdout, stderr } = await bty(['catalog', ...args, '--json'], { env });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^bty: No catalog is configured\.\n/);
  }
});

test('an image is fetched once, and the list tells that it is cached', async (context) => {
  const { path, catalog, env } = await stateWith(context, manifest('my\u001b[1m', 'disk.img'));
  const cached_path = join(path, 'cache', digest);
  for (const fetched of [true, false]) {
    const ended = await bty(['catalog', 'fetch', 'my\u001b[1m', '--json'], { env });
    assert.deepEqual([ended.code, ended.stderr], [0, '']);
    assert.deepEqual(envelope(ended, 'catalog-fetch'), {
      schema_version: '1',
      command: 'catalog-fetch',
      name: 'my\u001b[1m',
      sha256: digest,
      cached_path,
      fetched,
    });
  }
  assert.deepEqual(await readFile(cached_path), image);
  const listed = await bty(['catalog', 'list', '--manifest', catalog, '--json'], { env });
  const { entries, ...rest } = envelope(listed, 'catalog-list');
  assert.deepEqual(rest, {
    schema_version: '1',
    command: 'catalog-list',
    manifest: catalog,
    cache_dir: join(path, 'cache'),
  });
  assert.deepEqual(entries, [
    {
      name: 'my\u001b[1m',
      src: 'disk.img',
      sha256: digest,
      format: null,
      size_bytes: null,
      description: null,
      cached: true,
    },
  ]);
  const table = await bty(['catalog', 'list'], { env });
  assert.match(table.stdout, /\nmy\\x1b\[1m {2}/);
});

test('a wrong digest, an unknown name and a server that is not there are exit code 1', async (context) => {
  const { path, env } = await stateWith(context, manifest('a', 'disk.img', 'ab'.repeat(32)));
  const wrong = await bty(['catalog', 'fetch', 'a'], { env });
  assert.deepEqual([wrong.code, wrong.stdout], [1, '']);
  assert.match(wrong.stderr, /^bty: .* is not the expected image/);
  assert.deepEqual(await readdir(join(path, 'cache')), []);
  const unknown = await bty(['catalog', 'fetch', 'b', '--json'], { env });
  assert.deepEqual([unknown.code, unknown.stdout], [1, '']);
  assert.match(unknown.stderr, /has no image named "b"/);
  const gone = await bty(['catalog', 'fetch', 'a', '--manifest', join(path, 'none.toml')], { env });
  assert.equal(gone.code, 1);
});

test('SIGINT ends a download with exit code 130 and leaves nothing in the cache', async (context) => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': '1000000' });
    response.write('the rest never comes');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const { path, env } = await stateWith(context, manifest('a', `http://127.0.0.1:${port}/disk.img`));
  const cache = join(path, 'cache');
  await mkdir(cache);
  const { child, ended } = start(['catalog', 'fetch', 'a'], { env });
  await once(server, 'request');
  child.kill('SIGINT');
  const { code, stdout, stderr } = await ended;
  assert.deepEqual([code, stdout], [130, '']);
  assert.match(stderr, /^bty: Cancelled\.\n$/m);
  assert.deepEqual(await readdir(cache), []);
});
