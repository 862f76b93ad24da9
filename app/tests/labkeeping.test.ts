import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { barriers } from './axe.ts';
import { enter, openLab, password, whyNoBrowser } from './lab.ts';

const skip = whyNoBrowser();

test('a backup is downloaded, looked at and restored from the page, which comes back with its state', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await lab.ask('PUT', '/machines/52:54:00:00:00:01', { hostname: 'of-the-backup' });
  await enter(page, lab, '/ui/settings');
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download a backup' }).click();
  const download = await downloading;
  assert.match(download.suggestedFilename(), /\.backup$/);
  const file = await download.path();
  assert.match((await readFile(file)).subarray(0, 15).toString(), /^SQLite format 3/);
  await lab.ask('PUT', '/machines/52:54:00:00:00:02', { hostname: 'of-later' });

  const send = () => page.locator('input[type=file]').setInputFiles(file);
  await send();
  const sheet = page.getByRole('alertdialog', { name: 'Restore this backup?' });
  await sheet.getByText('1 machine, ').waitFor();
  assert.deepEqual(await barriers(page), []);
  await sheet.getByRole('button', { name: 'Cancel' }).click();
  await sheet.waitFor({ state: 'detached' });
  await send();
  const restore = sheet.getByRole('button', { name: 'Restore', exact: true });
  assert.equal(await restore.isDisabled(), true);
  await sheet.getByLabel('Type restore to go on').fill('restore');
  await restore.click();
  await page.getByText('The appliance starts anew with the backup').waitFor();
  await page.getByRole('button', { name: 'Log in' }).waitFor();
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('link', { name: 'Machines' }).click();
  await page.getByText('of-the-backup').waitFor();
  await page.getByText('1 machine', { exact: true }).waitFor();
  // Live again, although the numbers of its events began anew.
  const answer = await fetch(`${lab.url}/pxe/52:54:00:00:00:03`);
  assert.equal(answer.status, 200);
  await page.getByRole('link', { name: '52:54:00:00:00:03' }).waitFor();
  assert.deepEqual(opened.complaints, []);
});

test('how long events are kept is changed on the page, after it said what goes', { skip }, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enter(page, lab, '/ui/settings');
  await page.getByText('Events are kept for ever.').waitFor();
  await page.getByRole('button', { name: 'Change…', exact: true }).click();
  const sheet = page.getByRole('alertdialog', { name: 'How long are events kept?' });
  await sheet.getByText('Events that are older are removed at once').waitFor();
  await page.getByRole('textbox', { name: 'Days' }).fill('none');
  assert.equal(await sheet.getByRole('button', { name: 'Keep them all' }).isDisabled(), true);
  await page.getByRole('textbox', { name: 'Days' }).fill('90');
  assert.deepEqual(await barriers(page), []);
  await sheet.getByRole('button', { name: 'Remove what is older' }).click();
  await page.getByText('Events are kept for 90 days.').waitFor();
  await page.getByText('This was chosen here').waitFor();
  const kept = (await lab.ask('GET', '/settings/retention')) as { readonly days: number };
  assert.equal(kept.days, 90);
  await page.getByRole('button', { name: 'Change…', exact: true }).click();
  await page.getByLabel('Keep events').selectOption({ label: 'as bty.toml says' });
  await page.getByRole('button', { name: 'Keep them all' }).click();
  await page.getByText('Events are kept for ever.').first().waitFor();
  assert.deepEqual(opened.complaints, []);
});
