import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, enterMachines, openLab, whyNoBrowser } from './lab.ts';
import { scrollThrough } from './labscroll.ts';

const skip = whyNoBrowser();
const count = 10_000;

test('ten thousand machines are all there, and only those that are seen are drawn', { skip }, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  await enterMachines(lab, count);
  await enter(page, lab, '/ui/machines');
  await page.getByText('10000 machines', { exact: true }).waitFor();
  const drawn = () => page.locator('.rows-all .row').count();
  assert.equal(await page.getByRole('table').getAttribute('aria-rowcount'), String(count + 1));
  assert.ok((await drawn()) < 60, `${await drawn()} rows`);
  // How fast is measured by `npm run ui:scroll` on a machine that does nothing else.
  const { most } = await scrollThrough(page, 60);
  assert.ok(most < 90, `${most} rows`);
  await page.getByRole('link', { name: '52:54:00:00:27:0f' }).waitFor();
  const nodes = (await page.evaluate("document.querySelectorAll('*').length")) as number;
  assert.ok(nodes < 2500, `${nodes} elements`);

  await page.getByRole('searchbox').fill('rack=r249 node-0999');
  await page.getByText('10 of 10000 machines').waitFor();
  assert.equal(await drawn(), 10);
  await page.getByRole('searchbox').fill('');
  await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click();
  await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').click();
  await page.getByText('node-09999').waitFor();
  // Live, without a click: another one's change.
  await lab.ask('PATCH', '/machines/52:54:00:00:27:0f', { hostname: 'zebra' });
  await page.getByText('zebra').waitFor();
  // All of them at once, and every row knows.
  await page.getByRole('checkbox', { name: 'Select all that are shown' }).check();
  await page.getByRole('button', { name: 'Set policy…' }).click();
  const sheet = page.getByRole('dialog');
  await sheet.getByLabel('At network boot').selectOption('inventory');
  await sheet.getByRole('button', { name: 'Apply' }).click();
  await page.getByText(`${count} machines changed.`).waitFor();
  await page.getByLabel('At network boot').selectOption('local');
  await page.getByText(`0 of ${count} machines`).waitFor();
  assert.deepEqual(opened.complaints, []);
});
