import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { digestOf, loopDisk } from './loop.ts';
import { folderFor } from './sample.ts';
import { diskRow, inspected, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

const skip = whyNoWindow();

test('three clicks write an image to a disk, and every byte is the same', { skip }, async (context) => {
  const bytes = randomBytes(24 << 20);
  const image = join(await folderFor(context), 'three.img.zst');
  await writeFile(image, zstdCompressSync(bytes));
  const raw = join(await folderFor(context), 'three.img');
  await writeFile(raw, bytes);
  await using disk = await loopDisk(32 << 20);
  await using desk = await openApp({ settings: { allowLoops: true }, words: [image] });
  const { page } = desk;
  await inspected(page, 'three.img.zst');
  await diskRow(page, disk.path).click();
  await page.getByText('Everything on it will be lost').waitFor();
  await page.getByRole('button', { name: 'Flash', exact: true }).last().click();
  await page.getByRole('heading', { name: 'Written and verified' }).waitFor();
  assert.equal(await digestOf(disk.path, bytes.length), await digestOf(raw, bytes.length));
  assert.deepEqual(desk.complaints, []);
});
