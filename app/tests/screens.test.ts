import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { look } from './look.ts';
import { loopDisk, valveDisk } from './loop.ts';
import { folderFor, noise, partitionedImage } from './sample.ts';
import { choose, diskRow, goTo, inspected, whyNoFaults, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

const skip = whyNoWindow() || whyNoFaults();
test('nothing stands in the way of anybody on any screen, light or dark', { skip }, async (context) => {
  const folder = await folderFor(context);
  const image = await partitionedImage(join(folder, 'debian-13.img'), 24 << 20);
  const catalog = join(folder, 'catalog.toml');
  const sha = 'a'.repeat(64);
  await writeFile(
    catalog,
    `version = 1\n[[images]]\nname = "Debian 13"\nsrc = "debian-13.img"\nsha256 = "${sha}"\nsize_bytes = 25165824\ndescription = "Stable, amd64"\n`,
  );
  const broken = join(folder, 'holiday.7z');
  await writeFile(broken, Buffer.concat([Buffer.from('377abcaf271c0004', 'hex'), noise(1024, 3)]));
  await using disk = await valveDisk(32 << 20, 'hold-writes');
  await using small = await loopDisk(8 << 20);
  await using desk = await openApp({ settings: { allowLoops: true, catalogs: [catalog] } });
  const { page, app } = desk;
  const found: string[] = [];

  await page.getByText('Drop an image here').waitFor();
  await look(page, '01-empty', found);
  await page.getByRole('button', { name: 'From an address…' }).click();
  await page.getByRole('dialog').waitFor();
  await look(page, '02-address', found);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'From a catalog…' }).click();
  await page.getByRole('button', { name: /Debian 13/ }).waitFor();
  await look(page, '03-catalog', found);
  await page.keyboard.press('Escape');

  await choose(app, page, broken);
  await page.getByText('This cannot be written').waitFor();
  await look(page, '04-broken-image', found);
  await page.getByRole('button', { name: 'Change' }).click();
  await choose(app, page, image);
  await inspected(page, 'debian-13.img');
  await diskRow(page, disk.path).click();
  await diskRow(page, small.path).getByText('Too small').waitFor();
  await page.getByText('Everything on it will be lost').waitFor();
  await look(page, '05-ready', found);
  await page.getByRole('button', { name: /Show \d+ system disk/ }).click();
  await page.getByRole('alertdialog').waitFor();
  await look(page, '06-system-disks', found);
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: 'Flash', exact: true }).last().click();
  await page.getByRole('heading', { name: 'Writing debian-13.img' }).waitFor();
  await look(page, '07-writing', found);
  await page.getByRole('button', { name: 'Add a disk…' }).click();
  await page.getByRole('dialog').waitFor();
  await look(page, '08-add-disk', found);
  await page.keyboard.press('Escape');
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
  await page.getByRole('alertdialog').waitFor();
  await look(page, '09-closing', found);
  await page.getByRole('button', { name: 'Keep writing' }).click();
  await disk.unwish('hold-writes');
  await page.getByRole('heading', { name: 'Written and verified' }).waitFor();
  await look(page, '10-done', found);
  await page.getByRole('button', { name: 'Flash another' }).click();

  await diskRow(page, disk.path).click();
  await disk.wish('fail-writes');
  await page.getByRole('button', { name: 'Flash', exact: true }).last().click();
  await page.getByRole('heading', { name: 'Not written' }).waitFor();
  await look(page, '11-failed', found);
  await goTo(page, 'History');
  await page.getByRole('table').waitFor();
  await look(page, '12-history', found);
  await goTo(page, 'Settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await look(page, '13-settings', found);
  assert.deepEqual(found, []);
  assert.deepEqual(desk.complaints, []);
});
