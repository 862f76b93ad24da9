import assert from 'node:assert/strict';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseBmap } from '../bmap/parse.ts';
import { bty, directory, envelope } from './testing.ts';

const size = 4 << 20;

/** An image of 4 MiB that holds data at 1 MiB, and holes where the file system knows them. */
async function sparseImage(context: TestContext): Promise<string> {
  const path = join(await directory(context), 'disk.img');
  const file = await open(path, 'w');
  await file.truncate(size);
  await file.write(Buffer.alloc(8192, 1), 0, 8192, 1 << 20);
  await file.close();
  return path;
}

test('a block map goes to standard output, to a file, or into JSON', async (context) => {
  const image = await sparseImage(context);
  const output = `${image}.bmap`;
  const printed = await bty(['bmap', 'create', image]);
  assert.deepEqual([printed.code, printed.stderr], [0, '']);
  assert.equal(parseBmap(Buffer.from(printed.stdout), 'printed').imageSize, size);
  const written = await bty(['bmap', 'create', '-o', output, image]);
  assert.deepEqual([written.code, written.stderr], [0, '']);
  assert.match(written.stdout, /^\S+disk\.img\.bmap: \d+ of 4194304 bytes hold data\n$/);
  assert.equal(await readFile(output, 'utf8'), printed.stdout);
  const json = await bty(['bmap', 'create', image, '--json']);
  const { bmap, path, image_size_bytes } = envelope(json, 'bmap-create');
  assert.deepEqual([bmap, path, image_size_bytes], [printed.stdout, null, size]);
});

test('an output that is the image itself, or that cannot be written, is refused', async (context) => {
  const image = await sparseImage(context);
  const before = await readFile(image);
  const same = await bty(['bmap', 'create', '-o', image, image]);
  assert.deepEqual([same.code, same.stdout], [2, '']);
  assert.deepEqual(await readFile(image), before);
  const nowhere = await bty(['bmap', 'create', '-o', join(image, 'x'), image]);
  assert.deepEqual([nowhere.code, nowhere.stdout], [1, '']);
  assert.match(nowhere.stderr, /^bty: .* cannot be written: /);
});
