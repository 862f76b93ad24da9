import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { ElectronApplication, Page } from 'playwright-core';
import { barriers } from './axe.ts';
import { packedApp } from './packed.ts';
import { descendantsOf, isAlive, until } from './processes.ts';
import { noise } from './sample.ts';
import { Bench, leaveNetwork, whyNoSpace } from './space.ts';
import { goTo, whyNoWindow } from './steps.ts';
import { type Opened, openApp } from './window.ts';

const skip =
  whyNoWindow() ||
  whyNoSpace() ||
  (existsSync('/usr/lib/ipxe/undionly.kpxe') ? false : 'the Debian package ipxe is not installed');

before(async () => {
  if (skip) return;
  // What it is packed from may have to be fetched.
  await packedApp();
  leaveNetwork();
});

/** The live system that machines are given: nothing runs it, what matters is that it arrives. */
async function placeLiveSystem(data: string): Promise<void> {
  const boot = join(data, 'appliance', 'state', 'boot');
  await mkdir(boot, { recursive: true });
  await writeFile(join(boot, 'bty-netboot-x86_64.vmlinuz'), noise(400_000, 2));
  await writeFile(join(boot, 'bty-netboot-x86_64.initrd'), noise(1_000_000, 3));
}

async function startFull(page: Page): Promise<void> {
  await page.getByRole('radio', { name: /lab0/ }).waitFor({ state: 'attached', timeout: 30_000 });
  await page.locator('.disk').filter({ hasText: 'lab0' }).click();
  await page.locator('.disk').filter({ hasText: 'bty gives out addresses' }).click();
  await page.getByText('Answer machines on lab0 (10.77.0.1), giving out addresses.').waitFor();
  await page.getByRole('button', { name: 'Start', exact: true }).click();
}

async function running(page: Page): Promise<void> {
  await page.getByRole('heading', { name: 'Running' }).waitFor({ timeout: 60_000 });
  await page.getByText('on lab0, full').waitFor({ timeout: 30_000 });
}

/** Number of the process of the appliance. */
async function applianceOf(app: ElectronApplication): Promise<number> {
  const all = await descendantsOf(app.process().pid ?? 0);
  return all.find(({ command }) => command.includes('bty-web desktop --'))?.pid ?? 0;
}

/** Somebody else who listens on a TCP port. */
async function squat(port: number): Promise<AsyncDisposable> {
  const server = createServer().listen(port, '0.0.0.0');
  await once(server, 'listening');
  return {
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}

async function stop({ page }: Opened): Promise<void> {
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByRole('heading', { name: 'Boot machines over the network' }).waitFor({ timeout: 30_000 });
}

test('started from the window, it lists a machine that boots, tells its story, comes back when it is killed, and stops', {
  skip,
  timeout: 300_000,
}, async () => {
  await using bench = await Bench.make();
  await using desk = await openApp();
  const { page, app, data } = desk;
  await placeLiveSystem(data);
  await goTo(page, 'Network boot');
  await startFull(page);
  await running(page);
  const first = await applianceOf(app);
  assert.ok(first > 0);

  await page.getByRole('button', { name: 'Overview' }).click();
  await page.getByText('No machine was seen yet').waitFor();
  assert.deepEqual(await barriers(page), []);
  const { failed } = await bench.boot('BIOS ROM');
  assert.deepEqual(failed, []);
  const machine = page.getByRole('button', { name: /^02:5b:00:/ });
  await machine.waitFor({ timeout: 30_000 });
  await machine.click();
  for (const step of ['discover', 'offer', 'ack', 'tftp-start', 'script'])
    await page
      .locator('.step-kind', { hasText: new RegExp(`^${step}$`) })
      .first()
      .waitFor({ timeout: 30_000 });
  assert.deepEqual(await barriers(page), []);

  // It is killed by force, and is there again with the machine that it knew.
  process.kill(first, 'SIGKILL');
  await until(async () => ![0, first].includes(await applianceOf(app)), 'it was started again');
  await running(page);
  await page.getByRole('button', { name: 'Overview' }).click();
  await machine.waitFor({ timeout: 30_000 });

  await page.getByRole('button', { name: 'Log' }).click();
  await page.locator('.log-line').first().waitFor({ timeout: 30_000 });
  const second = await applianceOf(app);
  await stop(desk);
  await until(() => !isAlive(second), 'its process has ended');
  assert.deepEqual(desk.complaints, []);
});

test('what is in its way is told with advice, and over when it is gone', {
  skip,
  timeout: 300_000,
}, async () => {
  await using bench = await Bench.make();
  await using desk = await openApp();
  const { page } = desk;
  await using squatter = await squat(8080);
  await goTo(page, 'Network boot');
  await startFull(page);
  const alert = page.getByRole('alert');
  await alert.getByText('TCP port 8080 on 0.0.0.0 is held by another program.').waitFor({ timeout: 30_000 });
  await page.getByRole('textbox', { name: 'TCP port' }).fill('8090');
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await running(page);
  await page.getByText('http://10.77.0.1:8090').waitFor();
  await squatter[Symbol.asyncDispose]();

  await bench.ip('link', 'set', 'lab1', 'down');
  await alert.getByText('lab0 has no link').waitFor({ timeout: 30_000 });
  await bench.ip('link', 'set', 'lab1', 'up');
  await alert.getByText('lab0 has no link').waitFor({ state: 'detached', timeout: 30_000 });
  await stop(desk);
});
