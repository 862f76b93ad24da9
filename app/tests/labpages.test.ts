import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { enter, type LabAppliance, openLab, whyNoBrowser } from './lab.ts';
import { look } from './lablook.ts';
import { noise } from './sample.ts';

const skip = whyNoBrowser();

/** A small lab: an image, machines in several states, one that booted. */
async function furnish(lab: LabAppliance): Promise<void> {
  const names = ['debian-13.img', 'ubuntu-26.04.img'];
  for (const [index, name] of names.entries())
    await fetch(`${lab.url}/images/${name}`, {
      method: 'PUT',
      headers: { cookie: await lab.cookie() },
      body: new Uint8Array(noise(300_000, index + 2)),
    });
  let images: readonly { readonly sha256: string | null }[] = [];
  for (let tries = 0; images.length < names.length && tries < 300; tries++) {
    images = (await lab.ask('GET', '/images')) as readonly { readonly sha256: string | null }[];
    await wait(100);
  }
  for (let index = 1; index <= 24; index++) {
    const mac = `52:54:00:00:01:${index.toString(16).padStart(2, '0')}`;
    const policy = index % 4 === 0 ? 'flash-once' : index % 7 === 0 ? 'inventory' : 'local';
    await lab.ask('PUT', `/machines/${mac}`, {
      hostname: `node-${String(index).padStart(2, '0')}`,
      image_sha256: index % 5 === 0 ? null : images[index % 2]?.sha256,
      boot_policy: policy,
      labels: { rack: `b${1 + (index % 3)}` },
    });
  }
  await fetch(`${lab.url}/pxe/52:54:00:00:01:01`);
}

test('nothing stands in the way of anybody on any page, light or dark, wide or narrow', {
  skip,
}, async () => {
  await using opened = await openLab();
  const { lab, page } = opened;
  const found: string[] = [];
  await enter(page, lab);
  const goTo = async (path: string, heading: string | RegExp) => {
    await page.goto(`${lab.url}/ui/${path}`);
    await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    await page.waitForLoadState('networkidle', { timeout: 2000 }).catch(() => undefined);
  };
  await goTo('dashboard', 'Dashboard');
  await page.getByText('Is everything ready?').waitFor();
  await look(page, '01-dashboard-empty', found);
  await goTo('machines', 'Machines');
  await page.getByText('No machine has shown up yet').waitFor();
  await look(page, '02-machines-empty', found);
  await goTo('images', 'Images');
  await page.getByText('No image yet').waitFor();
  await look(page, '03-images-empty', found);
  await goTo('setup', 'Set up the appliance');
  await look(page, '04-setup', found);

  await furnish(lab);
  await goTo('dashboard', 'Dashboard');
  await page.getByText('24').first().waitFor();
  await look(page, '05-dashboard', found);
  await goTo('machines', 'Machines');
  await page.getByRole('link', { name: '52:54:00:00:01:05' }).waitFor();
  await look(page, '06-machines', found);
  await page.getByRole('checkbox', { name: 'Select 52:54:00:00:01:05' }).check();
  await page.getByRole('checkbox', { name: 'Select 52:54:00:00:01:06' }).check();
  await look(page, '07-selected', found);
  await page.getByRole('button', { name: 'Roll out…' }).click();
  await page.getByRole('alertdialog').waitFor();
  await look(page, '08-rollout', found);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await goTo('machines/52:54:00:00:01:01', 'node-01');
  await page.getByText('iPXE and its script').waitFor();
  await look(page, '09-machine', found);
  await page.getByRole('button', { name: 'Print label' }).click();
  await page.getByRole('dialog').waitFor();
  await look(page, '10-label', found);
  await goTo('machines/52:54:00:00:ff:ff', /52:54:00:00:ff:ff/);
  await page.getByText('There is no machine').waitFor();
  await look(page, '11-no-machine', found);
  await goTo('images', 'Images');
  await page.getByText('debian-13.img').first().waitFor();
  await look(page, '12-images', found);
  await goTo('boot', 'Boot');
  await page.getByRole('button', { name: 'Explain' }).click();
  await look(page, '13-boot', found);
  await goTo('events', 'Events');
  await page.getByText(/Chain unbroken/).waitFor();
  await look(page, '14-events', found);
  await goTo('settings', 'Settings');
  await page.getByText('this one', { exact: true }).waitFor();
  await look(page, '15-settings', found);
  const backup = await fetch(`${lab.url}/backup`, { headers: { cookie: await lab.cookie() } });
  const buffer = Buffer.from(await backup.arrayBuffer());
  const file = { name: 'rack-b.backup', mimeType: 'application/octet-stream', buffer };
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByRole('alertdialog').waitFor();
  await look(page, '17-restore', found);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await goTo('nowhere', 'There is no page here');
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await look(page, '16-keys', found);
  assert.deepEqual([...new Set(found)], []);
  assert.deepEqual(opened.complaints, []);
});
