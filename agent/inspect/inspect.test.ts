import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { Failure, failure } from '../../shared/failure.ts';
import { openQcow2 } from '../qcow2/qcow2.ts';
import type { ImageSource } from '../source/source.ts';
import type { Unpacker } from '../unpack/unpacker.ts';
import { type Inspection, type InspectOptions, inspectImage } from './inspect.ts';
import { prefixWith, unpackPrefix } from './prefix.ts';
import {
  fileReader,
  memoryReader,
  missing,
  missingAny,
  noise,
  readerSource,
  temporaryDirectory,
  tool,
} from './testing.ts';
import { freebsdDisk, linuxDisk, sparseFile, windowsDisk } from './testing-layouts.ts';

const MiB = 1024 * 1024;
const needs = {
  linux: missingAny(
    ['sfdisk', 'fdisk'],
    ['mkfs.vfat', 'dosfstools'],
    ['mkfs.ext4', 'e2fsprogs'],
    ['mkfs.btrfs', 'btrfs-progs'],
  ),
  windows: missingAny(['sfdisk', 'fdisk'], ['mkfs.vfat', 'dosfstools'], ['mkfs.ntfs', 'ntfs-3g']),
  freebsd: missing('sfdisk', 'fdisk'),
};

async function inspectFile(
  context: TestContext,
  path: string,
  options?: InspectOptions,
): Promise<Inspection> {
  return await inspectImage(readerSource(await fileReader(context, path), basename(path)), options);
}

function memorySource(bytes: Uint8Array, name: string): ImageSource {
  return readerSource(memoryReader(bytes, 5000), name);
}

/** Type, file system and label of each partition, one line each. */
function lines({ partitionTable }: Inspection): string[] {
  return (partitionTable?.partitions ?? []).map(
    ({ number, typeName, name, filesystem }) =>
      `${number} ${typeName} "${name}" ${filesystem ? `${filesystem.kind} ${filesystem.label}` : '-'}`,
  );
}

const linuxLines = [
  '1 EFI System "EFI System" vfat EFI',
  '2 Linux filesystem "boot" ext4 boot',
  '3 Linux root (x86-64) "root" btrfs root',
];

test('a Linux disk is told with its partitions and file systems', { skip: needs.linux }, async (context) => {
  const path = join(await temporaryDirectory(context), 'linux.img');
  await linuxDisk(path);
  const found = await inspectFile(context, path);
  assert.equal(found.format, 'img');
  assert.equal(found.storedBytes, 160 * MiB);
  assert.equal(found.virtualBytes, 160 * MiB);
  assert.equal(found.virtualExact, true);
  assert.equal(found.mismatch, null);
  assert.equal(found.obstacle, null);
  assert.equal(found.partitionTable?.scheme, 'gpt');
  assert.deepEqual(found.partitionTable?.problems, []);
  assert.deepEqual(lines(found), linuxLines);
});

test('a Windows disk is told with its partitions and file systems', {
  skip: needs.windows,
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'windows.raw');
  await windowsDisk(path);
  const found = await inspectFile(context, path);
  assert.deepEqual(found.partitionTable?.problems, []);
  assert.deepEqual(lines(found), [
    '1 EFI System "EFI system partition" vfat SYSTEM',
    '2 Microsoft reserved "Microsoft reserved partition" -',
    '3 Microsoft basic data "Basic data partition" ntfs Windows',
  ]);
});

test('a FreeBSD disk is told with its UFS and ZFS partitions', { skip: needs.freebsd }, async (context) => {
  const path = join(await temporaryDirectory(context), 'freebsd.img');
  await freebsdDisk(path);
  const found = await inspectFile(context, path);
  assert.deepEqual(found.partitionTable?.problems, []);
  assert.deepEqual(lines(found), [
    '1 FreeBSD boot "gptboot0" -',
    '2 FreeBSD UFS "rootfs" ufs rootfs',
    '3 FreeBSD ZFS "zfs0" zfs_member zroot',
    '4 FreeBSD swap "swap0" -',
  ]);
});

test('a qcow2 image is looked into through its reader', {
  skip: needs.linux || missing('qemu-img', 'qemu-utils'),
}, async (context) => {
  const directory = await temporaryDirectory(context);
  const raw = join(directory, 'linux.img');
  const image = join(directory, 'cloud.img');
  await linuxDisk(raw);
  tool('qemu-img', ['convert', '-c', '-O', 'qcow2', raw, image]);
  const found = await inspectFile(context, image, { openQcow2 });
  assert.equal(found.format, 'qcow2');
  assert.equal(found.virtualBytes, 160 * MiB);
  assert.match(found.mismatch ?? '', /ends in \.img, but the content is qcow2/);
  assert.deepEqual(lines(found), linuxLines);
  const closed = await inspectFile(context, image);
  assert.equal(closed.partitionTable, null);
  assert.equal(closed.virtualBytes, 160 * MiB);
});

test('a qcow2 image that is not read says so as an obstacle', {
  skip: missing('qemu-img', 'qemu-utils'),
}, async (context) => {
  const directory = await temporaryDirectory(context);
  const base = join(directory, 'base.qcow2');
  const image = join(directory, 'overlay.qcow2');
  tool('qemu-img', ['create', '-q', '-f', 'qcow2', base, '8M']);
  tool('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', image]);
  const found = await inspectFile(context, image, { openQcow2 });
  assert.equal(found.obstacle?.code, 'IMAGE_UNSUPPORTED');
  assert.equal(found.virtualBytes, 8 * MiB);
});

test('packed disks are told from their first unpacked bytes', { skip: needs.freebsd }, async (context) => {
  const path = join(await temporaryDirectory(context), 'disk');
  await freebsdDisk(path);
  const disk = await readFile(path);
  const zstd = await inspectImage(memorySource(zstdCompressSync(disk), 'disk.img.zst'));
  assert.equal(zstd.format, 'img.zst');
  assert.equal(zstd.partitionTable?.partitions.length, 4);
  assert.deepEqual(zstd.partitionTable?.problems, []);
  assert.ok(zstd.notes.some((note) => /first 2097152 unpacked bytes only/.test(note)));
  const gzip = await inspectImage(memorySource(gzipSync(disk), 'disk.img.gz'));
  assert.equal(gzip.format, 'img.gz');
  assert.equal(gzip.virtualBytes, disk.length);
  assert.equal(gzip.virtualExact, false);
  assert.equal(gzip.partitionTable?.partitions[1]?.name, 'rootfs');
});

test('a packed disk that fits in the prefix is told whole', {
  skip: missing('mkfs.vfat', 'dosfstools'),
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'stick');
  await sparseFile(path, MiB);
  tool('mkfs.vfat', ['-n', 'STICK', path]);
  const disk = await readFile(path);
  const found = await inspectImage(memorySource(gzipSync(disk), 'stick.gz'));
  assert.equal(found.partitionTable?.scheme, 'none');
  assert.equal(found.partitionTable?.filesystem?.label, 'STICK');
  assert.deepEqual(found.notes, []);
});

test('the image in a zip is told by its own name', { skip: missing('zip') }, async (context) => {
  const directory = await temporaryDirectory(context);
  const disk = Buffer.alloc(3 * MiB);
  disk.writeUInt16LE(0xaa55, 510);
  await writeFile(join(directory, 'disk.img'), disk);
  await writeFile(join(directory, 'readme.txt'), 'text');
  for (const level of ['-0', '-6']) {
    const zip = join(directory, `a${level}.zip`);
    tool('zip', ['-q', '-j', level, zip, join(directory, 'disk.img'), join(directory, 'readme.txt')]);
    const found = await inspectFile(context, zip);
    assert.equal(found.format, 'img.zip');
    assert.equal(found.entry, 'disk.img');
    assert.equal(found.virtualBytes, disk.length);
    assert.equal(found.virtualExact, true);
    assert.equal(found.partitionTable?.scheme, 'mbr');
  }
});

test('qcow2 inside a packing is told with its virtual size', {
  skip: missing('qemu-img', 'qemu-utils'),
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'cloud.qcow2');
  tool('qemu-img', ['create', '-q', '-f', 'qcow2', path, '3G']);
  const found = await inspectImage(memorySource(gzipSync(await readFile(path)), 'cloud.img.gz'));
  assert.equal(found.format, 'qcow2.gz');
  assert.equal(found.virtualBytes, 3 * 1024 * MiB);
  assert.match(found.mismatch ?? '', /ends in \.img\.gz, but the content is qcow2 packed with gz/);
});

test('a tar inside a packing is refused, and an empty image is told as empty', async () => {
  const tar = Buffer.alloc(2048);
  tar.write('ustar', 257);
  await assert.rejects(inspectImage(memorySource(gzipSync(tar), 'a.img.gz')), { code: 'IMAGE_REFUSED' });
  const nothing = zstdCompressSync('');
  await assert.rejects(inspectImage(memorySource(nothing, 'a.img.zst')), { code: 'IMAGE_EMPTY' });
});

test('a packing that is not unpacked here is told by its name and trailer', {
  skip: missing('xz', 'xz-utils'),
}, async () => {
  const disk = Buffer.concat([noise(5000), Buffer.alloc(100_000)]);
  const found = await inspectImage(memorySource(tool('xz', ['-c', '-0'], disk), 'a.qcow2.xz'));
  assert.equal(found.format, 'qcow2.xz');
  assert.equal(found.virtualBytes, disk.length);
  assert.equal(found.partitionTable, null);
  assert.deepEqual(found.notes, ['What is inside was not looked at.']);
});

test('an unpacker that is given is fed until the prefix is full and then closed', async () => {
  const disk = Buffer.alloc(5 * MiB);
  disk.writeUInt16LE(0xaa55, 510);
  disk[450] = 0x83;
  disk.writeUInt32LE(1, 454);
  disk.writeUInt32LE(9, 458);
  let closed = 0;
  const makeUnpacker = (): Unpacker => ({
    push(_input, out) {
      for (let at = 0; at < disk.length; ) {
        const space = out.space();
        const count = Math.min(space.length, disk.length - at, 70_000);
        space.set(disk.subarray(at, at + count));
        out.advance(count);
        at += count;
      }
    },
    finish() {},
    close() {
      closed++;
    },
  });
  const stored = Buffer.concat([Buffer.from('BZh91AY&SY', 'latin1'), noise(300_000)]);
  const options = { unpackPrefix: prefixWith(makeUnpacker) };
  const found = await inspectImage(memorySource(stored, 'a.img.bz2'), options);
  assert.equal(closed, 1);
  assert.equal(found.partitionTable?.partitions[0]?.typeName, 'Linux');
  assert.equal(found.virtualBytes, null);
});

test('damage is told as an obstacle beside what could be learned', { skip: missing('zstd') }, async () => {
  const disk = Buffer.concat([Buffer.alloc(510), Buffer.from('55aa', 'hex'), noise(600_000)]);
  const stored = tool('zstd', ['-c', '--stream-size', String(disk.length)], disk);
  const found = await inspectImage(memorySource(stored.subarray(0, stored.length - 5000), 'a.img.zst'));
  assert.equal(found.obstacle?.code, 'IMAGE_TRUNCATED');
  assert.equal(found.partitionTable?.scheme, 'mbr');
  const broken = Buffer.from(gzipSync(disk)).fill(0xff, 10, 40);
  const damaged = await inspectImage(memorySource(broken, 'a.img.gz'));
  assert.equal(damaged.obstacle?.code, 'IMAGE_CORRUPT');
  assert.equal(damaged.format, 'img.gz');
});

test('a fixed VHD is refused by its trailer', async () => {
  const disk = Buffer.alloc(4096);
  disk.writeUInt16LE(0xaa55, 510);
  disk.write('conectix\0\0\0\x02', 4096 - 512);
  await assert.rejects(inspectImage(memorySource(disk, 'a.img')), /VHD/);
});

test('a stream without random access is told from its head', async () => {
  const disk = Buffer.alloc(100_000);
  disk.writeUInt16LE(0xaa55, 510);
  const stream = (stored: Uint8Array, name: string): ImageSource => ({
    ...memorySource(stored, name),
    kind: 'stdin',
    size: null,
    random: null,
    reopenable: false,
    open: () => assert.fail('it would be consumed'),
  });
  const raw = await inspectImage(stream(disk, '-'));
  assert.equal(raw.virtualBytes, null);
  assert.equal(raw.partitionTable?.scheme, 'mbr');
  assert.deepEqual(raw.partitionTable?.problems, []);
  const packed = await inspectImage(stream(gzipSync(disk), '-'));
  assert.equal(packed.format, 'img.gz');
  assert.equal(packed.virtualBytes, null);
  assert.equal(packed.partitionTable?.scheme, 'mbr');
});

test('a failure of the source and the end of the signal are told as they are', async () => {
  const stored = gzipSync(noise(300_000));
  const source = memorySource(stored, 'a.img.gz');
  const failing: ImageSource = {
    ...source,
    random: {
      size: stored.length,
      read: async () => {
        throw failure('SOURCE_READ_FAILED', { image: 'a', offset: 0, problem: 'EIO' });
      },
    },
  };
  await assert.rejects(inspectImage(failing), { code: 'SOURCE_READ_FAILED' });
  const reason = new Error('enough of this');
  await assert.rejects(inspectImage(source, { signal: AbortSignal.abort(reason) }), reason);
  const controller = new AbortController();
  const request = { source, packing: 'gz', entry: null, bytes: MiB, signal: controller.signal } as const;
  const pending = unpackPrefix(request);
  controller.abort(reason);
  await assert.rejects(pending, reason);
});

test('a bomb gives its prefix without being unpacked', async () => {
  const zeros = Buffer.alloc(64 * MiB);
  for (const [name, stored] of [
    ['a.img.gz', gzipSync(zeros)],
    ['a.img.zst', zstdCompressSync(zeros)],
  ] as const) {
    const start = process.memoryUsage().arrayBuffers;
    const found = await inspectImage(memorySource(stored, name));
    assert.ok(process.memoryUsage().arrayBuffers - start < 48 * MiB, name);
    assert.equal(found.partitionTable?.scheme, 'none');
  }
});

test('random and mutated images are told or refused, never anything else', async () => {
  const disk = Buffer.alloc(20_000);
  disk.writeUInt16LE(0xaa55, 510);
  disk.write('EFI PART', 512);
  const bases = [disk, gzipSync(disk), zstdCompressSync(disk), deflateRawSync(disk)];
  const names = ['a.img', 'a.img.gz', 'a.img.zst', 'a.zip', 'a'];
  const changes = fc.array(fc.tuple(fc.nat(20_000), fc.nat(255)), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...bases),
      changes,
      fc.constantFrom(...names),
      async (base, list, name) => {
        const stored = Buffer.from(base);
        for (const [at, value] of list) stored[at % stored.length] = value;
        try {
          await inspectImage(memorySource(stored, name));
        } catch (error) {
          assert.ok(error instanceof Failure && /^IMAGE_|^FORMAT_/.test(error.code), String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});
