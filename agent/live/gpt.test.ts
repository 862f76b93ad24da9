import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { inFolder, noLoops } from '../disk/testing.ts';
import { lacks } from '../tests/look.ts';
import { fitTable, type Write } from './gpt.ts';

const skip = lacks('sgdisk', 'gdisk') || lacks('sfdisk', 'fdisk');
const MiB = 1 << 20;

const sgdisk = (...args: readonly string[]): string => execFileSync('sgdisk', args, { encoding: 'utf8' });

/** A table for `small` bytes on a disk of `large` bytes. */
async function onLarger(
  small: number,
  large: number,
  layout: string,
  use: (path: string) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const path = join(folder, 'disk');
    await writeFile(path, '');
    await truncate(path, small);
    execFileSync('sfdisk', ['--quiet', '--wipe', 'never', path], { input: layout });
    await truncate(path, large);
    await use(path);
  });
}

async function fit(
  path: string,
  grow: boolean,
  most = Number.POSITIVE_INFINITY,
  sectorSize = 512,
): Promise<readonly string[]> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const read = async (at: number, length: number) => {
      const bytes = new Uint8Array(length);
      await file.read(bytes, 0, length, at);
      return bytes;
    };
    const { writes, notes } = await fitTable({ sectorSize, diskBytes: size, grow, read });
    const done: readonly Write[] = writes.slice(0, most);
    for (const { at, bytes } of done) await file.write(bytes, 0, bytes.length, at);
    return notes;
  } finally {
    await file.close();
  }
}

const gpt = ['label: gpt', 'start=1MiB, size=4MiB, name=boot', 'start=5MiB, size=8MiB, name=root'].join('\n');

test('the backup of a GPT moves to the end of a larger disk', { skip }, () =>
  onLarger(16 * MiB, 48 * MiB, gpt, async (path) => {
    assert.doesNotMatch(sgdisk('--verify', path), /No problems found/);
    assert.match((await fit(path, false)).join(), /moved to the end/);
    assert.match(sgdisk('--verify', path), /No problems found/);
    assert.match(sgdisk('--info=2', path), /Last sector: 26623 /);
    assert.deepEqual(await fit(path, false), [], 'the second time there is nothing to do');
  }),
);

test('the last partition grows to the last whole MiB, the others stay', { skip }, () =>
  onLarger(16 * MiB, 48 * MiB + 512 * 7, gpt, async (path) => {
    assert.match((await fit(path, true)).join(' '), /Partition 2 was enlarged by 35\.7 MB/);
    assert.match(sgdisk('--verify', path), /No problems found/);
    assert.match(sgdisk('--info=1', path), /Last sector: 10239 /);
    assert.match(sgdisk('--info=2', path), new RegExp(`Last sector: ${47 * 2048 - 1} `));
    assert.deepEqual(await fit(path, true), []);
  }),
);

test('power that fails between any two writes leaves one whole table', { skip }, async () => {
  for (let most = 0; most <= 5; most++) {
    await onLarger(16 * MiB, 48 * MiB, gpt, async (path) => {
      await fit(path, true, most);
      const told = execFileSync('sfdisk', ['--dump', path], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      assert.match(told, /name="boot"/, `after ${most} writes`);
      assert.match(told, /name="root"/, `after ${most} writes`);
    });
  }
});

test('the last primary partition of a master boot record grows, an extended one does not', {
  skip,
}, async () => {
  const primary = 'label: dos\nstart=1MiB, size=4MiB, type=83\nstart=5MiB, size=8MiB, type=83';
  await onLarger(16 * MiB, 48 * MiB, primary, async (path) => {
    assert.match((await fit(path, true)).join(), /Partition 2 was enlarged/);
    const told = execFileSync('sfdisk', ['--dump', path], { encoding: 'utf8' });
    assert.match(told, /start= +10240, size= +88064/);
    assert.deepEqual(await fit(path, true), []);
  });
  const extended = 'label: dos\nstart=1MiB, size=4MiB, type=83\nstart=5MiB, size=8MiB, type=5';
  await onLarger(16 * MiB, 48 * MiB, extended, async (path) => {
    const before = await readFile(path);
    assert.match((await fit(path, true)).join(), /extended/);
    assert.equal(Buffer.compare(await readFile(path), before), 0);
  });
});

test('a damaged table and a disk without one are left as they are', { skip }, () =>
  onLarger(16 * MiB, 48 * MiB, gpt, async (path) => {
    const file = await open(path, 'r+');
    await file.write(Buffer.from([0xff]), 0, 1, 512 + 60);
    await file.close();
    const before = await readFile(path);
    assert.match((await fit(path, true)).join(), /damaged/);
    assert.equal(Buffer.compare(await readFile(path), before), 0);
    await writeFile(path, Buffer.alloc(MiB));
    assert.deepEqual(await fit(path, false), []);
  }),
);

test(
  'a disk with sectors of 4096 bytes gets its backup where its own last sector is',
  {
    skip: skip || noLoops,
  },
  () =>
    inFolder(async (folder) => {
      const path = join(folder, 'disk');
      await writeFile(path, '');
      await truncate(path, 16 * MiB);
      const onLoop = (use: (disk: string) => string): string => {
        const args = ['--show', '-f', '-b', '4096', path];
        const disk = execFileSync('losetup', args, { encoding: 'utf8' }).trim();
        try {
          return use(disk);
        } finally {
          execFileSync('losetup', ['--detach', disk]);
        }
      };
      onLoop((disk) => sgdisk('--new=1:256:+4M', '--new=2:0:+4M', disk));
      await truncate(path, 48 * MiB);
      assert.match((await fit(path, true, 9, 4096)).join(' '), /moved to the end.*Partition 2 was enlarged/);
      assert.match(
        onLoop((disk) => sgdisk('--verify', disk)),
        /No problems found/,
      );
      assert.match(
        onLoop((disk) => sgdisk('--info=2', disk)),
        new RegExp(`Last sector: ${47 * 256 - 1} `),
      );
      assert.deepEqual(await fit(path, true, 9, 4096), []);
    }),
);

test(
  'a table that is made for sectors of another size is left as it is, and a person is told',
  { skip },
  () =>
    onLarger(16 * MiB, 48 * MiB, gpt, async (path) => {
      const before = await readFile(path);
      for (const grow of [false, true])
        assert.match((await fit(path, grow, 9, 4096)).join(), /made for disks with sectors of 512 bytes/);
      assert.equal(Buffer.compare(await readFile(path), before), 0);
    }),
);

test('the other partitions of a hybrid master boot record stay as they are', { skip }, () =>
  onLarger(16 * MiB, 48 * MiB, gpt, async (path) => {
    execFileSync('sgdisk', ['--move-second-header', '--hybrid=2', path]);
    await truncate(path, 64 * MiB);
    const before = (await readFile(path)).subarray(0, 512);
    assert.match((await fit(path, true)).join(' '), /Partition 2 .*\(hybrid\); it was not enlarged/);
    assert.equal(Buffer.compare((await readFile(path)).subarray(0, 512), before), 0);
    assert.match(sgdisk('--verify', path), /No problems found/);
    assert.match(sgdisk('--info=2', path), /Last sector: 26623 /);
  }),
);

test('a backup that is damaged is made anew, also on a disk as large as the image', { skip }, () =>
  onLarger(16 * MiB, 16 * MiB, gpt, async (path) => {
    assert.deepEqual(await fit(path, false), []);
    for (const back of [512, 20 * 512]) {
      const file = await open(path, 'r+');
      await file.write(Buffer.alloc(512, 0x55), 0, 512, 16 * MiB - back);
      await file.close();
      assert.match((await fit(path, false)).join(), /made anew/);
      assert.match(sgdisk('--verify', path), /No problems found/);
      assert.deepEqual(await fit(path, false), []);
    }
  }),
);

test('a partition in the place of the backup is not written over', { skip }, () =>
  onLarger(16 * MiB, 48 * MiB, gpt, async (path) => {
    // A list of 8192 entries of 128 bytes, whose copy would not fit behind the last partition.
    const found = await readFile(path);
    const entries = Buffer.alloc(1 << 20);
    found.copy(entries, 0, 1024, 1024 + 128 * 128);
    entries.writeBigUInt64LE(BigInt(48 * 2048 - 100), 128 + 40);
    const header = Buffer.from(found.subarray(512, 1024));
    header.writeUInt32LE(8192, 80);
    header.writeUInt32LE(crc32(entries), 88);
    header.writeBigUInt64LE(4096n, 72);
    header.writeUInt32LE(0, 16);
    header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
    const file = await open(path, 'r+');
    await file.write(header, 0, 512, 512);
    await file.write(entries, 0, entries.length, 2 * MiB);
    await file.close();
    const before = await readFile(path);
    assert.match((await fit(path, true)).join(), /leaves no room for the backup/);
    assert.equal(Buffer.compare(await readFile(path), before), 0);
  }),
);

test(
  'a file system without a partition table is never taken for one',
  {
    skip: skip || lacks('mkfs.vfat', 'dosfstools'),
  },
  () =>
    onLarger(16 * MiB, 16 * MiB, gpt, async (path) => {
      for (const kind of ['12', '16', '32'] as const) {
        await writeFile(path, Buffer.alloc(34 * MiB));
        execFileSync('mkfs.vfat', ['-F', kind, '-s', { 12: '32', 16: '2', 32: '1' }[kind], path], {
          stdio: 'ignore',
        });
        // Some systems write a plausible status into what is code here.
        const file = await open(path, 'r+');
        await file.write(Buffer.from([0x80, 1, 1, 0, 0x0c, 1, 1, 1, 1, 0, 0, 0, 9, 0, 0, 0]), 0, 16, 446);
        await file.write(Buffer.alloc(48), 0, 48, 462);
        await file.close();
        await truncate(path, 48 * MiB);
        const before = await readFile(path);
        assert.match((await fit(path, true)).join(), /no partition table/, `FAT${kind}`);
        assert.equal(Buffer.compare(await readFile(path), before), 0);
      }
    }),
);

test('partitions that lie in one another, as those of a hybrid ISO, are left as they are', { skip }, () =>
  onLarger(16 * MiB, 48 * MiB, 'label: dos\nstart=1MiB, size=4MiB, type=83', async (path) => {
    const file = await open(path, 'r+');
    // The whole image from its first sector, and a boot partition inside it.
    await file.write(Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0]), 0, 16, 446);
    await file.write(Buffer.from([0, 0, 0, 0, 0xef, 0, 0, 0, 0, 16, 0, 0, 0, 32, 0, 0]), 0, 16, 462);
    await file.close();
    const before = await readFile(path);
    assert.match((await fit(path, true)).join(), /overlap/);
    assert.equal(Buffer.compare(await readFile(path), before), 0);
  }),
);
