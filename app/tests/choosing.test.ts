import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import type { AppDisk } from '../../shared/app/disk.ts';
import { barriers } from './axe.ts';
import { digestOf, loopDisk } from './loop.ts';
import { until } from './processes.ts';
import { folderFor, partitionedImage } from './sample.ts';
import { choose, diskRow, flash, goTo, inspected, lane, result, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

const skip = whyNoWindow();
const MiB = 1 << 20;

/** Drags the file at `path` over the window, and lets it go when `falls` says so. */
async function drag(page: Page, path: string, falls: boolean): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  const kinds = falls ? (['dragEnter', 'dragOver', 'drop'] as const) : (['dragEnter', 'dragOver'] as const);
  for (const type of kinds) await session.send('Input.dispatchDragEvent', { type, x: 200, y: 200, data });
  await session.detach();
}

test('an image comes from a catalog, a server or a drop, and keeps its checksum when it is chosen again', {
  skip,
}, async (context) => {
  const folder = await folderFor(context);
  const image = await partitionedImage(join(folder, 'debian 13.img'), 4 * MiB);
  const sha = createHash('sha256')
    .update(await readFile(image))
    .digest('hex');
  const entry = (name: string, src: string, sum: string) =>
    `[[images]]\nname = "${name}"\nsrc = "${src}"\nsha256 = "${sum}"\nsize_bytes = ${4 * MiB}\ndescription = "Stable"\n`;
  const catalog = join(folder, 'catalog.toml');
  const more = Array.from({ length: 9 }, (_, index) =>
    entry(`Other ${index}`, `other${index}.img`, 'a'.repeat(64)),
  );
  await writeFile(
    catalog,
    `version = 1\n${entry('Debian 13', `file://${encodeURI(image)}`, sha)}${entry('Debian broken', 'debian 13.img', 'b'.repeat(64))}${more.join('')}`,
  );
  const served = `version = 1\n${entry('Served', 'debian.img', sha)}`;
  const bytes = await readFile(image);
  const server = createServer((request, response) => {
    if (request.url === '/catalog.toml') response.end(served);
    else if (request.url === '/debian.img') response.end(bytes);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  await using disk = await loopDisk(8 * MiB);
  await using desk = await openApp({ settings: { allowLoops: true } });
  const { page, app } = desk;
  const sheet = page.getByRole('dialog');
  await app.evaluate(({ dialog }, path) => {
    dialog.showOpenDialog = async () => ({ canceled: false, filePaths: [path] });
  }, catalog);

  // A catalog file, added where it is looked for.
  await page.getByRole('button', { name: 'From a catalog…' }).click();
  await sheet.getByText('No catalog is set up yet.').waitFor();
  await sheet.getByRole('button', { name: 'Add a catalog file…' }).click();
  await sheet.getByRole('button', { name: /Debian 13/ }).waitFor();
  await sheet.getByLabel('Find').fill('broken');
  await until(
    async () => (await sheet.getByRole('listitem').count()) === 1,
    'only what is looked for is listed',
  );
  assert.deepEqual(await barriers(page), []);
  // And the catalog of a server beside it.
  await sheet.getByRole('button', { name: 'Add a catalog…' }).click();
  assert.equal(await page.evaluate(`document.activeElement?.tagName`), 'INPUT', 'where to write it is seen');
  await sheet.getByLabel('Add the address of a catalog').fill(`http://127.0.0.1:${port}/catalog.toml`);
  await sheet.getByRole('button', { name: 'Add', exact: true }).click();
  await sheet.getByRole('button', { name: /Served/ }).click();
  await inspected(page, 'Served');
  await page.getByText('will be checked while writing').waitFor();

  // What a catalog states is not forgotten by choosing the image again.
  await page.getByRole('button', { name: 'Change' }).click();
  await page.locator('.recent-open').filter({ hasText: 'Served' }).click();
  await inspected(page, 'Served');
  await page.getByText('will be checked while writing').waitFor();
  await page.getByRole('button', { name: 'Change' }).click();
  await page.getByRole('button', { name: 'From a catalog…' }).click();
  await sheet.getByRole('button', { name: /Debian broken/ }).click();
  await inspected(page, 'Debian broken');
  await flash(page, disk.path);
  await result(page, 'Not written');
  await lane(page, disk.path).getByText('SHA-256').first().waitFor();

  // A file is dropped, wherever the person is.
  await drag(page, image, false);
  await page.getByText('Let go to open it').waitFor();
  await goTo(page, 'Settings');
  await drag(page, image, true);
  await inspected(page, 'debian 13.img');
  await page.getByText('none stated; what is written is still compared').waitFor();
  await flash(page, disk.path);
  await result(page, 'Written and verified');
  await drag(page, join(folder, 'missing.img'), true);
  await page.getByRole('alert').getByText('missing.img').waitFor();
  assert.deepEqual(desk.complaints, []);
});

test('what is mounted from a disk is told before, and unmounted', { skip }, async (context) => {
  const folder = await folderFor(context);
  const image = await partitionedImage(join(folder, 'over.img'), 4 * MiB);
  const place = join(folder, 'mounted');
  await mkdir(place);
  await using disk = await loopDisk(16 * MiB);
  execFileSync('mkfs.ext4', ['-q', '-L', 'MUSIC', disk.path]);
  execFileSync('mount', [disk.path, place]);
  const isMounted = async () => (await readFile('/proc/self/mounts', 'utf8')).includes(`${disk.path} `);
  try {
    await using desk = await openApp({ settings: { allowLoops: true }, words: [image] });
    const { page, app } = desk;
    await inspected(page, 'over.img');
    // In the smallest window the disks are what is seen next.
    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.setContentSize(640, 480));
    await page.getByRole('button', { name: 'Change' }).click();
    await choose(app, page, image);
    await inspected(page, 'over.img');
    const top = () => page.evaluate(`document.getElementById('disks-title').getBoundingClientRect().top`);
    await until(async () => Number(await top()) < 200, 'the disks are in sight');
    await diskRow(page, disk.path).getByText(`mounted at ${place}; will be unmounted`).waitFor();
    await flash(page, disk.path);
    await result(page, 'Written and verified');
    assert.equal(await isMounted(), false);
    assert.equal(await digestOf(disk.path, 4 * MiB), await digestOf(image, 4 * MiB));
  } finally {
    if (await isMounted()) execFileSync('umount', [place]);
  }
});

test('another stick in the place of the chosen one is not written by a press that was meant for the first', {
  skip,
}, async (context) => {
  const image = await partitionedImage(join(await folderFor(context), 'two.img'), 4 * MiB);
  await using desk = await openApp({ words: [image] });
  const { page, app } = desk;
  const stick = (serial: string): AppDisk => ({
    id: `/dev/sdy|${serial}`,
    kind: 'disk',
    path: '/dev/sdy',
    size: 32e9,
    name: `Stick ${serial}`,
    serial,
    diskseq: 1,
    transport: 'usb',
    removable: true,
    system: false,
    partitions: [],
    mounts: [],
    refusals: [],
  });
  // Sticks that come and go cannot be had here: the window is told of them.
  const plug = (...disks: readonly AppDisk[]) =>
    app.evaluate(
      ({ BrowserWindow }, news) =>
        BrowserWindow.getAllWindows()[0]?.webContents.send('bty:announce', 'disks', news),
      { disks, problem: null, looked: true },
    );
  await inspected(page, 'two.img');
  await until(async () => (await page.locator('.no-disk, .disks').count()) > 0, 'the disks were listed');
  const button = page.getByRole('button', { name: 'Flash', exact: true }).last();
  const photos = {
    path: '/dev/sdy1',
    size: 32e9,
    fstype: 'exfat',
    label: 'PHOTOS',
    mountpoints: [],
    used: 3e9,
  };
  await plug({ ...stick('AAAA1111'), partitions: [photos] });
  await page.getByText('PHOTOS (exfat), 3.0\u202fGB of 32.0\u202fGB in use').waitFor();
  await page.getByText(/to Stick AAAA1111/).waitFor();
  await until(() => button.isEnabled(), 'it can be written');
  // What is drawn together with the name of the other stick, however late anybody looks.
  await page.evaluate(`void (window.first = new Promise((tell) => {
    new MutationObserver((_, watch) => {
      if (!document.body.textContent.includes('to Stick BBBB2222')) return;
      watch.disconnect();
      const named = [...document.querySelectorAll('button')].filter((each) => each.textContent.trim() === 'Flash');
      tell(named.at(-1).disabled);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  }))`);
  await plug();
  await plug(stick('BBBB2222'));
  await page.getByText(/to Stick BBBB2222/).waitFor();
  assert.equal(await page.evaluate('window.first'), true, 'not at once');
  await until(() => button.isEnabled(), 'but after a glance');
  // Two of them: neither is chosen for the person.
  await plug(stick('AAAA1111'), { ...stick('BBBB2222'), path: '/dev/sdz' });
  await page.getByText('Now choose the disk').waitFor();
});
