import assert from 'node:assert/strict';
import { test } from 'node:test';
import { barriers } from './axe.ts';
import { enter, openPage, password, startBrowser, startLab, whyNoBrowser } from './lab.ts';

const skip = whyNoBrowser();

test('a wrong password is told, the right one leads to the page that was asked for', { skip }, async () => {
  await using lab = await startLab();
  await using browser = await startBrowser();
  await using opened = await openPage(browser);
  const { page } = opened;
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
  await using lab = await startLab();
  await using browser = await startBrowser();
  await using opened = await openPage(browser);
  const { page } = opened;
  await enter(page, lab, '/ui/machines');
  await page.getByText('No machine has shown up yet').waitFor();
  assert.deepEqual(await barriers(page), []);
  await fetch(`${lab.url}/pxe/52:54:00:00:00:01`);
  await page.getByRole('link', { name: '52:54:00:00:00:01' }).click();
  await page.getByRole('heading', { name: '52:54:00:00:00:01' }).waitFor();
  await page.getByText('iPXE and its script').waitFor();
  await page.getByText(/starts the live system and waits for somebody at its console/).waitFor();
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(opened.complaints, []);
});
