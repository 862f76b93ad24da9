import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { type PartitionTable, readPartitionTable } from './partitions.ts';
import { guidTypeName, mbrTypeName, namedGuids } from './parttypes.ts';
import { memoryReader, missing, temporaryDirectory, tool } from './testing.ts';
import { sparseFile } from './testing-layouts.ts';

const MiB = 1024 * 1024;
const noSfdisk = missing('sfdisk', 'fdisk');

async function read(bytes: Uint8Array, diskBytes?: number | null): Promise<PartitionTable> {
  return await readPartitionTable(memoryReader(bytes), diskBytes === undefined ? {} : { diskBytes });
}

/** A disk of 8 MiB that sfdisk partitioned, as bytes. */
async function scripted(context: TestContext, ...script: readonly string[]): Promise<Buffer> {
  const path = join(await temporaryDirectory(context), 'disk');
  await sparseFile(path, 8 * MiB);
  tool('sfdisk', ['-q', path], script.join('\n'));
  return await readFile(path);
}

const twoParts = [
  'label: gpt',
  'start=2048, size=2048, type=uefi, name=EFI',
  'start=4096, name="rööt", attrs=LegacyBIOSBootable',
];

test('a GPT is listed with names, types, positions and the bootable flag', {
  skip: noSfdisk,
}, async (context) => {
  const disk = await scripted(context, ...twoParts);
  const table = await read(disk);
  assert.equal(table.scheme, 'gpt');
  assert.equal(table.sectorSize, 512);
  assert.deepEqual(table.problems, []);
  assert.equal(table.complete, true);
  assert.equal(table.hybrid, false);
  const [first, second] = table.partitions;
  assert.deepEqual(
    { ...first, uuid: null },
    {
      number: 1,
      start: MiB,
      size: MiB,
      type: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
      typeName: 'EFI System',
      name: 'EFI',
      uuid: null,
      bootable: false,
      filesystem: null,
    },
  );
  assert.equal(second?.name, 'rööt');
  assert.equal(second?.bootable, true);
  assert.equal(second?.typeName, 'Linux filesystem');
  assert.equal(second?.start, 2 * MiB);
  assert.equal(second?.size, 5 * MiB);
});

test('a GPT of 4096-byte sectors is recognised as such', { skip: missing('fdisk') }, async (context) => {
  const path = join(await temporaryDirectory(context), 'disk');
  await sparseFile(path, 16 * MiB);
  tool('fdisk', ['-b', '4096', '-w', 'always', path], 'g\nn\n1\n256\n511\nn\n2\n512\n\nw\n');
  const table = await read(await readFile(path));
  assert.equal(table.scheme, 'gpt');
  assert.equal(table.sectorSize, 4096);
  assert.deepEqual(table.problems, []);
  assert.deepEqual(
    table.partitions.map(({ start, size }) => [start, size]),
    [
      [MiB, MiB],
      [2 * MiB, 13 * MiB],
    ],
  );
});

test('a damaged primary GPT is told and the backup is read', { skip: noSfdisk }, async (context) => {
  const disk = await scripted(context, ...twoParts);
  const damages: Readonly<Record<string, (copy: Buffer) => unknown>> = {
    'checksum of the header': (copy) => copy.writeUInt8(0x55, 512 + 60),
    'a header that is gone': (copy) => copy.fill(0, 512, 1024),
    'first sectors that are gone': (copy) => copy.fill(0, 0, MiB),
    'checksum of the entries': (copy) => copy.writeUInt8(0x55, 1024 + 3),
  };
  for (const [name, damage] of Object.entries(damages)) {
    const copy = Buffer.from(disk);
    damage(copy);
    const table = await read(copy);
    assert.equal(table.scheme, 'gpt', name);
    assert.equal(table.partitions.length, 2, name);
    assert.equal(table.problems.length, 1, name);
    assert.match(table.problems[0] ?? '', /primary GPT .*the backup/, name);
  }
});

test('a missing, damaged or differing backup GPT is told', { skip: noSfdisk }, async (context) => {
  const disk = await scripted(context, ...twoParts);
  const cases: ReadonlyArray<readonly [RegExp, (copy: Buffer) => Buffer]> = [
    [/backup GPT is missing/, (copy) => copy.fill(0, copy.length - 512)],
    [/backup GPT is damaged \(checksum\)/, (copy) => copy.fill(1, copy.length - 440, copy.length - 430)],
    [/not at the end of the image/, (copy) => Buffer.concat([copy, Buffer.alloc(MiB)])],
    [/describes a disk of 8388608 bytes, and the image has 7340032/, (copy) => copy.subarray(0, 7 * MiB)],
  ];
  for (const [expected, damage] of cases) {
    const table = await read(damage(Buffer.from(disk)));
    assert.equal(table.partitions.length, 2);
    assert.match(table.problems[0] ?? '', expected);
  }
  const other = await scripted(context, 'label: gpt', 'start=2048, size=2048');
  const mixed = Buffer.from(disk);
  other.copy(mixed, mixed.length - 33 * 512, other.length - 33 * 512);
  assert.match((await read(mixed)).problems.join(), /list different partitions/);
});

test('a GPT that is damaged at both ends is told to be so', { skip: noSfdisk }, async (context) => {
  const disk = await scripted(context, ...twoParts);
  disk.fill(7, 512 + 8, 1024).fill(0, disk.length - 512);
  const table = await read(disk);
  assert.equal(table.scheme, 'gpt');
  assert.deepEqual(table.partitions, []);
  assert.match(table.problems.join(), /damaged \(header size\), and there is no sound backup/);
});

test('the first bytes of a disk are enough for its GPT, and nothing is said of its end', {
  skip: noSfdisk,
}, async (context) => {
  const disk = await scripted(context, ...twoParts);
  for (const diskBytes of [null, disk.length]) {
    const table = await read(disk.subarray(0, 64 * 1024), diskBytes);
    assert.equal(table.partitions.length, 2);
    assert.deepEqual(table.problems, []);
  }
  const short = await read(disk.subarray(0, 2048), null);
  assert.equal(short.scheme, 'gpt');
  assert.equal(short.complete, false);
  assert.deepEqual(short.partitions, []);
});

test('an MBR is listed with its logical partitions', { skip: noSfdisk }, async (context) => {
  const disk = await scripted(
    context,
    'label: dos',
    'label-id: 0xcafe0123',
    'start=2048, size=2048, type=c, bootable',
    'start=4096, size=10240, type=f',
    'start=6144, size=1024, type=83',
    'start=9216, size=1024, type=82',
    'start=12288, size=2048, type=8e',
  );
  const table = await read(disk);
  assert.equal(table.scheme, 'mbr');
  assert.equal(table.id, '0xcafe0123');
  assert.deepEqual(table.problems, []);
  assert.deepEqual(
    table.partitions.map(({ number, start, size, type, bootable }) => [
      number,
      start / 512,
      size / 512,
      type,
      bootable,
    ]),
    [
      [1, 2048, 2048, '0x0c', true],
      [2, 4096, 10240, '0x0f', false],
      [5, 6144, 1024, '0x83', false],
      [6, 9216, 1024, '0x82', false],
      [7, 12288, 2048, '0x8e', false],
    ],
  );
  const cut = await read(disk.subarray(0, 3 * MiB), disk.length);
  assert.equal(cut.complete, false);
  assert.deepEqual(
    cut.partitions.map(({ number }) => number),
    [1, 2, 5],
  );
});

test('a hybrid MBR beside a GPT that sgdisk made is told', {
  skip: missing('sgdisk', 'gdisk'),
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'disk');
  await sparseFile(path, 8 * MiB);
  tool('sgdisk', ['-o', '-n', '1:2048:4095', '-c', '1:ESP 🚀', '-t', '1:ef00', '-h', '1', path]);
  const table = await read(await readFile(path));
  assert.equal(table.scheme, 'gpt');
  assert.equal(table.hybrid, true);
  assert.deepEqual(
    table.partitions.map(({ name }) => name),
    ['ESP 🚀'],
  );
});

/** An MBR with the given entries: type, start and count in sectors. */
function mbrSector(...entries: readonly (readonly [number, number, number])[]): Buffer {
  const sector = Buffer.alloc(512);
  for (const [index, [type, start, count]] of entries.entries()) {
    const at = 446 + index * 16;
    sector[at + 4] = type;
    sector.writeUInt32LE(start, at + 8);
    sector.writeUInt32LE(count, at + 12);
  }
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

test('an MBR that announces a GPT where there is none is told', async () => {
  const disk = Buffer.concat([mbrSector([0xee, 1, 2047]), Buffer.alloc(MiB - 512)]);
  const table = await read(disk);
  assert.equal(table.scheme, 'mbr');
  assert.match(table.problems.join(), /announces a GPT, but there is none/);
});

test('logical partitions that loop, leave or break their chain end with a sentence', async () => {
  const disk = (record: Buffer) => {
    const bytes = Buffer.alloc(MiB);
    mbrSector([5, 64, 1024]).copy(bytes);
    record.copy(bytes, 64 * 512);
    return bytes;
  };
  const cases: ReadonlyArray<readonly [RegExp, Buffer]> = [
    [/leads back to itself/, mbrSector([0x83, 1, 8], [5, 0, 1024])],
    [/leads out of the extended/, mbrSector([0x83, 1, 8], [5, 5000, 1024])],
    [/no boot record/, mbrSector([0x83, 1, 8], [5, 100, 10])],
    [/no boot record/, Buffer.alloc(512)],
  ];
  for (const [expected, record] of cases) {
    const table = await read(disk(record));
    assert.match(table.problems.join(), expected);
  }
  const outside = Buffer.concat([mbrSector([5, 5000, 4000]), Buffer.alloc(MiB)]);
  assert.match((await read(outside)).problems.join(), /beyond the end of the image/);
  const endless = Buffer.alloc(MiB);
  mbrSector([5, 1, 2000]).copy(endless);
  for (let link = 0; link < 1900; link++) {
    mbrSector([0x83, 1, 1], [5, link + 1, 1]).copy(endless, (1 + link) * 512);
  }
  const long = await read(endless);
  assert.equal(long.partitions.length, 1 + 128);
  assert.match(long.problems.join(), /more than 128 links/);
});

test('partitions that overlap or pass the end of the image are told', async () => {
  const disk = Buffer.concat([
    mbrSector([0x83, 10, 100], [0x83, 50, 100], [0x83, 3000, 10]),
    Buffer.alloc(MiB - 512),
  ]);
  const { problems } = await read(disk);
  assert.deepEqual(problems, [
    'Partition 3 ends at byte 1541120, beyond the end of the image at byte 1048576.',
    'Partitions 1 and 2 overlap.',
  ]);
});

test('a boot sector of a file system, code and text are no partition table', async () => {
  const text = Buffer.alloc(MiB, 'text ');
  text.writeUInt16LE(0xaa55, 510);
  assert.equal((await read(text)).scheme, 'none');
  assert.equal((await read(Buffer.alloc(MiB))).scheme, 'none');
  assert.equal((await read(Buffer.alloc(3))).scheme, 'none');
  assert.equal((await read(new Uint8Array(0))).scheme, 'none');
});

test('a file system without a partition table is told as that of the whole image', {
  skip: missing('mkfs.vfat', 'dosfstools'),
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'disk');
  await sparseFile(path, 4 * MiB);
  tool('mkfs.vfat', ['-n', 'STICK', path]);
  const table = await read(await readFile(path));
  assert.equal(table.scheme, 'none');
  assert.equal(table.filesystem?.kind, 'vfat');
  assert.equal(table.filesystem?.label, 'STICK');
});

test('an isohybrid is told as an ISO and as a disk', { skip: missing('xorriso') }, async (context) => {
  const directory = await temporaryDirectory(context);
  const tree = join(directory, 'tree');
  await mkdir(tree);
  await writeFile(join(tree, 'efi.img'), Buffer.alloc(64 * 1024, 1));
  const iso = join(directory, 'a.iso');
  const appended = ['-append_partition', '2', '0xef', join(tree, 'efi.img')];
  tool('xorriso', [
    '-as',
    'mkisofs',
    '-quiet',
    '-V',
    'LIVE',
    '-o',
    iso,
    '--protective-msdos-label',
    ...appended,
    tree,
  ]);
  const table = await read(await readFile(iso));
  assert.equal(table.scheme, 'mbr');
  assert.equal(table.isohybrid, true);
  assert.equal(table.filesystem?.label, 'LIVE');
  assert.ok(table.partitions.some(({ type }) => type === '0xef'));
});

test('the names of GPT types agree with those of sfdisk where it knows them', { skip: noSfdisk }, () => {
  const listed = tool('sfdisk', ['--label', 'gpt', '-T']).toString().split('\n');
  // Said better here: one GUID serves two systems, and sfdisk's names are short.
  const own = ['Solaris /usr or Apple ZFS', 'Solaris reserved', 'ChromeOS root'];
  for (const guid of namedGuids) {
    const line = listed.find((each) => each.startsWith(guid));
    const name = guidTypeName(guid);
    if (line !== undefined && !own.includes(name)) assert.equal(name, line.slice(36).trim());
  }
  assert.equal(guidTypeName('00000000-1111-2222-3333-444444444444'), 'Unknown');
  assert.equal(mbrTypeName(0x83), 'Linux');
  assert.equal(mbrTypeName(0x5a), 'Unknown');
});

/** A GPT of hostile numbers whose checksums are right. */
function forgedGpt(fields: ReadonlyArray<readonly [number, number | bigint]>, entry: Uint8Array): Buffer {
  const disk = Buffer.alloc(64 * 1024);
  mbrSector([0xee, 1, 127]).copy(disk);
  disk.set(entry, 1024);
  const header = disk.subarray(512, 1024);
  header.write('EFI PART');
  header.writeUInt32LE(0x10000, 8);
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(127n, 32);
  header.writeBigUInt64LE(2n, 72);
  header.writeUInt32LE(4, 80);
  header.writeUInt32LE(128, 84);
  for (const [at, value] of fields) {
    if (typeof value === 'bigint') header.writeBigUInt64LE(value, at);
    else header.writeUInt32LE(value, at);
  }
  const count = Math.min(header.readUInt32LE(80) * header.readUInt32LE(84), 32 * 1024);
  header.writeUInt32LE(crc32(disk.subarray(1024, 1024 + count)), 88);
  header.writeUInt32LE(0, 16);
  header.writeUInt32LE(crc32(header.subarray(0, Math.min(header.readUInt32LE(12), 512))), 16);
  return disk;
}

test('a GPT with right checksums and hostile numbers stays bounded', async () => {
  const fields = fc.array(
    fc.oneof(
      fc.tuple(fc.constantFrom(12, 80, 84), fc.nat(0xffffffff)),
      fc.tuple(fc.constantFrom(24, 32, 40, 48, 72), fc.bigInt({ min: 0n, max: 0xffffffffffffffffn })),
    ),
    { maxLength: 3 },
  );
  await fc.assert(
    fc.asyncProperty(fields, fc.uint8Array({ minLength: 512, maxLength: 512 }), async (changes, entry) => {
      const table = await read(forgedGpt(changes, entry));
      assert.ok(table.partitions.length <= 256);
      for (const { start, size } of table.partitions)
        assert.ok(Number.isSafeInteger(start + size) && size > 0);
    }),
    { numRuns: 300 },
  );
});

test('random and mutated tables never crash, hang or list without bound', async () => {
  const base = forgedGpt([], Buffer.alloc(512, 0x11));
  const changes = fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { maxLength: 8 });
  const disks = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    changes.map((list) => {
      const copy = Buffer.from(base);
      for (const [at, value] of list) copy[at] = value;
      return copy;
    }),
    fc
      .tuple(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.uint8Array({ minLength: 64, maxLength: 64 }))
      .map(([first, second]) => {
        const disk = Buffer.alloc(32 * 1024);
        for (const [at, entries] of [
          [0, first],
          [512, second],
        ] as const) {
          disk.set(entries, at + 446);
          for (let status = 446; status < 510; status += 16) disk[at + status] = 0;
          disk.writeUInt16LE(0xaa55, at + 510);
        }
        disk[450] = 5;
        disk.writeUInt32LE(1, 454);
        return disk;
      }),
  );
  await fc.assert(
    fc.asyncProperty(disks, fc.constantFrom(undefined, null, 10 * MiB), async (disk, diskBytes) => {
      const table = await read(disk, diskBytes);
      assert.ok(table.partitions.length <= 260);
    }),
    { numRuns: 400 },
  );
});
