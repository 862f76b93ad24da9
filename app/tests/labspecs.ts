/**
 * What people do in the appliance's pages, wherever these are shown: in a browser, and in the window of the desktop app.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { barriers } from './axe.ts';
import { type LabAppliance, macOf } from './lab.ts';
import { noise } from './sample.ts';

export interface Home {
  readonly page: Page;
  readonly lab: Pick<LabAppliance, 'url' | 'stateDir' | 'ask' | 'cookie'>;
}

/** The page of the machines is open, and there is none yet. */
export async function seeMachineAppear({ page, lab }: Home): Promise<void> {
  await page.getByText('No machine has shown up yet').waitFor();
  assert.deepEqual(await barriers(page), []);
  await fetch(`${lab.url}/pxe/${macOf(1)}`);
  await page.getByRole('link', { name: macOf(1) }).click();
  await page.getByRole('heading', { name: macOf(1) }).waitFor();
  await page.getByText('iPXE and its script').waitFor();
  await page.getByText(/starts the live system and waits for somebody at its console/).waitFor();
  assert.deepEqual(await barriers(page), []);
  await lab.ask('DELETE', `/machines/${macOf(1)}`);
}

/** Twelve machines and an image, then: delete three, and roll the image out to nine, one of which fails. */
export async function deleteAndRollOut({ page, lab }: Home): Promise<void> {
  for (let index = 1; index <= 12; index++)
    await lab.ask('PUT', `/machines/${macOf(index)}`, { labels: { rack: index <= 9 ? 'a' : 'b' } });
  await fetch(`${lab.url}/images/a.img`, {
    method: 'PUT',
    headers: { cookie: await lab.cookie() },
    body: new Uint8Array(noise(100_000, 3)),
  });
  await page.goto(`${lab.url}/ui/machines?label=rack%3Db`);
  await page.getByText('3 of 12 machines').waitFor();
  await page.getByRole('checkbox', { name: 'Select all that are shown' }).check();
  await page.getByRole('button', { name: 'Delete…' }).click();
  const sheet = page.getByRole('alertdialog');
  assert.equal(await sheet.getByRole('button', { name: 'Delete' }).isDisabled(), true);
  await sheet.getByLabel('Type 3 to go on').fill('3');
  await sheet.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('3 machines changed.').waitFor();
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await page.getByText('9 machines', { exact: true }).waitFor();

  await page.getByRole('checkbox', { name: 'Select all that are shown' }).check();
  await page.getByRole('button', { name: 'Roll out…' }).click();
  await sheet.getByLabel('Image').selectOption({ label: 'a.img' });
  await sheet.getByLabel('Type 9 to go on').fill('9');
  await sheet.getByRole('button', { name: 'Begin with one machine' }).click();
  await page.getByText('Wave 1 of 3: 0 of 9 flashed').waitFor();
  const armed = async () => {
    const all = (await lab.ask('GET', '/machines')) as readonly {
      readonly state: { readonly phase: string };
    }[];
    return all.filter(({ state }) => state.phase === 'armed').length;
  };
  assert.equal(await armed(), 1);
  // The predecessor's "done" from the address that fetched the script: the machine was flashed.
  await mkdir(join(lab.stateDir, 'boot'), { recursive: true });
  for (const name of ['vmlinuz', 'initrd'])
    await writeFile(join(lab.stateDir, 'boot', `bty-netboot-x86_64.${name}`), 'x');
  // It goes on while no page is open at all.
  await page.goto('about:blank');
  await flashed(lab, 1);
  while ((await armed()) !== 1) await page.waitForTimeout(50);
  await page.goto(`${lab.url}/ui/machines`);
  await page.getByText('Wave 2 of 3: 1 of 9 flashed').waitFor();
  await lab.ask('DELETE', `/machines/${macOf(2)}`);
  await page.getByText(/Stopped: 1 of 2 failed, more than allowed. Machines left alone: 7/).waitFor();
  assert.equal(await armed(), 0);
}

/** The machine asks for its script, and tells that it was flashed. */
async function flashed(lab: Home['lab'], index: number): Promise<void> {
  const path = `${lab.url}/pxe/${macOf(index)}`;
  const script = await (await fetch(path)).text();
  const answer = await fetch(`${path}/done`, { method: 'POST' });
  assert.equal(answer.status, 204, `${await answer.text()} after ${script}`);
}

/** An image is uploaded from a file and is there, read and whole; a second one of its name is asked about. */
export async function uploadAndKnow({ page, lab }: Home): Promise<void> {
  await page.goto(`${lab.url}/ui/images`);
  await page.getByRole('heading', { level: 1, name: 'Images' }).waitFor();
  const bytes = noise(20 << 20, 9);
  const folder = await mkdtemp(join(tmpdir(), 'bty-lab-file-'));
  const file = join(folder, 'upload.img');
  await writeFile(file, bytes);
  const choose = page.locator('input[type=file]').first();
  await choose.setInputFiles(file);
  await page.getByText('upload.img is uploaded.').waitFor();
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await page.getByTitle(sha256).waitFor();
  await choose.setInputFiles(file);
  const question = page.getByRole('alertdialog', { name: 'Replace upload.img?' });
  await question.getByRole('button', { name: 'Cancel' }).click();
  await question.waitFor({ state: 'detached' });
  await rm(folder, { recursive: true });
}
