import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { Failure, failure } from '../../shared/failure.ts';
import { memoryReader, missing, noise, temporaryDirectory, tool } from './testing.ts';
import { openZipEntry, type ZipEntry } from './zipentry.ts';

const skip = missing('zip');
const disk = Buffer.concat([noise(40_000), Buffer.alloc(60_000)]);

/** A zip that the reference tool makes of `files`, with `args` before the names. */
async function zipOf(
  context: TestContext,
  files: Readonly<Record<string, Uint8Array | string>>,
  ...args: readonly string[]
): Promise<Buffer> {
  const directory = await temporaryDirectory(context);
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, 'in', name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  const archive = join(directory, 'a.zip');
  const script = ['-q', '-r', ...args, archive, '.'];
  execFileSync('zip', script, { cwd: join(directory, 'in') });
  return await readFile(archive);
}

function content(archive: Buffer, entry: ZipEntry): Buffer {
  const stored = archive.subarray(entry.dataOffset, entry.dataOffset + entry.compressedSize);
  return entry.method === 'store' ? stored : inflateRawSync(stored);
}

async function failureOf(archive: Uint8Array): Promise<Failure> {
  try {
    await openZipEntry(memoryReader(archive), 'a.zip');
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    return error;
  }
  return assert.fail('it was accepted');
}

test('the image in a zip is found beside what is none', { skip }, async (context) => {
  const archive = await zipOf(context, {
    'release/disk.img': disk,
    'release/README.txt': 'read me',
    'release/SHA256SUMS': 'sums',
    'release/disk.img.sha256': 'sum',
    'release/disk.bmap': '<bmap/>',
    '__MACOSX/release/._disk.img': 'resource fork',
    'release/.DS_Store': 'x',
    LICENSE: 'free',
  });
  const entry = await openZipEntry(memoryReader(archive, 777), 'a.zip');
  assert.equal(entry.name, 'release/disk.img');
  assert.equal(entry.method, 'deflate');
  assert.equal(entry.size, disk.length);
  assert.equal(entry.crc32, crc32(disk));
  assert.ok(content(archive, entry).equals(disk));
});

test('a single file is the image whatever its name', { skip }, async (context) => {
  const archive = await zipOf(context, { firmware: disk });
  assert.equal((await openZipEntry(memoryReader(archive), 'a.zip')).name, 'firmware');
});

test('stored entries, zip64 records and streamed archives are read', { skip }, async (context) => {
  const variants = {
    stored: await zipOf(context, { 'a.img': disk }, '-0'),
    zip64: await zipOf(context, { 'a.img': disk }, '-fz'),
    streamed: tool('zip', ['-q', '-', '-'], disk),
  };
  for (const [name, archive] of Object.entries(variants)) {
    const entry = await openZipEntry(memoryReader(archive), 'a.zip');
    assert.equal(entry.method, name === 'stored' ? 'store' : 'deflate', name);
    assert.equal(entry.size, disk.length, name);
    assert.ok(content(archive, entry).equals(disk), name);
  }
});

test('several images are refused and named, and so is none', { skip }, async (context) => {
  const several = await failureOf(await zipOf(context, { 'a.img': 'a', 'b/c.iso': 'b', 'readme.md': 'c' }));
  assert.equal(several.code, 'IMAGE_REFUSED');
  assert.match(several.message, /several images \("(a\.img|b\/c\.iso)", "(a\.img|b\/c\.iso)"\)/);
  const none = await failureOf(await zipOf(context, { 'a.doc': 'a', 'b.txt': 'b', c: 'c', d: 'd' }));
  assert.equal(none.code, 'IMAGE_REFUSED');
  assert.match(none.message, /without a disk image/);
});

test('encrypted entries and other methods than deflate are refused by name', { skip }, async (context) => {
  const encrypted = await failureOf(await zipOf(context, { 'a.img': disk }, '-P', 'secret'));
  assert.equal(encrypted.code, 'IMAGE_UNSUPPORTED');
  assert.match(encrypted.message, /encrypted/);
  const archive = await zipOf(context, { 'a.img': disk });
  for (const [method, name] of [
    [9, /Deflate64/],
    [14, /LZMA/],
    [93, /zstd/],
    [77, /method 77/],
  ] as const) {
    const copy = Buffer.from(archive);
    copy.writeUInt16LE(method, copy.indexOf('PK\x01\x02') + 10);
    const found = await failureOf(copy);
    assert.equal(found.code, 'IMAGE_UNSUPPORTED');
    assert.match(found.message, name);
  }
});

test('a cut zip is told as cut, and one with damaged records as damaged', { skip }, async (context) => {
  const archive = await zipOf(context, { 'a.img': disk });
  assert.equal((await failureOf(archive.subarray(0, archive.length - 30))).code, 'IMAGE_TRUNCATED');
  assert.equal((await failureOf(Buffer.concat([archive, Buffer.alloc(10)]))).code, 'IMAGE_CORRUPT');
  const central = archive.indexOf('PK\x01\x02');
  const damage: Readonly<Record<string, (copy: Buffer) => void>> = {
    'local header elsewhere': (copy) => copy.writeUInt32LE(5, central + 42),
    'local header beyond the end': (copy) => copy.writeUInt32LE(0xfffffff0, central + 42),
    'absurd size': (copy) => copy.writeUInt32LE(0xfffffff0, central + 24),
    'data beyond the end': (copy) => copy.writeUInt32LE(archive.length, central + 20),
    'other method in the local header': (copy) => copy.writeUInt16LE(0, 8),
    'no central record': (copy) => copy.writeUInt32LE(0, central),
  };
  for (const [name, change] of Object.entries(damage)) {
    const copy = Buffer.from(archive);
    change(copy);
    assert.equal((await failureOf(copy)).code, 'IMAGE_CORRUPT', name);
  }
});

test('a name made to escape or to write to the terminal does neither', async () => {
  const archive = handmade('../\u001b[31mevil\\disk.img', deflateRawSync(disk));
  const entry = await openZipEntry(memoryReader(archive), 'a.zip');
  assert.equal(entry.name, '../[31mevil/disk.img');
});

test('a failure of the source is told as it is', async () => {
  const archive = handmade('a.img', deflateRawSync(disk));
  const reader = {
    size: archive.length,
    read: async () => {
      throw failure('SOURCE_READ_FAILED', { image: 'a.zip', offset: 7, problem: 'EIO' });
    },
  };
  await assert.rejects(openZipEntry(reader, 'a.zip'), { code: 'SOURCE_READ_FAILED' });
});

test('random bytes and mutated archives give an entry inside the file or a failure', async () => {
  const archive = handmade('disk.img', deflateRawSync(Buffer.alloc(3000, 'ab')));
  const places = fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { maxLength: 6 });
  const input = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    places.map((changes) => {
      const copy = Buffer.from(archive);
      for (const [at, value] of changes) copy[at] = value;
      return copy;
    }),
  );
  await fc.assert(
    fc.asyncProperty(input, async (bytes) => {
      try {
        const entry = await openZipEntry(memoryReader(bytes), 'a.zip');
        assert.ok(entry.dataOffset + entry.compressedSize <= bytes.length);
      } catch (error) {
        assert.ok(error instanceof Failure && /^IMAGE_/.test(error.code), String(error));
      }
    }),
    { numRuns: 600 },
  );
});

/** A zip of one deflated entry: local header, data, central directory, end record (APPNOTE 4.3). */
function handmade(name: string, data: Buffer): Buffer {
  const encoded = Buffer.from(name);
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt16LE(0x800, 2);
  common.writeUInt16LE(8, 4);
  common.writeUInt32LE(crc32(inflateRawSync(data)), 10);
  common.writeUInt32LE(data.length, 14);
  common.writeUInt32LE(inflateRawSync(data).length, 18);
  common.writeUInt16LE(encoded.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, encoded, data]);
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, Buffer.alloc(14), encoded]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}
