import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { failure } from '../../shared/failure.ts';
import { missing, tool } from '../inspect/testing.ts';
import { noise } from '../source/testing.ts';
import { createBmap } from './create.ts';
import { loadBmap, parseBmap } from './parse.ts';
import { sparseFile, temporaryDirectory } from './testing.ts';

const skip = missing('bmaptool', 'bmap-tools');
const KiB = 1024;
const MiB = 1 << 20;

async function created(path: string, options: Parameters<typeof createBmap>[1] = {}) {
  return parseBmap(Buffer.from(await createBmap(path, options)), 'created');
}

/** Image with data in four places, at its end too, whose size is no whole number of blocks. */
async function sparseImage(folder: string): Promise<string> {
  const path = join(folder, 'disk.img');
  await sparseFile(path, 8 * MiB + 100, [
    { offset: 0, bytes: noise(10 * KiB, 1) },
    { offset: 2 * MiB + 5000, bytes: noise(3 * MiB, 2) },
    { offset: 7 * MiB, bytes: noise(1, 3) },
    { offset: 8 * MiB + 99, bytes: noise(1, 4) },
  ]);
  return path;
}

test('a map names the data of a sparse image and its checksums, and leaves out the holes', async (context) => {
  const path = await sparseImage(await temporaryDirectory(context));
  const image = await readFile(path);
  const map = await created(path);
  assert.equal(map.version, '2.0');
  assert.equal(map.imageSize, image.length);
  assert.equal(map.blockSize, 4096);
  assert.ok(map.mappedBytes < 4 * MiB, 'the holes are left out');
  const rest = Buffer.from(image);
  for (const { offset, length, checksum } of map.ranges) {
    const bytes = image.subarray(offset, offset + length);
    assert.deepEqual(checksum, {
      algorithm: 'sha256',
      hex: createHash('sha256').update(bytes).digest('hex'),
    });
    rest.fill(0, offset, offset + length);
  }
  assert.ok(
    rest.every((byte) => byte === 0),
    'all data is mapped',
  );
  assert.equal(map.ranges.at(-1)?.length, 100);
});

test('the map is what bmaptool makes of the same image', { skip }, async (context) => {
  const folder = await temporaryDirectory(context);
  const path = await sparseImage(folder);
  tool('bmaptool', ['create', '-o', join(folder, 'theirs'), path]);
  const theirs = await loadBmap(join(folder, 'theirs'));
  assert.deepEqual((await created(path)).ranges, theirs.ranges);
  assert.equal(theirs.ranges.length, 4);

  tool('bmaptool', ['create', '--no-checksum', '-o', join(folder, 'plain'), path]);
  const plain = await loadBmap(join(folder, 'plain'));
  assert.deepEqual(
    plain.ranges,
    theirs.ranges.map((range) => ({ ...range, checksum: null })),
  );
});

test('bmaptool copies by our map', { skip }, async (context) => {
  const folder = await temporaryDirectory(context);
  const path = await sparseImage(folder);
  const map = join(folder, 'ours.bmap');
  await writeFile(map, await createBmap(path));
  tool('bmaptool', ['copy', '--bmap', map, path, join(folder, 'copy')]);
  assert.equal(Buffer.compare(await readFile(join(folder, 'copy')), await readFile(path)), 0);
  const broken = await readFile(path);
  broken.writeUInt8(broken.readUInt8(3 * MiB) ^ 1, 3 * MiB);
  await writeFile(join(folder, 'broken.img'), broken);
  assert.throws(() =>
    tool('bmaptool', ['copy', '--bmap', map, join(folder, 'broken.img'), join(folder, 'no')]),
  );
});

test('any layout of holes is mapped as bmaptool maps it', { skip }, async (context) => {
  const folder = await temporaryDirectory(context);
  const piece = fc.record({ offset: fc.nat(2 * MiB), length: fc.integer({ min: 1, max: 100 * KiB }) });
  const layout = fc.record({
    size: fc.integer({ min: 1, max: 2 * MiB }),
    pieces: fc.array(piece, { maxLength: 6 }),
  });
  let count = 0;
  await fc.assert(
    fc.asyncProperty(layout, async ({ size, pieces }) => {
      const path = join(folder, `${count++}.img`);
      const data = pieces
        .filter(({ offset }) => offset < size)
        .map(({ offset, length }) => ({ offset, bytes: noise(Math.min(length, size - offset), offset) }));
      await sparseFile(path, size, data);
      const theirs = parseBmap(tool('bmaptool', ['create', path]), 'theirs');
      const ours = await created(path);
      assert.deepEqual({ ...ours, name: '' }, { ...theirs, name: '' });
    }),
    { numRuns: 8 },
  );
});

test('an image without holes is mapped whole, zeros and all', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  await writeFile(path, Buffer.alloc(3 * MiB + 1));
  const { ranges } = await created(path);
  assert.deepEqual(
    ranges.map(({ offset, length }) => [offset, length]),
    [[0, 3 * MiB + 1]],
  );
});

test('blocks of zeros are left out only on request', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  const image = Buffer.alloc(3 * MiB + 1);
  image[5000] = 1;
  image[9000] = 1;
  image[2 * MiB] = 1;
  image[3 * MiB] = 1;
  await writeFile(path, image);
  const { ranges } = await created(path, { zeros: true });
  assert.deepEqual(
    ranges.map(({ offset, length }) => [offset, length]),
    [
      [4096, 8192],
      [2 * MiB, 4096],
      [3 * MiB, 1],
    ],
  );
  const [first] = ranges;
  const bytes = image.subarray(4096, 4096 + 8192);
  assert.equal(first?.checksum?.hex, createHash('sha256').update(bytes).digest('hex'));
});

test('an image that is one hole has an empty map', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  await sparseFile(path, 10 * MiB, []);
  const map = await created(path);
  assert.deepEqual([map.ranges, map.imageSize], [[], 10 * MiB]);
});

test('what is no raw image is refused', async (context) => {
  const folder = await temporaryDirectory(context);
  const refused = async (content: Uint8Array, code: string, message: RegExp) => {
    const path = join(folder, 'image');
    await writeFile(path, content);
    await assert.rejects(createBmap(path), { code, message });
  };
  await refused(gzipSync('x'), 'USAGE', /image is packed \(gz\); unpack or convert it first/);
  await refused(Buffer.from('QFI\xfb\0\0\0\x03'.padEnd(512, '\0'), 'latin1'), 'USAGE', /is a qcow2 image;/);
  await refused(new Uint8Array(0), 'IMAGE_EMPTY', /./);
  await assert.rejects(createBmap(join(folder, 'none')), { code: 'IMAGE_NOT_FOUND' });
  await assert.rejects(createBmap(folder), { code: 'IMAGE_UNREADABLE' });
});

test('a part of a disk without any mark of its own can be mapped', async (context) => {
  const path = join(await temporaryDirectory(context), 'part');
  await writeFile(path, noise(5000));
  assert.equal((await created(path)).mappedBytes, 5000);
});

test('progress reaches the size of the image, holes included', async (context) => {
  const path = await sparseImage(await temporaryDirectory(context));
  const told: number[] = [];
  await createBmap(path, {
    onProgress: ({ bytes, total }) => {
      assert.equal(total, 8 * MiB + 100);
      told.push(bytes);
    },
  });
  assert.deepEqual(
    told,
    told.toSorted((a, b) => a - b),
  );
  assert.equal(told.at(-1), 8 * MiB + 100);
});

test('an image that changes meanwhile has no map', async (context) => {
  const path = await sparseImage(await temporaryDirectory(context));
  const creating = createBmap(path, { onProgress: () => appendFileSync(path, 'more') });
  await assert.rejects(creating, { code: 'IMAGE_CHANGED' });
});

test('creating a map ends when its signal aborts', async (context) => {
  const path = await sparseImage(await temporaryDirectory(context));
  const controller = new AbortController();
  const reason = failure('CANCELLED', {});
  const creating = createBmap(path, {
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  });
  await assert.rejects(creating, reason);
});

test('a block device, which knows no holes, is mapped whole', {
  skip: process.getuid?.() === 0 && existsSync('/dev/loop-control') ? false : 'needs root and loop devices',
}, async (context) => {
  const path = await sparseImage(await temporaryDirectory(context));
  const device = tool('losetup', ['--show', '-r', '-f', path]).toString().trim();
  context.after(() => tool('losetup', ['-d', device]));
  const map = await created(device);
  assert.deepEqual([map.ranges.length, map.mappedBytes], [1, 8 * MiB]);
});
