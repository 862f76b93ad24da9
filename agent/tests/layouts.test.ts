import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { inFolder } from '../disk/testing.ts';
import { diskAt, diskFile, flashImage } from '../flash/testing.ts';
import { readPartitionTable } from '../inspect/partitions.ts';
import { freebsdDisk, linuxDisk, windowsDisk } from '../inspect/testing-layouts.ts';
import { fileSource } from '../source/file.ts';
import { missing } from '../unpack/testing.ts';

/** Disks of the systems that people flash, made by the tools of those systems' file systems. */
const disks = [
  { name: 'Linux (ESP, ext4, btrfs)', make: linuxDisk, skip: missing('mkfs.btrfs', 'btrfs-progs') },
  { name: 'Windows (ESP, MSR, NTFS)', make: windowsDisk, skip: missing('mkfs.ntfs', 'ntfs-3g') },
  { name: 'FreeBSD (UFS2, ZFS)', make: freebsdDisk, skip: missing('sfdisk', 'fdisk') },
] as const;

async function tableOf(path: string): Promise<unknown> {
  const source = await fileSource(path);
  try {
    const { partitions, scheme, problems } = await readPartitionTable(source.random ?? assert.fail());
    return { partitions, scheme, problems };
  } finally {
    await source.close();
  }
}

for (const { name, make, skip } of disks) {
  for (const form of ['img', 'img.zst'] as const) {
    test(`a ${name} disk as .${form} arrives byte for byte, with its partitions`, { skip }, async () => {
      await inFolder(async (folder) => {
        const raw = join(folder, 'disk.img');
        await make(raw);
        const bytes = await readFile(raw);
        const image = join(folder, `packed.${form}`);
        await writeFile(image, form === 'img' ? bytes : zstdCompressSync(bytes));
        const path = await diskFile(folder, bytes.length, 0x33, 'target');
        const { outcome, results } = await flashImage({ image, sparse: true }, [diskAt(path, bytes.length)]);
        assert.equal(outcome, 'done', results[0]?.failure?.message ?? '');
        assert.equal(results[0]?.verified, true);
        assert.equal(Buffer.compare(await readFile(path), bytes), 0);
        assert.deepEqual(await tableOf(path), await tableOf(raw));
      });
    });
  }
}
