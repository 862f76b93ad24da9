import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { barriers } from './axe.ts';
import { enter, openLab, password, whyNoBrowser } from './lab.ts';
import { deleteAndRollOut, seeMachineAppear } from './labspecs.ts';
import { noise } from './sample.ts';

const skip = whyNoBrowser();

test('a wrong password is told, the right one leads to the page that was asked for', { skip }, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await page.goto(`${lab.url}/ui/machines?q=rack`);
  assert.equal(new URL(page.url()).pathname, '/ui/login');
  assert.deepEqual(await barriers(page), []);
  await page.getByLabel('Password').fill('guess');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('That is not the password.').waitFor();
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: 'Machines', exact: true }).waitFor();
  assert.equal(page.url(), `${lab.url}/ui/machines?q=rack`);
  assert.deepEqual(opened.complaints, []);
});

test('a machine appears by itself, and its page shows its boot story as it happens', { skip }, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enter(page, lab, '/ui/machines');
  await seeMachineAppear({ page, lab });
  assert.deepEqual(opened.complaints, []);
});

test('when the appliance is gone the pages say so, and when it is back they go on with what is new', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await lab.ask('PUT', '/machines/52:54:00:00:00:01', { hostname: 'before' });
  await enter(page, lab, '/ui/machines');
  await page.getByText('before').waitFor();
  await lab.restart(async () => {
    await page.getByText('The appliance cannot be reached').waitFor();
    await page.getByText('before').waitFor();
  });
  await lab.ask('PUT', '/machines/52:54:00:00:00:02', { hostname: 'after' });
  await page.getByText('The appliance is back').waitFor();
  await page.getByText('after').waitFor();
  await page.getByText('The appliance cannot be reached').waitFor({ state: 'detached' });
  // Whoever ends the session sees the form over the same page, and goes on there.
  await page.getByRole('link', { name: '52:54:00:00:00:02' }).click();
  await page.getByRole('heading', { name: 'after', exact: true }).waitFor();
  const link = await page
    .getByRole('navigation')
    .getByRole('link', { name: 'Images', exact: true })
    .elementHandle();
  await lab.ask('DELETE', '/access/sessions');
  // The page may be told before it is pressed, and then shows the link no more.
  await link?.dispatchEvent('click');
  await page.getByText('Your session has ended').waitFor();
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('No image yet').waitFor();
  assert.deepEqual(opened.complaints, []);
});

test('an upload goes on where it was when the appliance comes back, and arrives whole', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enter(page, lab, '/ui/images');
  await page.getByText('No image yet').waitFor();
  const bytes = noise(40 << 20, 5);
  const folder = await mkdtemp(join(tmpdir(), 'bty-lab-upload-'));
  const file = join(folder, 'rack.img');
  await writeFile(file, bytes);
  // Slow enough that the appliance goes away in the middle.
  const network = await page.context().newCDPSession(page);
  const upload = (uploadThroughput: number) =>
    network.send('Network.emulateNetworkConditions', {
      ...{ offline: false, latency: 0, downloadThroughput: -1, uploadThroughput },
    });
  await network.send('Network.enable');
  await upload(6 << 20);
  let pieces = 0;
  const second = new Promise<void>((resolve) => {
    page.on('response', (answer) => {
      if (answer.status() === 202 && ++pieces === 2) resolve();
    });
  });
  await page.locator('input[type=file]').first().setInputFiles(file);
  await second;
  await lab.restart(async () => {
    await page.getByText('it goes on by itself').waitFor();
  });
  await upload(-1);
  await page.getByText('rack.img is uploaded.').waitFor();
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await page.getByTitle(sha256).waitFor();
  await page.getByRole('button', { name: 'Delete: rack.img' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No image yet').waitFor();
  await rm(folder, { recursive: true });
  assert.deepEqual(opened.complaints, []);
});

test('deleting many machines needs their number, and a roll-out that meets a failure leaves the others alone', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enter(page, lab, '/ui/machines');
  await deleteAndRollOut({ page, lab });
  assert.deepEqual(opened.complaints, []);
});
