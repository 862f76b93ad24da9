import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, openPage, startBrowser, whyNoBrowser } from './lab.ts';
import { look } from './lablook.ts';
import { startSimLab, whyNoNetwork } from './labsim.ts';

const skip = whyNoBrowser() || whyNoNetwork();
/** One of each firmware that the simulator knows. */
const count = 7;

test('a rack that boots is seen doing so: machines appear, their stories fill, and they end deployed', {
  skip,
}, async () => {
  await using lab = await startSimLab();
  await using browser = await startBrowser(lab.browser);
  await using opened = await openPage(browser);
  const { page } = opened;
  await enter(page, lab, '/ui/boot');
  await page.getByText('10.78.0.1').first().waitFor();
  await page.getByRole('button', { name: 'Explain' }).click();
  await page.getByText('It is answered').waitFor();
  const tftp = page.locator('.interface').filter({ hasText: '10.78.0.1:69' });
  await tftp.getByText('answers').waitFor();
  await page.getByRole('link', { name: 'Machines' }).click();
  await page.getByText('No machine has shown up yet').waitFor();
  const booting = lab.boot(count, 2000);
  await page.getByText(`${count} machines`, { exact: true }).waitFor();
  const { failed } = await booting;
  assert.deepEqual(failed, []);
  await page
    .locator('.rows-all')
    .getByText('Deployed')
    .nth(count - 1)
    .waitFor();
  await page.locator('.rows-all').getByRole('link').first().click();
  await page.getByText('Boot story').waitFor();
  for (const station of ['Address and boot server', 'Live system', 'Writing the image', 'Its disk'])
    await page.getByText(station, { exact: true }).last().waitFor();
  await page.getByText(/Done: /).waitFor();
  // The disk that the simulated machine told of, by its serial number.
  await page.getByRole('heading', { name: 'Hardware' }).waitFor();
  await look(page, '19-machine-flashed', []);
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: /Packets \(\d+\)/ }).click();
  assert.match((await download).suggestedFilename(), /^boot-.*\.pcap$/);
  await page.getByRole('link', { name: 'Boot', exact: true }).click();
  // Some of these firmwares fetch their boot program over TFTP.
  await tftp
    .locator('.fact', { hasText: 'Sent' })
    .getByText(/^[1-9]/)
    .waitFor();
  const found: string[] = [];
  await look(page, '18-boot-serving', found);
  assert.deepEqual(found, []);
  await page.getByRole('link', { name: 'Dashboard' }).click();
  await page.getByRole('link', { name: `${count} Deployed` }).waitFor();
  assert.deepEqual(opened.complaints, []);
});
