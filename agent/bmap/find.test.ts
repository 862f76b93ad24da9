import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { listen } from '../source/http-testing.ts';
import { findBmap, namesBeside } from './find.ts';
import { mapText, temporaryDirectory } from './testing.ts';

test('the map of an image is called after it, with its suffixes or without', () => {
  assert.deepEqual(namesBeside('/a.b/disk.img.zst'), [
    '/a.b/disk.img.zst.bmap',
    '/a.b/disk.img.bmap',
    '/a.b/disk.bmap',
  ]);
  assert.deepEqual(namesBeside('disk.wic'), ['disk.wic.bmap', 'disk.bmap']);
  assert.deepEqual(namesBeside('DISK.RAW.XZ'), ['DISK.RAW.XZ.bmap', 'DISK.RAW.bmap', 'DISK.bmap']);
  assert.deepEqual(namesBeside('disk.gz'), ['disk.gz.bmap', 'disk.bmap']);
  assert.deepEqual(namesBeside('disk'), ['disk.bmap']);
  assert.deepEqual(namesBeside('disk.tar.gz'), ['disk.tar.gz.bmap']);
  assert.deepEqual(namesBeside('folder/.img'), ['folder/.img.bmap']);
});

test('the map with the most telling name is found beside an image', async (context) => {
  const folder = await temporaryDirectory(context);
  const at = (name: string) => join(folder, name);
  await writeFile(at('disk.img.zst'), 'x');
  assert.equal(await findBmap(at('disk.img.zst')), null);
  for (const name of ['disk.bmap', 'disk.img.bmap', 'disk.img.zst.bmap']) {
    await writeFile(at(name), 'x');
    assert.equal(await findBmap(at('disk.img.zst')), at(name));
  }
});

test('directories are no maps, and nothing is found beside what is no file', async (context) => {
  const folder = await temporaryDirectory(context);
  await mkdir(join(folder, 'disk.img.bmap'));
  await writeFile(join(folder, 'disk.img'), 'x');
  assert.equal(await findBmap(join(folder, 'disk.img')), null);
  await writeFile(join(folder, 'debian.bmap'), 'x');
  assert.equal(await findBmap(join(folder, 'debian')), null, 'a name in a catalog');
  assert.equal(await findBmap('-'), null);
  assert.equal(await findBmap(''), null);
});

test('a map is found beside an image on a server, whatever the server answers for the others', async (context) => {
  const asked: string[] = [];
  const answers: Record<string, [number, string]> = {
    '/d/disk.img.zst.bmap?t=1': [403, ''],
    '/d/disk.img.bmap?t=1': [200, '<html>nothing here</html>'],
    '/d/disk.bmap?t=1': [200, mapText()],
  };
  const address = await listen(context, (request, response) => {
    asked.push(request.url ?? '');
    const [status, text] = answers[request.url ?? ''] ?? [404, ''];
    response.writeHead(status).end(text);
  });
  const image = `${address.replace('//', '//me:secret@')}/d/disk.img.zst?t=1`;
  assert.equal(await findBmap(image), image.replace('disk.img.zst', 'disk.bmap'));
  assert.deepEqual([...new Set(asked)], Object.keys(answers));
  assert.equal(await findBmap(`${address}/other.img`), null);
});

test('a server in trouble is told, because it may have a map', async (context) => {
  const address = await listen(context, (_request, response) => response.writeHead(500).end());
  await assert.rejects(findBmap(`${address}/disk.img`), { code: 'SOURCE_HTTP_STATUS' });
});

test('the map of a described image is looked for beside the descriptor, then beside the image', async (context) => {
  const folder = await temporaryDirectory(context);
  const address = await listen(context, (request, response) => {
    if (request.url === '/disk.img.bmap') response.end(mapText());
    else response.writeHead(404).end();
  });
  const descriptor = join(folder, 'disk.bri');
  await writeFile(descriptor, `url = "${address}/disk.img"\n`);
  assert.equal(await findBmap(descriptor), `${address}/disk.img.bmap`);
  await writeFile(`${descriptor}.bmap`, 'x');
  assert.equal(await findBmap(descriptor), `${descriptor}.bmap`);
});
