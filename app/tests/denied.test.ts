import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf, loopDisk } from './loop.ts';
import { helpersOf, until } from './processes.ts';
import { folderFor, partitionedImage } from './sample.ts';
import { flash, inspected, lane, result, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

const skip = whyNoWindow() || (existsSync('/usr/bin/pkexec') ? false : 'needs pkexec (apt install pkexec)');
const MiB = 1 << 20;
/** The user that owns nothing (Debian policy, 9.2.2). */
const nobody = 65_534;
const words = ['setpriv', '--reuid', `${nobody}`, '--regid', `${nobody}`, '--clear-groups'];

test('without permission nothing is written, and the window says why', { skip }, async (context) => {
  const folder = await folderFor(context);
  await chmod(folder, 0o755);
  const image = await partitionedImage(join(folder, 'wish.img'), 4 * MiB);
  await using disk = await loopDisk(8 * MiB);
  const before = await digestOf(disk.path, disk.size);
  // A user whom no desktop asks: pkexec finds no agent, or no bus to look for one.
  await using desk = await openApp({
    settings: { allowLoops: true },
    words: [image],
    user: { uid: nobody, words },
  });
  const { page, app } = desk;
  await inspected(page, 'wish.img');
  await flash(page, disk.path);
  await result(page, 'Not written');
  await lane(page, disk.path)
    .getByText(/Nobody could be asked for permission|cannot be asked for here|policy of this system/)
    .waitFor();
  assert.equal(await digestOf(disk.path, disk.size), before);
  await until(async () => (await helpersOf(app.process().pid ?? 0)).length === 0, 'no helper is left');

  // The same person may try everything with a file instead of a disk.
  await page.getByRole('button', { name: 'Flash another' }).click();
  await page.getByRole('button', { name: 'Try it without a disk' }).click();
  await page.locator('.disk').filter({ hasText: 'Disk to try with' }).click();
  await page.getByText('Nothing real is touched').waitFor();
  await page.getByRole('button', { name: 'Flash', exact: true }).last().click();
  await result(page, 'Written and verified');
  assert.equal(await digestOf(join(desk.data, 'virtual-disk.img'), 4 * MiB), await digestOf(image, 4 * MiB));
});
