import assert from 'node:assert/strict';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Filesystem, identifyFilesystem } from './filesystems.ts';
import { SUPERBLOCK_WINDOW } from './superblocks.ts';
import { fileReader, memoryReader, missing, missingAny, noise, temporaryDirectory, tool } from './testing.ts';
import { ufs2Superblock, zfsLabel } from './testing-layouts.ts';

async function look(bytes: Uint8Array): Promise<Filesystem | null> {
  return await identifyFilesystem(memoryReader(bytes), 0, bytes.length);
}

/** What blkid(8) says of the file at `path`. */
function reference(path: string): Filesystem {
  const value = (tag: string): string | null => {
    try {
      return (
        tool('blkid', ['-p', '-o', 'value', '-s', tag, path]).toString().replace(/\n$/, '').trim() || null
      );
    } catch {
      return null;
    }
  };
  return { kind: value('TYPE') ?? '', label: value('LABEL'), uuid: value('UUID') };
}

const MiB = 1024 * 1024;
const made: ReadonlyArray<{
  readonly name: string;
  readonly tool: string;
  readonly apt: string;
  readonly size: number;
  readonly args: readonly string[];
  readonly expect: { readonly kind: string; readonly label: string | null };
}> = [
  ['ext2', 'mkfs.ext2', 'e2fsprogs', 4, ['-q', '-F', '-L', 'two']],
  ['ext3', 'mkfs.ext3', 'e2fsprogs', 8, ['-q', '-F', '-L', 'three']],
  ['ext4', 'mkfs.ext4', 'e2fsprogs', 16, ['-q', '-F', '-L', 'rootfs']],
  ['btrfs', 'mkfs.btrfs', 'btrfs-progs', 120, ['-q', '-f', '-L', 'pool']],
  ['xfs', 'mkfs.xfs', 'xfsprogs', 300, ['-q', '-L', 'data']],
  ['f2fs', 'mkfs.f2fs', 'f2fs-tools', 64, ['-q', '-l', 'flash']],
  ['ntfs', 'mkfs.ntfs', 'ntfs-3g', 8, ['-q', '-F', '-Q', '-L', 'Windows']],
  ['exfat', 'mkfs.exfat', 'exfatprogs', 8, ['-L', 'Größe']],
  ['vfat', 'mkfs.vfat', 'dosfstools', 2, ['-F', '12', '-n', 'TWELVE']],
  ['vfat', 'mkfs.vfat', 'dosfstools', 20, ['-F', '16', '-n', 'SIXTEEN']],
  ['vfat', 'mkfs.vfat', 'dosfstools', 64, ['-F', '32', '-n', 'ESP']],
  ['vfat', 'mkfs.vfat', 'dosfstools', 64, ['-F', '32']],
  ['swap', 'mkswap', 'util-linux', 1, ['-q', '-L', 'swapper']],
  ['jfs', 'mkfs.jfs', 'jfsutils', 16, ['-q', '-L', 'journal']],
  ['udf', 'mkudffs', 'udftools', 8, []],
].map(([kind, name, apt, size, args]) => {
  const list = args as string[];
  const flag = list.findIndex((arg) => ['-L', '-n', '-l'].includes(arg));
  const label = flag < 0 ? null : (list[flag + 1] ?? null);
  return {
    name: `${kind}${kind === 'vfat' ? ` ${list[1]}${label === null ? ' without label' : ''}` : ''}`,
    tool: name as string,
    apt: apt as string,
    size: (size as number) * MiB,
    args: list,
    expect: { kind: kind as string, label },
  };
});

for (const { name, tool: maker, apt, size, args, expect } of made) {
  const skip = missingAny([maker, apt], ['blkid', 'util-linux']);
  test(`${name} made by ${maker} is named as blkid names it`, { skip }, async (context) => {
    const path = join(await temporaryDirectory(context), 'volume');
    await writeFile(path, '');
    await truncate(path, size);
    tool(maker, [...args, path]);
    const found = await identifyFilesystem(await fileReader(context, path), 0, size);
    assert.equal(found?.kind, expect.kind);
    if (expect.kind === 'udf') return;
    assert.deepEqual(found, reference(path));
    assert.equal(found.label, expect.label);
  });
}

test('squashfs, erofs and ISO 9660 trees are named as blkid names them', {
  skip: missingAny(['mksquashfs', 'squashfs-tools'], ['mkfs.erofs', 'erofs-utils'], ['xorriso', 'xorriso']),
}, async (context) => {
  const directory = await temporaryDirectory(context);
  const tree = join(directory, 'tree');
  await mkdir(tree);
  await writeFile(join(tree, 'file'), noise(5000));
  const [squash, ero, iso] = ['squash', 'ero', 'iso'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  tool('mksquashfs', [tree, squash, '-quiet', '-no-progress']);
  tool('mkfs.erofs', ['--quiet', ero, tree]);
  tool('xorriso', ['-as', 'mkisofs', '-quiet', '-V', 'INSTALL_MEDIA', '-o', iso, tree]);
  for (const path of [squash, ero, iso]) {
    const reader = await fileReader(context, path);
    assert.deepEqual(await identifyFilesystem(reader, 0, reader.size), reference(path));
  }
});

test('LUKS 1 and 2 are named as blkid names them', {
  skip: missing('cryptsetup', 'cryptsetup-bin'),
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'volume');
  for (const [type, label] of [
    ['luks1', null],
    ['luks2', 'vault'],
  ] as const) {
    await writeFile(path, '');
    await truncate(path, 32 * MiB);
    const quick = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000', '--key-file', '-'];
    const labelled = label === null ? [] : ['--label', label];
    tool('cryptsetup', ['luksFormat', '-q', '--type', type, ...quick, ...labelled, path], 'secret');
    const reader = await fileReader(context, path);
    const found = await identifyFilesystem(reader, 0, reader.size);
    assert.deepEqual(found, reference(path));
    assert.equal(found?.label, label);
  }
});

test('a UFS2 superblock is named as blkid names it', {
  skip: missing('blkid', 'util-linux'),
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'volume');
  const volume = Buffer.alloc(MiB);
  ufs2Superblock('rootfs').copy(volume, 65536);
  await writeFile(path, volume);
  const found = await look(volume);
  assert.deepEqual(found, reference(path));
  assert.deepEqual(found, { kind: 'ufs', label: 'rootfs', uuid: '65c0ffee00c0ffee' });
});

test('a ZFS label gives the name and the GUID of its pool', async () => {
  const volume = Buffer.alloc(512 * 1024);
  zfsLabel('zroot', 0xfedcba9876543210n).copy(volume, 16384);
  assert.deepEqual(await look(volume), { kind: 'zfs_member', label: 'zroot', uuid: '18364758544493064720' });
});

function written(size: number, ...parts: readonly (readonly [number, string | Uint8Array])[]): Buffer {
  const volume = Buffer.alloc(size);
  for (const [at, part] of parts)
    volume.set(typeof part === 'string' ? Buffer.from(part, 'latin1') : part, at);
  return volume;
}

const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const dashed = '00112233-4455-6677-8899-aabbccddeeff';

test('RAID members are found at each place that md keeps its superblock', async () => {
  const size = 4 * MiB;
  const modern = Buffer.concat([
    Buffer.from('fc4e2ba90100000000000000' + '00000000', 'hex'),
    uuid,
    Buffer.from('host:0'),
  ]);
  for (const at of [0, 4096, size - 8192]) {
    assert.deepEqual(await look(written(size, [at, modern])), {
      kind: 'linux_raid_member',
      label: 'host:0',
      uuid: dashed,
    });
  }
  const old = written(size, [size - 65536, Buffer.from('fc4e2ba900000000', 'hex')]);
  assert.equal((await look(old))?.kind, 'linux_raid_member');
});

test('a RAID member with its superblock at the end is not mistaken for the file system it mirrors', async () => {
  const member = written(MiB, [1080, '\x53\xef'], [MiB - 8192, Buffer.from('fc4e2ba901000000', 'hex')]);
  assert.equal((await look(member))?.kind, 'linux_raid_member');
});

test('volumes without a tool here are known by their superblocks', async () => {
  const lvm = written(
    MiB,
    [512, 'LABELONE'],
    [532, '\x20'],
    [536, 'LVM2 001'],
    [544, 'KpXeUAM3do108CGuXEO0HYeSfKEnPHKQ'],
  );
  const cases: ReadonlyArray<readonly [Buffer, Filesystem]> = [
    [lvm, { kind: 'LVM2_member', label: null, uuid: 'KpXeUA-M3do-108C-GuXE-O0HY-eSfK-EnPHKQ' }],
    [written(MiB, [32, 'NXSB'], [72, uuid]), { kind: 'apfs', label: null, uuid: dashed }],
    [written(MiB, [1024, 'H+\0\x04']), { kind: 'hfsplus', label: null, uuid: null }],
    [written(MiB, [3, '-FVE-FS-']), { kind: 'BitLocker', label: null, uuid: null }],
    [written(MiB, [3, 'ReFS\0\0\0\0']), { kind: 'ReFS', label: null, uuid: null }],
    [written(MiB, [512, 'WEV\x82'], [644, 'WEV\x82']), { kind: 'bsd-disklabel', label: null, uuid: null }],
  ];
  for (const [volume, expected] of cases) assert.deepEqual(await look(volume), expected);
});

test('labels reach the terminal without control characters', async () => {
  const volume = written(MiB, [1080, '\x53\xef'], [1144, '\x1b[31mred\x07\u202e']);
  assert.equal((await look(volume))?.label, '[31mred.');
});

test('emptiness, shortness and noise hold no file system', async () => {
  assert.equal(await look(new Uint8Array(0)), null);
  assert.equal(await look(Buffer.alloc(100)), null);
  assert.equal(await look(Buffer.alloc(MiB)), null);
  assert.equal(await look(noise(MiB)), null);
  assert.equal(await identifyFilesystem(memoryReader(Buffer.alloc(10)), 50, 100), null);
});

test('mutated superblocks never crash, hang or read much', async () => {
  const magics: readonly (readonly [number, string])[] = [
    [1080, '\x53\xef'],
    [0, 'XFSB'],
    [3, 'NTFS    '],
    [3, 'EXFAT   '],
    [0, '\xeb\x3c\x90MSDOS5.0\0\x02\x01\x01\0\x02\xe0\0\x40\x0b\xf0\x09\0'],
    [510, '\x55\xaa'],
    [65600, '_BHRfS_M'],
    [512, 'LABELONE'],
    [536, 'LVM2 001'],
    [0, 'LUKS\xba\xbe\0\x02'],
    [4086, 'SWAPSPACE2'],
    [16384, '\x01\x01\0\0\0\0\0\0'],
    [16396, '\0\0\0\x20\0\0\0\x20\0\0\0\x04name\0\0\0\x09\0\0\0\x01'],
    [65536 + 1372, '\x19\x01\x54\x19'],
    [32768, '\x01CD001\x01'],
    [1024, '\x10\x20\xf5\xf2'],
  ];
  const scribbles = fc.array(fc.tuple(fc.nat(70_000), fc.uint8Array({ maxLength: 64 })), { maxLength: 6 });
  const base = noise(SUPERBLOCK_WINDOW, 7);
  await fc.assert(
    fc.asyncProperty(
      fc.subarray([...magics], { minLength: 1 }),
      scribbles,
      fc.boolean(),
      async (chosen, changes, zero) => {
        const volume = zero ? Buffer.alloc(SUPERBLOCK_WINDOW) : Buffer.from(base);
        for (const [at, magic] of chosen) volume.write(magic, at, 'latin1');
        for (const [at, bytes] of changes) volume.set(bytes, at);
        let asked = 0;
        const reader = memoryReader(volume);
        await identifyFilesystem(
          {
            size: volume.length,
            read: (into, position) => {
              asked += into.length;
              return reader.read(into, position);
            },
          },
          0,
          volume.length,
        );
        assert.ok(asked < 512 * 1024, String(asked));
      },
    ),
    { numRuns: 300 },
  );
});
