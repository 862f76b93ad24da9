import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page, Request } from 'playwright-core';
import {
  enterMachines,
  type LabAppliance,
  openPage,
  password,
  startBrowser,
  startLab,
  whyNoBrowser,
} from './lab.ts';
import { until } from './processes.ts';

const skip = whyNoBrowser();
const places = ['dashboard', 'setup', 'machines', 'images', 'boot', 'tasks', 'events', 'settings'] as const;

/** Every text that a page shows, also in the folds and for readers only, a set of lines. */
async function linesOf(page: Page): Promise<ReadonlySet<string>> {
  await page.locator('details').evaluateAll((all) => {
    for (const one of all) one.setAttribute('open', '');
  });
  const script = `(() => {
    const found = [];
    // What the appliance says of itself is English, and marked so.
    const own = 'noscript, .mono, pre, code, [lang=en]';
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode())
      if (!node.parentElement.closest(own)) found.push(node.textContent);
    for (const one of document.querySelectorAll('[aria-label], [title], [placeholder]'))
      for (const name of ['aria-label', 'title', 'placeholder']) found.push(one.getAttribute(name) ?? '');
    return found;
  })()`;
  const texts = (await page.evaluate(script)) as readonly string[];
  return new Set(texts.map((text) => text.trim()).filter((text) => text !== ''));
}

async function visit(page: Page, lab: LabAppliance, place: string): Promise<ReadonlySet<string>> {
  await page.goto(`${lab.url}/ui/${place}`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await until(() => asking.get(page)?.size === 0, `${place} has all its answers`);
  // What came last is drawn in the next frame.
  await page.evaluate('new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))');
  return linesOf(page);
}

/** Requests of each page that are not answered yet; the stream of news never is. */
const asking = new WeakMap<Page, Set<Request>>();
function watch(page: Page): void {
  const open = new Set<Request>();
  asking.set(page, open);
  page.on('request', (request) => {
    if (!request.url().includes('/events/stream')) open.add(request);
  });
  page.on('requestfinished', (request) => open.delete(request));
  page.on('requestfailed', (request) => open.delete(request));
}

async function logIn(page: Page, lab: LabAppliance, label: string, button: string): Promise<void> {
  await page.goto(`${lab.url}/ui/dashboard`);
  await page.getByLabel(label).fill(password);
  await page.getByRole('button', { name: button }).click();
  await page.getByRole('navigation').waitFor();
}

/** Two words of small letters in a row: a sentence, no name and no number. */
const sentence = /\b[a-z]{2,} [a-z]{2,}\b/;

test('in a German browser every page speaks German, also of what the appliance refuses', {
  skip,
}, async () => {
  await using lab = await startLab(['--interface', 'nosuch7', '--dhcp', 'proxy']);
  await enterMachines(lab, 3);
  await fetch(`${lab.url}/pxe/52:54:00:00:00:01`);
  await using browser = await startBrowser();
  await using german = await openPage(browser, { locale: 'de-DE' });
  await using english = await openPage(browser);
  const { page } = german;
  for (const one of [page, english.page]) watch(one);
  await logIn(page, lab, 'Passwort', 'Anmelden');
  await logIn(english.page, lab, 'Password', 'Log in');
  assert.equal(await page.locator('html').getAttribute('lang'), 'de');
  const left: string[] = [];
  for (const place of [...places, 'machines/52:54:00:00:00:01']) {
    const [there, here] = await Promise.all([visit(english.page, lab, place), visit(page, lab, place)]);
    assert.ok(here.size > 10, `${place}: ${here.size} texts`);
    for (const line of here) if (there.has(line) && sentence.test(line)) left.push(`${place}: ${line}`);
  }
  assert.deepEqual(left, []);

  // A trouble of the network, as the list of interfaces and the checklist tell it.
  await page.getByRole('link', { name: 'Start', exact: true }).click();
  await page.getByText('Es gibt keinen Netzwerkanschluss „nosuch7“.').first().waitFor();
  // A refusal, with the same words.
  await page.getByRole('link', { name: 'Einstellungen' }).click();
  await page.getByRole('heading', { level: 1, name: 'Einstellungen' }).waitFor();
  await page
    .locator('input[type=file]')
    .setInputFiles({ name: 'a.backup', mimeType: 'application/octet-stream', buffer: Buffer.alloc(5000, 7) });
  await page.getByText('Die Sicherung lässt sich nicht benutzen').waitFor();
  assert.deepEqual(german.complaints, []);

  // Chosen in the browser, it stays when the page comes anew.
  await page.getByRole('combobox', { name: /^Sprache/ }).selectOption('en');
  await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
});
