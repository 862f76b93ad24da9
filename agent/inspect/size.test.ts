import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import type { Packing } from '../../shared/image.ts';
import { qcow2VirtualSize, unpackedSize } from './size.ts';
import { memoryReader, missing, missingAny, noise, temporaryDirectory, tool } from './testing.ts';

const sample = Buffer.concat([noise(300_000), Buffer.alloc(700_000), noise(77)]);

async function sizeOf(packing: Packing, stored: Uint8Array, fetches?: number) {
  return await unpackedSize(
    packing,
    memoryReader(stored, 1000),
    'a',
    fetches === undefined ? {} : { fetches },
  );
}

async function codeOf(packing: Packing, stored: Uint8Array): Promise<string> {
  try {
    const { bytes, exact } = await sizeOf(packing, stored);
    return `${bytes} ${exact}`;
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    return error.code;
  }
}

const exactly = (bytes: number) => ({ bytes, exact: true, atLeast: bytes });

test('a raw image is as large as it is stored', async () => {
  assert.deepEqual(await sizeOf('raw', sample), exactly(sample.length));
});

test('the size of bzip2 is not known before it is unpacked', async () => {
  assert.deepEqual(await sizeOf('bz2', Buffer.from('BZh9')), { bytes: null, exact: false, atLeast: 0 });
});

test('gzip tells the size of its last member as a guess and a lower bound', async () => {
  const one = gzipSync(sample);
  const found = await sizeOf('gz', one);
  assert.deepEqual(found, { bytes: sample.length, exact: false, atLeast: sample.length });
  const two = Buffer.concat([one, gzipSync('tail')]);
  assert.equal((await sizeOf('gz', two)).atLeast, 4);
});

test('a gzip trailer that no deflate stream can have come from is not believed', async () => {
  const stored = Buffer.concat([gzipSync('x'), Buffer.from('ffffffff', 'hex')]);
  assert.deepEqual(await sizeOf('gz', stored), { bytes: null, exact: false, atLeast: 0 });
});

test('the guess for a gzip larger than 4 GiB adds what is lost modulo 4 GiB', async () => {
  const reader = {
    size: 5 * 2 ** 30,
    read: async (into: Uint8Array) => {
      into.set([0, 0, 0, 0x50].slice(0, into.length));
      return into.length;
    },
  };
  const found = await unpackedSize('gz', reader, 'a');
  assert.deepEqual(found, { bytes: 0x50000000 + 2 ** 32, exact: false, atLeast: 0x50000000 });
});

const noZstd = missing('zstd');
test('zstd of a file, of several frames and with skippable frames is exact', {
  skip: noZstd,
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'a.img');
  await writeFile(path, sample);
  const frame = tool('zstd', ['-c', path]);
  assert.deepEqual(await sizeOf('zst', frame), exactly(sample.length));
  assert.deepEqual(
    await sizeOf('zst', tool('zstd', ['-c', '--no-check', '-19', path])),
    exactly(sample.length),
  );
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]);
  const mixed = Buffer.concat([skippable, frame, skippable, frame, skippable]);
  assert.deepEqual(await sizeOf('zst', mixed), exactly(2 * sample.length));
  for (const size of [0, 1, 255, 256, 65_791, 65_792]) {
    await writeFile(path, noise(size));
    assert.deepEqual(await sizeOf('zst', tool('zstd', ['-c', path])), exactly(size));
  }
});

test('zstd of a pipe has no size, but a lower bound', { skip: noZstd }, async () => {
  const stored = tool('zstd', ['-c'], sample);
  const found = await sizeOf('zst', stored);
  assert.equal(found.bytes, null);
  assert.ok(found.atLeast > 0 && found.atLeast <= sample.length, String(found.atLeast));
});

test('a zstd walk that would take too many reads ends with what the header says', {
  skip: noZstd,
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'a.img');
  await writeFile(path, noise(1 << 20));
  const found = await sizeOf('zst', tool('zstd', ['-c', path]), 2);
  assert.deepEqual(found, { bytes: 1 << 20, exact: false, atLeast: 1 << 20 });
});

test('the seek table of the seekable zstd format is read instead of all frames', {
  skip: noZstd,
}, async () => {
  const parts = [sample, noise(10), Buffer.alloc(5000)];
  const frames = parts.map((part) => tool('zstd', ['-c'], part));
  const entries = frames.map((frame, index) => {
    const entry = Buffer.alloc(8);
    entry.writeUInt32LE(frame.length, 0);
    entry.writeUInt32LE(parts[index]?.length ?? 0, 4);
    return entry;
  });
  const table = Buffer.concat([Buffer.alloc(8), ...entries, Buffer.alloc(9)]);
  table.writeUInt32LE(0x184d2a5e, 0);
  table.writeUInt32LE(table.length - 8, 4);
  table.writeUInt32LE(frames.length, table.length - 9);
  table.writeUInt32LE(0x8f92eab1, table.length - 4);
  const stored = Buffer.concat([...frames, table]);
  assert.deepEqual(await sizeOf('zst', stored, 1), exactly(sample.length + 10 + 5000));
});

test('xz with one block, many blocks, several streams and padding is exact', {
  skip: missing('xz', 'xz-utils'),
}, async () => {
  const single = tool('xz', ['-c', '-0'], sample);
  const blocks = tool('xz', ['-c', '-0', '--block-size=65536'], sample);
  const empty = tool('xz', ['-c', '-0'], '');
  assert.deepEqual(await sizeOf('xz', single), exactly(sample.length));
  assert.deepEqual(await sizeOf('xz', blocks), exactly(sample.length));
  assert.deepEqual(await sizeOf('xz', empty), exactly(0));
  const streams = Buffer.concat([single, Buffer.alloc(8), blocks, empty, single, Buffer.alloc(40_000)]);
  assert.deepEqual(await sizeOf('xz', streams), exactly(3 * sample.length));
  assert.deepEqual((await sizeOf('xz', streams, 1)).exact, false);
});

test('a cut or damaged xz is told before it is unpacked', { skip: missing('xz', 'xz-utils') }, async () => {
  const stored = tool('xz', ['-c', '-0'], sample);
  for (const cut of [1, 4, 12, 1000]) {
    assert.equal(await codeOf('xz', stored.subarray(0, stored.length - cut)), 'IMAGE_TRUNCATED');
  }
  assert.equal(await codeOf('xz', Buffer.alloc(400)), 'IMAGE_TRUNCATED');
  for (const at of [5, 10, 14, 20]) {
    const copy = Buffer.from(stored);
    copy[copy.length - at] = (copy[copy.length - at] ?? 0) ^ 0x10;
    assert.equal(await codeOf('xz', copy), 'IMAGE_CORRUPT', String(at));
  }
});

test('a cut zstd or lz4 is told before it is unpacked', {
  skip: missingAny(['zstd', 'zstd'], ['lz4', 'lz4']),
}, async () => {
  for (const [packing, stored] of [
    ['zst', tool('zstd', ['-c'], sample)],
    ['lz4', tool('lz4', ['-c'], sample)],
  ] as const) {
    for (const cut of [1, 3, 5, 200, stored.length - 9]) {
      assert.equal(
        await codeOf(packing, stored.subarray(0, stored.length - cut)),
        'IMAGE_TRUNCATED',
        `${cut}`,
      );
    }
    const followed = Buffer.concat([stored, Buffer.from('something else here')]);
    assert.equal(await codeOf(packing, followed), 'IMAGE_CORRUPT');
  }
});

test('lz4 is exact with a content size and bounded without', { skip: missing('lz4') }, async (context) => {
  const path = join(await temporaryDirectory(context), 'a.img');
  await writeFile(path, sample);
  const sized = tool('lz4', ['-c', '--content-size', '-BX', path]);
  assert.deepEqual(await sizeOf('lz4', sized), exactly(sample.length));
  assert.deepEqual(await sizeOf('lz4', Buffer.concat([sized, sized])), exactly(2 * sample.length));
  const plain = await sizeOf('lz4', tool('lz4', ['-c', '-B4'], sample));
  assert.equal(plain.bytes, null);
  assert.ok(plain.atLeast > 0 && plain.atLeast <= sample.length);
});

test('the virtual size of qcow2 is read from its header', {
  skip: missing('qemu-img', 'qemu-utils'),
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'a.qcow2');
  for (const version of ['0.10', '1.1']) {
    tool('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', `compat=${version}`, path, '5G']);
    const head = await readFile(path);
    assert.equal(qcow2VirtualSize(head, 'a'), 5 * 2 ** 30);
  }
  assert.throws(() => qcow2VirtualSize(Buffer.from('QFI\xfb', 'latin1'), 'a'), { code: 'IMAGE_TRUNCATED' });
  const absurd = Buffer.alloc(104, 0xff);
  absurd.write('QFI\xfb', 'latin1');
  assert.throws(() => qcow2VirtualSize(absurd, 'a'), { code: 'IMAGE_CORRUPT' });
});

test('hostile frames, indexes and trailers end in a size or a failure within few reads', async () => {
  const magics: readonly (readonly [Packing, string])[] = [
    ['zst', '28b52ffd'],
    ['zst', '502a4d18'],
    ['lz4', '04224d18'],
    ['xz', 'fd377a585a00'],
    ['gz', '1f8b08'],
  ];
  const input = fc.tuple(fc.constantFrom(...magics), fc.uint8Array({ maxLength: 3000 }), fc.boolean());
  await fc.assert(
    fc.asyncProperty(input, async ([[packing, magic], rest, tail]) => {
      const end = tail ? Buffer.from('595a', 'hex') : Buffer.alloc(0);
      const stored = Buffer.concat([Buffer.from(magic, 'hex'), rest, end]);
      let reads = 0;
      const reader = memoryReader(stored);
      const counting = {
        size: stored.length,
        read: (into: Uint8Array, position: number) => {
          reads++;
          return reader.read(into, position);
        },
      };
      try {
        const found = await unpackedSize(packing, counting, 'a', { fetches: 50 });
        assert.ok(found.bytes === null || Number.isSafeInteger(found.bytes));
        assert.ok(!found.exact || found.bytes === found.atLeast);
      } catch (error) {
        assert.ok(error instanceof Failure && /^IMAGE_/.test(error.code), String(error));
      }
      assert.ok(reads < 110, String(reads));
    }),
    { numRuns: 400 },
  );
});

test('frames that lie about their length neither loop nor allocate', async () => {
  const absurd = Buffer.concat([
    Buffer.from('28b52ffde0', 'hex'),
    Buffer.alloc(8, 0xff),
    Buffer.from('010000', 'hex'),
  ]);
  assert.equal(await codeOf('zst', absurd), 'IMAGE_CORRUPT');
  const empties = Buffer.alloc(800_000);
  for (let at = 0; at < empties.length; at += 8) empties.writeUInt32LE(0x184d2a50, at);
  assert.equal(await codeOf('zst', empties), '0 true');
  assert.equal((await sizeOf('zst', empties, 3)).exact, false);
  const footer = Buffer.alloc(9, 0xff);
  footer.writeUInt32LE(0x8f92eab1, 5);
  footer[4] = 0;
  assert.equal(await codeOf('zst', Buffer.concat([Buffer.from('28b52ffd', 'hex'), footer])), 'IMAGE_CORRUPT');
});
