import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { failure } from '../../shared/failure.ts';
import { listen } from '../source/http-testing.ts';
import { mostRanges } from './document.ts';
import { loadBmap } from './parse.ts';
import { mapText, temporaryDirectory } from './testing.ts';

/** Serves each file under its path, and 404 for all others. */
function files(served: Readonly<Record<string, string | Uint8Array>>): RequestListener {
  return (request, response) => {
    const found = served[request.url ?? ''];
    if (found === undefined) response.writeHead(404).end('not here');
    else response.end(found);
  };
}

test('a map is read from a file', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.bmap');
  await writeFile(path, mapText());
  const map = await loadBmap(path);
  assert.equal(map.name, path);
  assert.equal(map.ranges.length, 2);
  assert.equal(map.signature, null);
});

test('a signature in a file of its own beside the map is told by its name', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.bmap');
  await writeFile(path, mapText());
  await writeFile(`${path}.sig`, 'x');
  assert.equal((await loadBmap(path)).signature, 'disk.bmap.sig');
  await writeFile(`${path}.asc`, 'x');
  assert.equal((await loadBmap(path)).signature, 'disk.bmap.asc');
});

test('a map that cannot be had is called a map, not an image', async (context) => {
  const folder = await temporaryDirectory(context);
  const refused = async (path: string, message: RegExp) =>
    assert.rejects(loadBmap(path), { code: 'BMAP_INVALID', message });
  const missing = { code: 'BMAP_NOT_FOUND', exitCode: 2, message: /There is no block map at .*none/ };
  await assert.rejects(loadBmap(join(folder, 'none')), missing);
  await mkdir(join(folder, 'folder'));
  await refused(join(folder, 'folder'), /it is a directory/);
  await refused('/dev/null', /it is neither a file nor a block device/);
  await refused('nul\0byte', /cannot be used/);
  const address = await listen(context, files({ '/page': '<html></html>' }));
  await refused(`${address}/none`, /none cannot be used: the server answered with HTTP status 404/);
  await refused(`${address}/page`, /its outermost element is "html"/);
});

test('a map and its signature are read from a server, and no password is shown', async (context) => {
  const signature = '-----BEGIN PGP SIGNATURE-----\n';
  const served = {
    '/disk.bmap?token=1': mapText(),
    '/disk.bmap.asc?token=1': '<html>not found</html>',
    '/disk.bmap.sig?token=1': signature,
  };
  const address = await listen(context, files(served));
  const map = await loadBmap(`${address.replace('//', '//user:secret@')}/disk.bmap?token=1`);
  assert.equal(map.name, `${address}/disk.bmap?token=1`);
  assert.equal(map.mappedBytes, 4096 + 10_000 - 8192);
  assert.equal(map.signature, 'disk.bmap.sig');
  assert.equal((await loadBmap(`${await listen(context, files({ '/a': mapText() }))}/a`)).signature, null);
});

test('a server that never ends is left after 64 MiB', async (context) => {
  const address = await listen(context, (_request, response) => {
    const piece = Buffer.alloc(1 << 20, ' ');
    const more = () => {
      while (response.write(piece));
      response.once('drain', more);
    };
    more();
  });
  await assert.rejects(loadBmap(`${address}/disk.bmap`), {
    code: 'BMAP_INVALID',
    message: /larger than 64 MiB/,
  });
});

test('a server that announces more than 64 MiB is not read at all', async (context) => {
  const address = await listen(context, (_request, response) => {
    response.setHeader('Content-Length', 2 ** 40);
    response.flushHeaders();
  });
  await assert.rejects(loadBmap(`${address}/disk.bmap`), { message: /larger than 64 MiB/ });
});

test('reading a large map ends soon after its signal aborts', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.bmap');
  await writeFile(path, `<bmap version="2.0"><BlockMap>${'<Range> 1 </Range>\n'.repeat(mostRanges)}`);
  const controller = new AbortController();
  const reason = failure('CANCELLED', {});
  const loading = loadBmap(path, { signal: controller.signal });
  setImmediate(() => controller.abort(reason));
  await assert.rejects(loading, reason);
});
