import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { barriers } from './axe.ts';
import { faucet } from './faucet.ts';
import { loopDisk } from './loop.ts';
import { packedApp } from './packed.ts';
import { until } from './processes.ts';
import { folderFor, noise, partitionedImage } from './sample.ts';
import { flash, goTo, inspected, result, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

const skip = whyNoWindow();
const MiB = 1 << 20;

test('the page has no way out of its window', { skip }, async () => {
  await using desk = await openApp();
  const { page, app } = desk;
  const seen = await page.evaluate(`({
    node: typeof require + typeof process + typeof module,
    door: Object.keys(window.bty).sort().join(),
    opened: String(window.open('https://example.org/')),
  })`);
  assert.deepEqual(seen, { node: 'undefinedundefinedundefined', door: 'call,on,onDrop', opened: 'null' });

  const preferences = await app.evaluate(({ BrowserWindow }) => {
    const contents = BrowserWindow.getAllWindows()[0]?.webContents as unknown as {
      getLastWebPreferences(): Record<string, unknown>;
    };
    const { sandbox, contextIsolation, nodeIntegration, webviewTag, webSecurity } =
      contents.getLastWebPreferences();
    return { sandbox, contextIsolation, nodeIntegration, webviewTag, webSecurity };
  });
  assert.deepEqual(preferences, {
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
    webviewTag: false,
    webSecurity: true,
  });

  const before = page.url();
  await page.evaluate(`location.href = 'https://example.org/'`);
  await page.evaluate(`location.href = 'file:///etc/passwd'`);
  assert.equal(page.url(), before);
  const markup = await page.evaluate(`(() => {
    try { document.createElement('div').innerHTML = '<b>text</b>'; return 'taken'; } catch (error) { return error.name; }
  })()`);
  assert.equal(markup, 'TypeError', 'text never becomes a page or a program');
  const reached =
    await page.evaluate(`Promise.allSettled([fetch('https://example.org/'), fetch('bty-app://window/../main.cjs')])
    .then((all) => all.map(({ status, value }) => status === 'rejected' || value.status === 404))`);
  assert.deepEqual(reached, [true, true]);

  const answers = (await page.evaluate(`Promise.all([
    window.bty.call('shell.run', { text: 'id' }),
    window.bty.call('hello', { more: 1 }),
    window.bty.call('flash.start', { disks: ['/dev/vda|1||1'], verify: 'full', allowSystem: false, allowCut: false }),
    window.bty.call('__proto__', {}),
  ])`)) as { ok: boolean; failure: { code: string } }[];
  assert.deepEqual(
    answers.map(({ ok, failure }) => [ok, failure.code]),
    [
      [false, 'MESSAGE_REFUSED'],
      [false, 'MESSAGE_REFUSED'],
      [false, 'IMAGE_NOT_CHOSEN'],
      [false, 'MESSAGE_REFUSED'],
    ],
  );
});

test('while it writes it keeps awake, shows progress, asks before it closes; links and second starts come to the same window', {
  skip,
}, async (context) => {
  const image = await partitionedImage(join(await folderFor(context), 'second.img'), 8 * MiB);
  const bytes = noise(16 * MiB, 9);
  await using source = await faucet(bytes, 8 * MiB, 'linked.img');
  await using disk = await loopDisk(20 * MiB);
  await using desk = await openApp({ settings: { allowLoops: true } });
  const { page, app, data, display } = desk;

  const { executable } = await packedApp();
  const again = async (word: string) => {
    const child = spawn(executable, ['--no-sandbox', '--disable-gpu', `--user-data-dir=${data}`, word], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, DISPLAY: display.name },
      stdio: 'ignore',
    });
    await once(child, 'exit');
  };
  await again(image);
  await inspected(page, 'second.img');
  await page.getByRole('button', { name: 'Change' }).click();
  await again(`bty://flash?image=${encodeURIComponent(source.url)}`);
  await inspected(page, 'linked.img');
  await page.getByText('A link asked to open this image').waitFor();

  await flash(page, disk.path);
  await page.getByRole('heading', { name: 'Writing linked.img' }).waitFor();
  await until(
    async () =>
      /^\d+ % · bty$/.test(
        await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.getTitle() ?? ''),
      ),
    'the title tells progress',
  );
  const awake = () =>
    app.evaluate(({ powerSaveBlocker }) => [0, 1, 2].some((id) => powerSaveBlocker.isStarted(id)));
  assert.equal(await awake(), true);
  await again(image);
  await page.getByRole('alert').getByText('Something is being written already.').waitFor();
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
  await page.getByRole('alertdialog').waitFor();
  await page.getByRole('button', { name: 'Keep writing' }).click();
  source.open();
  await result(page, 'Written and verified');
  await until(async () => !(await awake()), 'it may sleep again');

  await goTo(page, 'History');
  await page.getByRole('cell', { name: 'linked.img' }).waitFor();
  const history = () => readFile(join(data, 'history.json'), 'utf8').catch(() => '[]');
  await until(async () => (await history()).includes('linked.img'), 'the history is kept');
  const kept = JSON.parse(await history()) as { outcome: string; written: number }[];
  assert.deepEqual([kept[0]?.outcome, kept[0]?.written], ['done', 16 * MiB]);
  await page.getByRole('button', { name: 'Clear the history' }).click();
  await page.getByText('Nothing was written yet.').waitFor();
});

test('by keyboard alone, in German, in the smallest window: a disk to try with is written', {
  skip,
}, async (context) => {
  const image = await partitionedImage(join(await folderFor(context), 'taste.img'), 4 * MiB);
  await using desk = await openApp({ settings: { virtualDisk: 64 * MiB, language: 'de' }, words: [image] });
  const { page, app } = desk;
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.setSize(640, 480));
  await page.getByRole('article', { name: 'taste.img' }).waitFor();
  await page.getByText('Datenträger zum Ausprobieren').first().waitFor();
  const wide = await page.evaluate(
    'document.documentElement.scrollWidth > document.documentElement.clientWidth',
  );
  assert.equal(wide, false, 'nothing is cut off sideways');
  assert.deepEqual(await barriers(page), []);

  const focused = () =>
    page.evaluate(`(() => {
    const at = document.activeElement;
    if (!at || at === document.body || at.tagName === 'MAIN') return '';
    return (at?.closest('label')?.textContent || at?.textContent || at?.tagName || '').trim();
  })()`) as Promise<string>;
  const tabTo = async (text: RegExp) => {
    for (let step = 0; step < 40; step++) {
      if (text.test(await focused())) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`${text} cannot be reached by Tab; last: ${await focused()}`);
  };
  await tabTo(/Datenträger zum Ausprobieren/);
  await page.keyboard.press('Space');
  await page.getByText('Nichts Echtes wird berührt').waitFor();
  await tabTo(/Alles zurücklesen/);
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Schreiben');
  const outline = await page.evaluate(`getComputedStyle(document.activeElement).outlineStyle`);
  assert.equal(outline, 'solid', 'the focus is seen');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Geschrieben und geprüft' }).waitFor();
  assert.equal(
    await page.evaluate('document.activeElement?.tagName'),
    'MAIN',
    'the focus moved to the new screen',
  );
  assert.deepEqual(desk.complaints, []);
});

test('every switch of the settings does what it says, a report goes where the person says, and the end is told', {
  skip,
}, async (context) => {
  const folder = await folderFor(context);
  const image = await partitionedImage(join(folder, 'kept.img'), 4 * MiB);
  await using loop = await loopDisk(8 * MiB);
  await using desk = await openApp({ words: [image] });
  const { page, app, data } = desk;
  const settings = async () =>
    JSON.parse(await readFile(join(data, 'settings.json'), 'utf8').catch(() => '{}')) as Record<
      string,
      unknown
    >;
  const flip = (label: string) => page.locator('.switch').filter({ hasText: label }).click();
  const loopRow = page.locator('.disk').filter({ hasText: loop.path });
  const tryRow = page.locator('.disk').filter({ hasText: 'Disk to try with' });
  await inspected(page, 'kept.img');
  assert.equal(await loopRow.count(), 0);

  await goTo(page, 'Settings');
  await flip('Allow loop devices');
  await flip('Disk to try with');
  await until(async () => (await settings()).allowLoops === true, 'loop devices are allowed');
  await goTo(page, 'Flash');
  await loopRow.waitFor();
  await tryRow.waitFor();
  await goTo(page, 'Settings');
  await flip('Allow loop devices');
  await page.getByRole('button', { name: /Verification/ }).click();
  await page.getByRole('option', { name: 'Do not verify' }).click();
  await until(async () => (await settings()).verify === 'none', 'nothing is verified');
  await goTo(page, 'Flash');
  await loopRow.waitFor({ state: 'detached' });

  // What would be told to the desktop and asked of it is taken down here: nobody sits in front of this one.
  await app.evaluate(
    ({ dialog, Notification, BrowserWindow }, place) => {
      const seen = globalThis as unknown as { told: string[]; asked: string[] };
      seen.told = [];
      seen.asked = [];
      Notification.isSupported = () => true;
      Notification.prototype.show = function (this: Electron.Notification) {
        seen.told.push(`${this.title}: ${this.body}`);
      };
      dialog.showSaveDialog = async (...words: unknown[]) => {
        const { title, defaultPath } = words[1] as { title: string; defaultPath: string };
        seen.asked.push(`${title}: ${defaultPath.split('/').at(-1)}`);
        return { canceled: seen.asked.length === 1, filePath: place };
      };
      const [window] = BrowserWindow.getAllWindows();
      if (window) window.isFocused = () => false;
    },
    join(folder, 'report.txt'),
  );
  await tryRow.click();
  await page.getByRole('button', { name: 'Flash', exact: true }).last().click();
  await result(page, 'Written, not verified');
  const seen = () =>
    app.evaluate(() => {
      const { told, asked } = globalThis as unknown as { told: string[]; asked: string[] };
      return { told, asked };
    });
  await until(async () => (await seen()).told.length > 0, 'the end is told');
  assert.deepEqual((await seen()).told, ['Written, not verified: kept.img']);

  const save = page.getByRole('button', { name: 'Save report…' });
  await save.click();
  await until(async () => (await seen()).asked.length === 1, 'it was asked where to');
  assert.equal(await page.getByText('Saved.').count(), 0, 'it was not said to be saved');
  await assert.rejects(readFile(join(folder, 'report.txt')));
  await save.click();
  await page.getByText('Saved.').waitFor();
  assert.deepEqual((await seen()).asked[1], 'Save report: bty-report.txt');
  const report = await readFile(join(folder, 'report.txt'), 'utf8');
  assert.match(report, /^bty \d.*\nImage: .*kept\.img\n/);
  assert.match(report, /Outcome: done, not verified/);

  await goTo(page, 'History');
  await page.getByRole('cell', { name: 'kept.img' }).waitFor();
  await goTo(page, 'Settings');
  await flip('Keep a history');
  await until(async () => (await settings()).keepHistory === false, 'no history is kept');
  await goTo(page, 'History');
  await page.getByText('The history is switched off in the settings.').waitFor();
  assert.equal(await page.getByRole('cell').count(), 0);
  await goTo(page, 'Settings');
  await page.getByRole('button', { name: /Language/ }).click();
  await page.getByRole('option', { name: 'Deutsch' }).click();
  await page.getByRole('heading', { name: 'Einstellungen' }).waitFor();
  assert.deepEqual(desk.complaints, []);
});
