import assert from 'node:assert/strict';
import { mkdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDisk } from './open.ts';
import { deviceAt, inFolder, noLoops, pages, run, virtualAt, withDisk, withLoop } from './testing.ts';

const skip = noLoops;

for (const blockSize of [512, 4096]) {
  test(
    `a disk with ${blockSize}-byte blocks is written, flushed and read back past the cache`,
    { skip },
    () =>
      withLoop({ blockSize }, async ({ path, backing }) => {
        await withDisk(deviceAt(path), async (disk) => {
          assert.deepEqual(
            [disk.path, disk.size, disk.blockSize, disk.direct],
            [path, 16 << 20, blockSize, true],
          );
          const data = pages(65536, 0x5a);
          assert.equal(await disk.write(data, blockSize * 3), 65536);
          await disk.flush();
          await disk.dropCache();
          const back = pages(65536, 0);
          assert.equal(await disk.read(back, blockSize * 3), 65536);
          assert.deepEqual(back, data);
          assert.equal(await disk.read(back, disk.size), 0);
          assert.equal(await disk.currentSize(), 16 << 20);
          assert.equal(await disk.rereadPartitions(), true);
          await assert.rejects(disk.write(data, disk.size), { code: 'ENOSPC' });
          await assert.rejects(disk.write(data.subarray(0, 100), 0), { code: 'EINVAL' });
        });
        const stored = await readFile(backing);
        assert.ok(stored.subarray(blockSize * 3, blockSize * 3 + 65536).every((byte) => byte === 0x5a));
        assert.equal(stored[blockSize * 3 - 1], 0);
      }),
  );

  test(
    `a range of a disk with ${blockSize}-byte blocks becomes zeros without data, its neighbours stay`,
    { skip },
    () =>
      withLoop({ blockSize }, async ({ path, backing }) => {
        await withDisk(deviceAt(path), async (disk) => {
          await disk.write(pages(1 << 20, 7), 0);
          await disk.flush();
          const full = (await stat(backing)).blocks;
          assert.equal(await disk.zero(65536, 524288), true);
          assert.equal(await disk.zero(100, 512), false, 'not a whole block');
          assert.equal(await disk.zero(0, 0), true);
          await disk.flush();
          assert.ok((await stat(backing)).blocks < full);
          const back = pages(1 << 20, 1);
          await disk.read(back, 0);
          assert.ok(back.subarray(0, 65536).every((byte) => byte === 7));
          assert.ok(back.subarray(65536, 65536 + 524288).every((byte) => byte === 0));
          assert.ok(back.subarray(65536 + 524288).every((byte) => byte === 7));
        });
      }),
  );
}

test('an unplugged disk has the size 0, refuses writes for want of room and cannot be read', { skip }, () =>
  withLoop({}, async ({ path, backing }) => {
    await withDisk(deviceAt(path), async (disk) => {
      await disk.write(pages(4096, 1), 0);
      await truncate(backing, 0);
      await run('losetup', '--set-capacity', path);
      assert.equal(await disk.currentSize(), 0);
      await assert.rejects(disk.write(pages(4096, 1), 0), { code: 'ENOSPC' });
      assert.equal(await disk.read(pages(4096, 1), 0), 0);
    });
  }),
);

test('a disk is closed once however often it is asked', { skip }, () =>
  withLoop({}, async ({ path }) => {
    const disk = await openDisk(deviceAt(path));
    await Promise.all([disk.close(), disk.close()]);
    await disk.close();
    await withDisk(deviceAt(path), async () => {});
  }),
);

test('a virtual disk is written, zeroed and read back', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'virtual.img');
    await writeFile(path, '');
    await truncate(path, 4 << 20);
    await withDisk(virtualAt(path, { imageBytes: 4 << 20 }), async (disk) => {
      assert.equal(disk.size, 4 << 20);
      assert.equal(await disk.write(pages(65536, 9), 65536), 65536);
      await disk.flush();
      await disk.dropCache();
      const back = pages(65536, 0);
      assert.equal(await disk.read(back, 65536), 65536);
      assert.ok(back.every((byte) => byte === 9));
      if (await disk.zero(65536, 65536)) {
        await disk.read(back, 65536);
        assert.ok(back.every((byte) => byte === 0));
      }
      assert.equal(await disk.rereadPartitions(), true);
      assert.equal(await disk.currentSize(), 4 << 20);
      await truncate(path, 1 << 20);
      assert.equal(await disk.currentSize(), 1 << 20);
    });
  }));

test(
  'a virtual disk on a file system with larger blocks asks for larger blocks, or goes without direct I/O',
  { skip },
  () =>
    withLoop({ blockSize: 4096, size: 32 << 20 }, async ({ path, folder }) => {
      await run('mkfs.ext4', '-q', '-b', '4096', path);
      const place = join(folder, 'mounted');
      await mkdir(place);
      await run('mount', path, place);
      try {
        const even = join(place, 'even');
        await writeFile(even, Buffer.alloc(65536));
        await withDisk(virtualAt(even), async (disk) => {
          assert.deepEqual([disk.direct, disk.blockSize], [true, 4096]);
          assert.equal(await disk.write(pages(4096, 3), 4096), 4096);
        });
        const odd = join(place, 'odd');
        await writeFile(odd, Buffer.alloc(4096 + 512));
        await withDisk(virtualAt(odd), async (disk) => {
          assert.deepEqual([disk.direct, disk.blockSize], [false, 512]);
          assert.equal(await disk.write(pages(512, 3), 4096), 512);
          await disk.dropCache();
        });
        assert.equal((await readFile(odd))[4096], 3);
      } finally {
        await run('umount', place);
      }
    }),
);
