import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { ElectronApplication, Page } from 'playwright-core';
import { look } from './look.ts';
import { packedApp } from './packed.ts';
import { descendantsOf, isAlive, until } from './processes.ts';
import { folderFor, noise } from './sample.ts';
import { Bench, leaveNetwork, whyNoSpace } from './space.ts';
import { goTo, stopAppliance, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

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
  await page.getByRole('radio', { name: /lab0/ }).waitFor({ state: 'attached' });
  await page.locator('.disk').filter({ hasText: 'lab0' }).click();
  await page.locator('.disk').filter({ hasText: 'bty gives out addresses' }).click();
  await page.getByText('Answer machines on lab0 (10.77.0.1), giving out addresses.').waitFor();
  await page.getByRole('textbox', { name: 'First address' }).fill('10.77.100.7');
  await page.getByRole('button', { name: 'Start', exact: true }).click();
}

async function running(page: Page): Promise<void> {
  await page.getByRole('heading', { name: 'Running' }).waitFor();
  await page.getByText('on lab0, full').waitFor();
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

/** Waits until the appliance leases the addresses that were chosen. */
async function chosenAddressesInForce(data: string): Promise<void> {
  const settings = join(data, 'appliance', 'state', 'dhcp', 'settings.json');
  await until(
    async () => (await readFile(settings, 'utf8').catch(() => '')).includes('10.77.100.7'),
    'the chosen addresses are in force',
  );
}

test('started from the window, it lists a machine that boots, tells its story, comes back when it is killed, and stops', {
  skip,
  timeout: 1_800_000,
}, async () => {
  await using bench = await Bench.make();
  await using desk = await openApp();
  const { page, app, data } = desk;
  await placeLiveSystem(data);
  const found: string[] = [];
  await goTo(page, 'Network boot');
  await page.getByRole('radio', { name: /lab0/ }).waitFor({ state: 'attached' });
  await look(page, '14-network-boot', found);
  await startFull(page);
  await running(page);
  const first = await applianceOf(app);
  assert.ok(first > 0);

  await page.getByRole('button', { name: 'Overview' }).click();
  await page.getByText('No machine was seen yet').waitFor();
  await look(page, '15-network-boot-waiting', found);
  await chosenAddressesInForce(data);
  const { failed } = await bench.boot('BIOS ROM');
  assert.deepEqual(failed, []);
  await page.getByRole('cell', { name: '10.77.100.7' }).waitFor();
  const machine = page.getByRole('button', { name: /^02:5b:00:/ });
  await machine.waitFor();
  await machine.click();
  for (const step of ['discover', 'offer', 'ack', 'tftp-start', 'script'])
    await page
      .locator('.step-kind', { hasText: new RegExp(`^${step}$`) })
      .first()
      .waitFor();
  await look(page, '16-network-boot-story', found);

  // It is killed by force, and is there again with the machine that it knew.
  process.kill(first, 'SIGKILL');
  await until(async () => ![0, first].includes(await applianceOf(app)), 'it was started again');
  await running(page);
  await page.getByRole('button', { name: 'Overview' }).click();
  await machine.waitFor();

  await page.getByRole('button', { name: 'Log' }).click();
  await page.locator('.log-line').first().waitFor();
  await look(page, '17-network-boot-log', found);
  const second = await applianceOf(app);
  await stopAppliance(desk.page);
  await until(() => !isAlive(second), 'its process has ended');
  assert.deepEqual(found, []);
  assert.deepEqual(desk.complaints, []);
});

test('what is in its way is told with advice, and over when it is gone', {
  skip,
  timeout: 1_800_000,
}, async () => {
  await using bench = await Bench.make();
  await using desk = await openApp();
  const { page } = desk;
  await using squatter = await squat(8080);
  await goTo(page, 'Network boot');
  await startFull(page);
  const alert = page.getByRole('alert');
  await alert.getByText('TCP port 8080 on 0.0.0.0 is held by another program.').waitFor();
  const found: string[] = [];
  await look(page, '20-network-boot-trouble', found);
  assert.deepEqual(found, []);
  await page.getByRole('textbox', { name: 'TCP port' }).fill('8090');
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await running(page);
  await page.getByText('http://10.77.0.1:8090').waitFor();
  await squatter[Symbol.asyncDispose]();

  await bench.ip('link', 'set', 'lab1', 'down');
  await alert.getByText('lab0 has no link').waitFor();
  await bench.ip('link', 'set', 'lab1', 'up');
  await alert.getByText('lab0 has no link').waitFor({ state: 'detached' });
  await stopAppliance(desk.page);

  // Somebody else answers DHCP here.
  const socket = createSocket('udp4').bind(67);
  await once(socket, 'listening');
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await running(page);
  await alert.getByText('UDP port 67 on lab0 is held by').waitFor();
  await alert.getByText('Stop that program, or choose another interface or port.').waitFor();
  socket.close();

  await bench.takeAway();
  await alert.getByText('There is no network interface "lab0"').waitFor();
  await stopAppliance(desk.page);
});

/** What the appliance's own pages are like, asked in them. */
async function inPages<Value>(app: ElectronApplication, script: string): Promise<Value> {
  const found = await app.evaluate(({ webContents }, text) => {
    const pages = webContents.getAllWebContents().find((one) => one.getURL().startsWith('http://127.0.0.1:'));
    return pages?.executeJavaScript(text) as Promise<unknown> | undefined;
  }, script);
  return found as Value;
}

async function closeWindow(app: ElectronApplication): Promise<void> {
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
}

test('its own pages need no password and go nowhere else; left running it is found again; closing asks first', {
  skip,
  timeout: 1_800_000,
}, async (context) => {
  const data = await folderFor(context);
  await placeLiveSystem(data);
  await using bench = await Bench.make();
  let left = 0;
  {
    await using desk = await openApp({ data });
    const { page, app } = desk;
    await goTo(page, 'Network boot');
    await page.getByText('Keep running when the app is closed').click();
    await startFull(page);
    await running(page);
    left = await applianceOf(app);
    context.after(() => {
      if (isAlive(left)) process.kill(left, 'SIGKILL');
    });
    await until(async () => {
      const text = await inPages<string | undefined>(app, 'document.body.innerText');
      return (text?.length ?? 0) > 40;
    }, 'the pages are drawn');
    assert.equal(await inPages(app, 'location.href'), 'http://127.0.0.1:8080/ui/dashboard');
    const who = await inPages<{ kind: string }>(app, `fetch('/access/who').then((answer) => answer.json())`);
    assert.equal(who.kind, 'session');
    assert.equal(await inPages(app, 'typeof require + typeof process + typeof bty'), 'undefined'.repeat(3));
    assert.equal(await inPages(app, 'String(window.open("https://example.org/"))'), 'null');
    await inPages(app, `location.href = 'http://10.77.0.1:8080/'; 1`);
    assert.equal(
      await inPages(app, `fetch('http://10.77.0.1:8080/healthz').then(() => 'reached', () => 'no')`),
      'no',
    );
    assert.equal(await inPages(app, 'location.href'), 'http://127.0.0.1:8080/ui/dashboard');

    // What lets the pages in stands in no log, no command line and no file of the app.
    const cookie = await app.evaluate(async ({ session }) => {
      const [found] = await session.fromPartition('appliance').cookies.get({ name: 'bty-token' });
      return found?.value ?? '';
    });
    assert.ok(cookie.length > 20);
    const files = ['log.txt', '../appliance.json'].map((name) => join(data, 'appliance', name));
    const texts = await Promise.all(
      [...files, `/proc/${left}/cmdline`].map((path) => readFile(path, 'utf8')),
    );
    assert.equal(texts.join('').includes(cookie), false);

    const ended = once(app.process(), 'exit');
    await closeWindow(app);
    await ended;
    assert.ok(isAlive(left), 'it goes on without the app');
  }
  await using desk = await openApp({ data });
  const { page, app } = desk;
  await goTo(page, 'Network boot');
  await running(page);
  await chosenAddressesInForce(data);
  const { failed } = await bench.boot('iPXE');
  assert.deepEqual(failed, []);
  await page.getByRole('button', { name: 'Overview' }).click();
  await page.getByRole('button', { name: /^02:5b:00:/ }).waitFor();
  await page.getByRole('button', { name: 'Password for other browsers…' }).click();
  const seen: string[] = [];
  await look(page, '18-other-browsers', seen);
  await page.getByRole('button', { name: 'Make a new password' }).click();
  const password = (await page.locator('.password').textContent()) ?? '';
  const body = new URLSearchParams({ password });
  const login = await fetch('http://127.0.0.1:8080/ui/login', { method: 'POST', body, redirect: 'manual' });
  assert.equal(login.status, 303);
  await page.keyboard.press('Escape');
  // The new password ended the app's session as well; it has another one.
  await page.getByRole('button', { name: 'Pages' }).click();
  await until(async () => {
    const status = await inPages<number>(app, `fetch('/access/who').then(({ status }) => status)`);
    return status === 200;
  }, 'the pages are let in again');
  await stopAppliance(desk.page);
  await until(() => !isAlive(left), 'the one that was left running has ended');

  await page.getByText('Keep running when the app is closed').click();
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await running(page);
  const other = await applianceOf(app);
  await closeWindow(app);
  await page.getByRole('alertdialog', { name: 'The appliance is running' }).waitFor();
  await look(page, '19-network-boot-leaving', seen);
  assert.deepEqual(seen, []);
  await page.getByRole('button', { name: 'Do not close' }).click();
  await closeWindow(app);
  const ended = once(app.process(), 'exit');
  await page.getByRole('button', { name: 'Stop it' }).click();
  await ended;
  assert.equal(isAlive(other), false);
});
