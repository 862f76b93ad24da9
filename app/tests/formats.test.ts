import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { digestOf, loopDisk } from './loop.ts';
import { folderFor, partitionedImage } from './sample.ts';
import { choose, flash, inspected, result, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

/** How each family of formats is made of a raw image. */
const makers: Readonly<Record<string, (raw: string, packed: string) => unknown>> = {
  'disk.img': (raw, packed) => copyFile(raw, packed),
  'disk.iso.gz': async (raw, packed) => writeFile(packed, gzipSync(await readFile(raw), { level: 1 })),
  'disk.img.zst': async (raw, packed) => writeFile(packed, zstdCompressSync(await readFile(raw))),
  'disk.img.xz': (raw, packed) => execFileSync('sh', ['-c', 'xz -0 -c "$1" > "$2"', 'sh', raw, packed]),
  'disk.img.bz2': (raw, packed) => execFileSync('sh', ['-c', 'bzip2 -1 -c "$1" > "$2"', 'sh', raw, packed]),
  'disk.img.lz4': (raw, packed) => execFileSync('lz4', ['-q', raw, packed]),
  'disk.img.zip': (raw, packed) => execFileSync('zip', ['-q', '-1', '-j', packed, raw]),
  'disk.qcow2': (raw, packed) => execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, packed]),
};

test('an image of every family goes by clicks to the disk, byte for byte', {
  skip: whyNoWindow(),
}, async (context) => {
  const folder = await folderFor(context);
  // Not a whole number of blocks of 4096 bytes: its end is written by itself.
  const length = (18 << 20) + 512;
  const raw = await partitionedImage(join(folder, 'raw'), length);
  const expected = await digestOf(raw, length);
  await using disk = await loopDisk(20 << 20);
  await using desk = await openApp({ settings: { allowLoops: true } });
  const { app, page } = desk;
  for (const [name, make] of Object.entries(makers)) {
    const image = join(folder, name);
    await make(raw, image);
    await writeFile(disk.path, Buffer.alloc(1 << 20, 0xee));
    await choose(app, page, image);
    await inspected(page, name);
    await flash(page, disk.path);
    await result(page, 'Written and verified');
    assert.equal(await digestOf(disk.path, length), expected, name);
    await page.getByRole('button', { name: 'Other image' }).click();
  }
  assert.deepEqual(desk.complaints, []);
});
