import assert from 'node:assert/strict';
import { readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FailureCode } from '../../shared/failure.ts';
import { fixtures, withFixture, withFolder } from './fixtures.ts';
import { type Extent, openQcow2, type Qcow2Image } from './qcow2.ts';
import {
  BytesReader,
  copied,
  failureOf,
  handMade,
  qemuImg,
  readAll,
  skipWithoutQemu,
  withFile,
} from './testing.ts';

const skip = skipWithoutQemu;

async function extentsOf(image: Qcow2Image, start?: number, end?: number): Promise<Extent[]> {
  const found: Extent[] = [];
  for await (const extent of image.extents(start, end)) found.push(extent);
  return found;
}

/** Extents must tile the range, alternate in kind, and be true about zeros. */
function checkExtents(extents: readonly Extent[], raw: Buffer, start: number, end: number): void {
  let at = start;
  let kind = '';
  for (const extent of extents) {
    assert.equal(extent.offset, at);
    assert.ok(extent.length > 0);
    assert.notEqual(extent.kind, kind, 'neighbours are merged');
    kind = extent.kind;
    at += extent.length;
    if (kind === 'zero') {
      const part = raw.subarray(extent.offset, at);
      assert.ok(part.equals(Buffer.alloc(part.length)), `zeros at ${extent.offset}`);
    }
  }
  assert.equal(at, end);
}

for (const fixture of fixtures) {
  test(`An image with ${fixture.name} reads as qemu-img converts it`, { skip }, async () => {
    await withFixture(fixture, (file, raw) =>
      withFile(file, async (reader) => {
        const image = await openQcow2(reader, file);
        assert.equal(image.virtualSize, raw.length);
        assert.ok((await readAll(image)).equals(raw), 'in pieces of 1 MiB');
        assert.ok((await readAll(image, 70_001)).equals(raw), 'in odd pieces');
        checkExtents(await extentsOf(image), raw, 0, raw.length);
        await fc.assert(
          fc.asyncProperty(fc.nat({ max: raw.length }), fc.nat({ max: 300_000 }), async (start, length) => {
            const into = Buffer.alloc(length, 0xee);
            const count = await image.read(into, start);
            assert.equal(count, Math.min(length, raw.length - start));
            assert.ok(into.subarray(0, count).equals(raw.subarray(start, start + count)));
            assert.ok(into.subarray(count).equals(Buffer.alloc(length - count, 0xee)), 'no byte more');
            const end = Math.min(raw.length, start + length);
            checkExtents(await extentsOf(image, start, end), raw, start, end);
          }),
          { numRuns: 20 },
        );
      }),
    );
  });
}

test('A dirty image and one with snapshots come with notes', { skip }, async () => {
  const expected: [string, RegExp][] = [
    ['left dirty by a crash', /not closed cleanly/],
    ['internal snapshots', /2 internal snapshots/],
  ];
  for (const [name, note] of expected) {
    const fixture = fixtures.find((candidate) => candidate.name === name);
    assert.ok(fixture);
    await withFixture(fixture, (file) =>
      withFile(file, async (reader) => {
        assert.match((await openQcow2(reader, file)).notes.join(), note);
      }),
    );
  }
});

test('Zero extents cover what qemu-img knows to be zeros', { skip }, async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'empty.qcow2');
    await qemuImg('create', '-q', '-f', 'qcow2', file, '1T');
    await withFile(file, async (reader) => {
      const image = await openQcow2(reader, file);
      assert.deepEqual(await extentsOf(image), [{ offset: 0, length: 2 ** 40, kind: 'zero' }]);
      assert.deepEqual(await extentsOf(image, 5, 5), []);
      assert.deepEqual(await extentsOf(image, 2 ** 40 - 3), [
        { offset: 2 ** 40 - 3, length: 3, kind: 'zero' },
      ]);
      assert.equal(await image.read(new Uint8Array(10), 2 ** 40), 0);
      assert.equal(await image.read(new Uint8Array(10), 2 ** 40 - 3), 3);
    });
  });
});

test('A file that ends within its last cluster reads zeros there, as with qemu-img', { skip }, async () => {
  const fixture = fixtures.find(({ name }) => name === 'full preallocation');
  assert.ok(fixture);
  await withFixture(fixture, async (file) => {
    await truncate(file, (await stat(file)).size - 40_000);
    const raw = `${file}.raw`;
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', file, raw);
    await withFile(file, async (reader) => {
      assert.ok((await readAll(await openQcow2(reader, file))).equals(await readFile(raw)));
    });
  });
});

test('A file that lacks a cluster is truncated, for extents and for reads', { skip }, async () => {
  for (const name of ['full preallocation', 'zlib', 'zstd']) {
    const fixture = fixtures.find((candidate) => candidate.name === name);
    assert.ok(fixture);
    await withFixture(fixture, async (file) => {
      await truncate(file, (await stat(file)).size - 2 * 65536);
      await withFile(file, async (reader) => {
        const image = await openQcow2(reader, file);
        assert.equal((await failureOf(() => extentsOf(image))).code, 'IMAGE_TRUNCATED');
        assert.equal((await failureOf(() => readAll(image))).code, 'IMAGE_TRUNCATED');
      });
    });
  }
});

const luks = ['--object', 'secret,id=key,data=abc', '-o', 'encrypt.format=luks,encrypt.key-secret=key'];
const refused: readonly [string, (folder: string) => readonly string[], FailureCode, RegExp][] = [
  [
    'a backing file',
    (folder) => ['-b', join(folder, 'base.raw'), '-F', 'raw'],
    'IMAGE_UNSUPPORTED',
    /a backing file \(.*base\.raw\)/,
  ],
  ['LUKS encryption', () => [...luks, '-o', 'encrypt.iter-time=10'], 'IMAGE_UNSUPPORTED', /LUKS encryption/],
  [
    'an external data file',
    (folder) => ['-o', `data_file=${join(folder, 'disk.data')},data_file_raw=on`],
    'IMAGE_UNSUPPORTED',
    /an external data file \(.*disk\.data\)/,
  ],
];
for (const [what, options, code, sentence] of refused) {
  test(`An image that qemu-img made with ${what} is refused by that name`, { skip }, async () => {
    await withFolder(async (folder) => {
      const file = join(folder, 'image.qcow2');
      await qemuImg('create', '-q', '-f', 'raw', join(folder, 'base.raw'), '1M');
      await qemuImg('create', '-q', '-f', 'qcow2', ...options(folder), file, '1M');
      await withFile(file, async (reader) => {
        const found = await failureOf(() => openQcow2(reader, file));
        assert.equal(found.code, code);
        assert.match(found.message, sentence);
      });
    });
  });
}

const filled = (value: number) => new Uint8Array(512).fill(value);

test('A disk that is no whole number of sectors has exactly its bytes', async () => {
  const file = handMade({
    l1: [2n],
    virtualSize: 1300n,
    tables: [[copied | 1536n, 0n, copied | 2048n]],
    clusters: { 3: filled(1), 4: filled(2) },
  });
  const image = await openQcow2(new BytesReader(file), 'disk.qcow2');
  const expected = Buffer.concat([filled(1), filled(0), filled(2).subarray(0, 276)]);
  assert.ok((await readAll(image)).equals(expected));
  assert.deepEqual(await extentsOf(image), [
    { offset: 0, length: 512, kind: 'data' },
    { offset: 512, length: 512, kind: 'zero' },
    { offset: 1024, length: 276, kind: 'data' },
  ]);
});

test('Clusters that follow one another in the file are fetched in one read, straight into place', async () => {
  const entries = Array.from({ length: 64 }, (_, index) => copied | BigInt((3 + index) * 512));
  const clusters = Object.fromEntries(entries.map((_, index) => [3 + index, filled(index)]));
  const reader = new BytesReader(handMade({ l1: [2n], tables: [entries], clusters }));
  const image = await openQcow2(reader, 'disk.qcow2');
  const targets: Uint8Array[] = [];
  const read = reader.read.bind(reader);
  reader.read = (into, position) => {
    targets.push(into);
    return read(into, position);
  };
  const into = new Uint8Array(new SharedArrayBuffer(64 * 512));
  assert.equal(await image.read(into, 0), into.length);
  const data = targets.filter((target) => target.buffer === into.buffer);
  assert.deepEqual(
    data.map((target) => target.length),
    [64 * 512],
  );
  assert.equal(targets.length, 2, 'besides the table');
});

test('Nothing writes into the caller\u2019s memory after a read was rejected', async () => {
  const file = handMade({
    l1: [2n],
    tables: [Array.from({ length: 64 }, (_, index) => copied | BigInt((3 + 2 * index) * 512))],
    totalClusters: 140,
  });
  const medium = new BytesReader(file);
  let pending = 0;
  let calls = 0;
  const image = await openQcow2(
    {
      size: medium.size,
      read: async (into, position) => {
        if (position < 1536) return medium.read(into, position);
        calls++;
        if (calls === 3) throw new Error('the medium fails');
        pending++;
        await new Promise((resolve) => setImmediate(resolve));
        pending--;
        return medium.read(into, position);
      },
    },
    'disk.qcow2',
  );
  await assert.rejects(image.read(new Uint8Array(64 * 512), 0), /the medium fails/);
  assert.equal(pending, 0);
  const before = calls;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(calls, before);
});

test('A file that shrinks while it is read is truncated', async () => {
  const file = handMade({ l1: [2n], tables: [[copied | 1536n]], clusters: { 3: filled(1) } });
  const medium = new BytesReader(file);
  const image = await openQcow2(
    { size: medium.size, read: async (into, at) => (at >= 1536 ? 0 : medium.read(into, at)) },
    'disk.qcow2',
  );
  assert.equal((await failureOf(() => image.read(new Uint8Array(512), 0))).code, 'IMAGE_TRUNCATED');
});
