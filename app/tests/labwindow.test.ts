import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { ElectronApplication, Page } from 'playwright-core';
import { deleteAndRollOut, type Home, seeMachineAppear, uploadAndKnow } from './labspecs.ts';
import { packedApp } from './packed.ts';
import { until } from './processes.ts';
import { Bench, leaveNetwork, whyNoSpace } from './space.ts';
import { goTo, stopAppliance, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

const skip =
  whyNoWindow() ||
  whyNoSpace() ||
  (existsSync('/usr/lib/ipxe/undionly.kpxe') ? false : 'the Debian package ipxe is not installed');
const url = 'http://127.0.0.1:8080';

before(async () => {
  if (skip) return;
  await packedApp();
  leaveNetwork();
});

/** The appliance's pages inside the window. */
async function pagesOf(app: ElectronApplication): Promise<Page> {
  const found = () => app.windows().find((page) => page.url().startsWith(url));
  await until(() => found() !== undefined, 'the pages are there');
  const page = found();
  if (!page) throw new Error('the pages are gone');
  return page;
}

async function sessionOf(app: ElectronApplication): Promise<string> {
  const value = await app.evaluate(async ({ session }) => {
    const [found] = await session.fromPartition('appliance').cookies.get({ name: 'bty-token' });
    return found?.value ?? '';
  });
  return `bty-token=${value}`;
}

/** The connections of the pages break; they are back at once, and know what was changed meanwhile. */
async function missAndCatchUp(app: ElectronApplication, page: Page, lab: Home['lab']): Promise<void> {
  const mac = '52:54:00:00:00:77';
  await lab.ask('PUT', `/machines/${mac}`, { hostname: 'before' });
  await page.goto(`${url}/ui/machines/${mac}`);
  await page.getByRole('heading', { level: 1, name: 'before' }).waitFor();
  await lab.ask('PATCH', `/machines/${mac}`, { hostname: 'heard' });
  await page.getByRole('heading', { level: 1, name: 'heard' }).waitFor();
  await app.evaluate(({ session }) => session.fromPartition('appliance').closeAllConnections());
  await lab.ask('PATCH', `/machines/${mac}`, { hostname: 'missed' });
  await page.getByRole('heading', { level: 1, name: 'missed' }).waitFor();
}

/** All sessions end, also the app's own: it makes another one, and the page goes on where it was without a password. */
async function endAndComeBack(app: ElectronApplication, page: Page, lab: Home['lab']): Promise<void> {
  const before = await sessionOf(app);
  await page.getByLabel('Notes').fill('half written');
  await lab.ask('DELETE', '/access/sessions');
  await until(async () => (await sessionOf(app)) !== before, 'the app has another session');
  // The page may have found out that the former one ended; then it finds the new one, too.
  await page.getByText('Your session has ended').waitFor({ state: 'detached' });
  assert.equal(await page.getByLabel('Notes').inputValue(), 'half written');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
}

test('the pages do the same in the window of the desktop app as in a browser', {
  skip,
  timeout: 1_800_000,
}, async () => {
  await using _bench = await Bench.make();
  await using desk = await openApp();
  const { page: window, app, data } = desk;
  await goTo(window, 'Network boot');
  await window.getByRole('radio', { name: /lab0/ }).waitFor({ state: 'attached' });
  await window.locator('.disk').filter({ hasText: 'lab0' }).click();
  await window.getByRole('button', { name: 'Start', exact: true }).click();
  await window.getByRole('heading', { name: 'Running' }).waitFor();
  const page = await pagesOf(app);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  const lab: Home['lab'] = {
    url,
    stateDir: join(data, 'appliance', 'state'),
    cookie: () => sessionOf(app),
    ask: async (method, path, body) => {
      const init = body === undefined ? {} : { body: JSON.stringify(body) };
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: { cookie: await sessionOf(app) },
        ...init,
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}: ${text}`);
      return text === '' ? null : JSON.parse(text);
    },
  };
  await page.getByRole('link', { name: 'Machines', exact: true }).click();
  await seeMachineAppear({ page, lab });
  await deleteAndRollOut({ page, lab });
  await uploadAndKnow({ page, lab });
  await missAndCatchUp(app, page, lab);
  await endAndComeBack(app, page, lab);
  for (const [place, heading] of [
    ['Images', 'Images'],
    ['Boot', 'Boot'],
    ['Tasks', 'Tasks'],
    ['Events', 'Events'],
    ['Settings', 'Settings'],
  ] as const) {
    await page.getByRole('link', { name: place, exact: true }).click();
    await page.getByRole('heading', { level: 1, name: heading }).waitFor();
  }
  assert.deepEqual(complaints, []);
  assert.deepEqual(desk.complaints, []);
  await stopAppliance(window);
});
