import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { faucet } from './faucet.ts';
import { digestOf, loopDisk, valveDisk } from './loop.ts';
import { helpersOf, isAlive, until } from './processes.ts';
import { folderFor, noise, partitionedImage } from './sample.ts';
import {
  choose,
  chooseAddress,
  diskRow,
  flash,
  inspected,
  lane,
  result,
  whyNoFaults,
  whyNoWindow,
} from './steps.ts';
import { openApp } from './window.ts';

const skip = whyNoWindow() || whyNoFaults();
const MiB = 1 << 20;

test('one bad disk of two is named as such, and only it is tried again', { skip }, async (context) => {
  const folder = await folderFor(context);
  const image = await partitionedImage(join(folder, 'two.img'), 16 * MiB);
  await using good = await loopDisk(20 * MiB);
  await using bad = await valveDisk(20 * MiB, 'fail-writes');
  await using desk = await openApp({ settings: { allowLoops: true }, words: [image] });
  const { page, app } = desk;
  await inspected(page, 'two.img');
  await flash(page, good.path, bad.path);
  await result(page, '1 of 2 disks written, 1 failed');
  await lane(page, good.path).getByText('Written and verified').waitFor();
  await lane(page, bad.path).getByText('refused to store').waitFor();
  assert.equal(await digestOf(good.path, 16 * MiB), await digestOf(image, 16 * MiB));

  await page.getByRole('button', { name: 'Copy report' }).click();
  await page.getByText('Copied.').waitFor();
  const report = await app.evaluate(({ clipboard }) => clipboard.readText());
  assert.match(report, /Failure: WRITE_FAILED/);
  await page.getByRole('button', { name: 'Copy as command' }).click();
  await until(async () => {
    const command = await app.evaluate(({ clipboard }) => clipboard.readText());
    return (
      command === `bty flash --image ${image} --target ${good.path} --target ${bad.path} --allow-loop --yes`
    );
  }, 'the command is on the clipboard');

  await writeFile(good.path, Buffer.alloc(4096, 0x55));
  await bad.unwish('fail-writes');
  await page.getByRole('button', { name: 'Try the failed one again' }).click();
  await result(page, 'All 2 disks written and verified');
  assert.equal(await digestOf(bad.path, 16 * MiB), await digestOf(image, 16 * MiB));
  assert.notEqual(
    await digestOf(good.path, 4096),
    await digestOf(image, 4096),
    'the good one was left alone',
  );
});

test('cancelling, skipping verification and unplugging are three different ends', {
  skip,
}, async (context) => {
  const bytes = noise(16 * MiB, 5);
  const raw = join(await folderFor(context), 'raw');
  await writeFile(raw, bytes);
  await using disk = await valveDisk(20 * MiB);
  await using source = await faucet(bytes, 8 * MiB);
  await using desk = await openApp({ settings: { allowLoops: true } });
  const { page } = desk;
  await chooseAddress(page, source.url);
  await inspected(page, 'slow.img');

  // Cancelled while it writes: the source gives only a half.
  await flash(page, disk.path);
  await lane(page, disk.path).getByText('Writing', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await result(page, 'Cancelled');
  assert.equal(await digestOf(disk.backing, 4096), await digestOf('/dev/zero', 4096), 'no valid start');

  // Skipped while it verifies: what is written stays written.
  source.open();
  await page.getByRole('button', { name: 'Flash another' }).click();
  await disk.wish('hold-reads');
  await flash(page, disk.path);
  await lane(page, disk.path).getByText('Verifying', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Skip verification' }).click();
  await page.getByRole('button', { name: 'Ending verification…' }).waitFor();
  await disk.unwish('hold-reads');
  await result(page, 'Written, not verified');
  assert.equal(await digestOf(disk.backing, 16 * MiB), await digestOf(raw, 16 * MiB));

  // Cancelled while it verifies.
  await page.getByRole('button', { name: 'Flash another' }).click();
  await disk.wish('hold-reads');
  await flash(page, disk.path);
  await lane(page, disk.path).getByText('Verifying', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.getByRole('button', { name: 'Cancelling…' }).waitFor();
  await disk.unwish('hold-reads');
  await result(page, 'Cancelled');
  assert.deepEqual(desk.complaints, []);
});

test('a disk that is unplugged while it is written is told as gone', { skip }, async () => {
  const bytes = noise(16 * MiB, 6);
  await using disk = await loopDisk(20 * MiB);
  await using source = await faucet(bytes, 8 * MiB);
  await using desk = await openApp({ settings: { allowLoops: true } });
  const { page } = desk;
  await chooseAddress(page, source.url);
  await inspected(page, 'slow.img');
  await flash(page, disk.path);
  await lane(page, disk.path).getByText('Writing', { exact: true }).waitFor();
  await disk.unplug();
  source.open();
  await result(page, 'Not written');
  await lane(page, disk.path).getByText('disappeared').waitFor();
});

test('a disk that is unplugged while it is verified is told as gone, in German where the window speaks it', {
  skip,
}, async () => {
  const bytes = noise(16 * MiB, 12);
  await using disk = await valveDisk(20 * MiB);
  await using source = await faucet(bytes, 16 * MiB);
  source.open();
  await using desk = await openApp({ settings: { allowLoops: true, language: 'de' } });
  const { page } = desk;
  await page.getByRole('button', { name: 'Von einer Adresse…' }).click();
  await page.getByLabel('Adresse', { exact: true }).fill(source.url);
  await page.getByRole('button', { name: 'Öffnen' }).click();
  await inspected(page, 'slow.img');
  await disk.wish('hold-reads');
  await diskRow(page, disk.path).click();
  await page.getByRole('button', { name: 'Schreiben', exact: true }).last().click();
  await lane(page, disk.path).getByText('Prüfen', { exact: true }).waitFor();
  await disk.unplug();
  await result(page, 'Nicht geschrieben');
  await lane(page, disk.path)
    .getByText(/verschwand bei Byte|konnte .* nicht zurückgeben/)
    .waitFor();
});

test('an image that ends before its partitions is refused, and written when the person insists', {
  skip,
}, async (context) => {
  const folder = await folderFor(context);
  const image = await partitionedImage(join(folder, 'whole.img'), 16 * MiB);
  const cut = join(folder, 'cut.img');
  await writeFile(cut, (await readFile(image)).subarray(0, 8 * MiB));
  await using disk = await loopDisk(20 * MiB);
  await using desk = await openApp({ settings: { allowLoops: true }, words: [cut] });
  const { page } = desk;
  await inspected(page, 'cut.img');
  await flash(page, disk.path);
  await result(page, 'Not written');
  await lane(page, disk.path).getByText('was cut short').waitFor();
  assert.equal(await digestOf(disk.path, 4096), await digestOf('/dev/zero', 4096), 'nothing was written');
  await page.getByRole('button', { name: 'Write it although it is cut off' }).click();
  await result(page, 'Written and verified');
  assert.equal(await digestOf(disk.path, 8 * MiB), await digestOf(cut, 8 * MiB));
});

test('no writer survives its window, and no window lies about a writer that was killed', {
  skip,
}, async () => {
  const bytes = noise(16 * MiB, 8);
  await using disk = await loopDisk(20 * MiB);
  await using other = await loopDisk(20 * MiB);
  await using source = await faucet(bytes, 8 * MiB);
  await using desk = await openApp({ settings: { allowLoops: true } });
  const { page, app } = desk;
  const main = app.process().pid ?? 0;
  await chooseAddress(page, source.url);
  await inspected(page, 'slow.img');

  // The helper is killed.
  await flash(page, disk.path);
  await lane(page, disk.path).getByText('Writing', { exact: true }).waitFor();
  for (const pid of await helpersOf(main)) process.kill(pid, 'SIGKILL');
  await result(page, 'Not written');
  await lane(page, disk.path).getByText('ended before').waitFor();
  await until(async () => (await helpersOf(main)).length === 0, 'no helper is left');

  // The window's page is lost and comes back to the same flash.
  await page.getByRole('button', { name: 'Flash another' }).click();
  await flash(page, disk.path);
  await lane(page, disk.path).getByText('Writing', { exact: true }).waitFor();
  await page.reload();
  await lane(page, disk.path).getByText('Writing', { exact: true }).waitFor();

  // A disk is added meanwhile.
  await page.getByRole('button', { name: 'Add a disk…' }).click();
  await page.getByRole('dialog').waitFor();
  await diskRow(page, other.path).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click();
  await lane(page, other.path).waitFor();

  // The window is closed: it asks, and stays.
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
  await page.getByRole('alertdialog').waitFor();
  await page.getByRole('button', { name: 'Keep writing' }).click();
  assert.equal(await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows().length), 1);

  // The app is killed by force.
  const helpers = await helpersOf(main);
  assert.ok(helpers.length > 0);
  process.kill(main, 'SIGKILL');
  await until(() => helpers.every((pid) => !isAlive(pid)), 'the helpers are gone');
});

test('an image that is none, a disk that is too small, and a disk that is not there are refused', {
  skip,
}, async (context) => {
  const folder = await folderFor(context);
  const image = await partitionedImage(join(folder, 'big.img'), 16 * MiB);
  const broken = join(folder, 'letter.7z');
  await writeFile(broken, Buffer.concat([Buffer.from('377abcaf271c0004', 'hex'), noise(1024, 3)]));
  await using small = await loopDisk(8 * MiB);
  await using desk = await openApp({ settings: { allowLoops: true } });
  const { page, app } = desk;
  await choose(app, page, broken);
  await page.getByText('This cannot be written').waitFor();
  await page.getByRole('button', { name: 'Change' }).click();
  await choose(app, page, join(folder, 'missing.img'));
  await page.getByRole('alert').getByText('missing.img').waitFor();
  await choose(app, page, image);
  await inspected(page, 'big.img');
  await diskRow(page, small.path).getByText('Too small: the image needs').waitFor();
  await diskRow(page, small.path).click({ force: true });
  assert.equal(await page.getByRole('button', { name: 'Flash', exact: true }).last().isDisabled(), true);
  {
    await using brief = await loopDisk(20 * MiB);
    await diskRow(page, brief.path).click();
    await page.getByText('1 disk chosen').waitFor();
  }
  await page.getByText('Now choose the disk').waitFor();
});
