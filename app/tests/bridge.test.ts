/** A page that was taken over: what it can send, reach and make of its window. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from './processes.ts';
import { folderFor } from './sample.ts';
import { whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

const skip = whyNoWindow();
/** What a preload asks for by this name; the tests themselves do without it. */
const framework = 'electron';

test('whatever the page sends, what the contract does not know is refused and changes nothing', {
  skip,
}, async () => {
  await using desk = await openApp();
  const { page, app } = desk;
  const before = await page.evaluate(`window.bty.call('hello', {}).then(({ value }) => value.settings)`);
  // Built in the page: much of it cannot be said in JSON.
  const answers = (await page.evaluate(`(async () => {
    let deep = [];
    for (let depth = 0; depth < 900; depth++) deep = [deep];
    const inherited = Object.create({ verify: 'none' });
    const odd = [
      undefined, null, 0, NaN, '', 'hello', [], [{}], true, 1n, new Date(), new Map([['verify', 'none']]), deep,
      JSON.parse('{"__proto__":{"verify":"none"}}'), { ['constructor']: { prototype: {} } }, { verify: ['none'] },
      { verify: { toString: 'none' } }, { virtualDisk: -1 }, { virtualDisk: 2 ** 60 }, { virtualDisk: 1.5e6 + 0.5 },
      { virtualDisk: Infinity }, { catalogs: 'x' }, { catalogs: Array.from({ length: 33 }, () => 'x') },
      { catalogs: ['x'.repeat(5000)] }, { catalogs: [''] }, { language: 'fr' }, { keepHistory: 1 }, { location: 7 },
      { location: '' }, { location: 'x'.repeat(5000) }, { location: '/a', sha256: 'A'.repeat(64) },
      { location: '/a', exec: 'sh' }, { job: 0 }, { job: 1.5 }, { job: '1' }, { text: 'x'.repeat(2 ** 20 + 1) },
      { disks: [], verify: 'full', allowSystem: false, allowCut: false },
      { disks: [{ path: '/dev/vda' }], verify: 'full', allowSystem: false, allowCut: false },
      { disks: ['/dev/vda'], verify: 'full', allowSystem: 'yes', allowCut: false },
      { disks: Array.from({ length: 65 }, () => 'x'), verify: 'full', allowSystem: true, allowCut: true },
    ];
    const operations = ['settings.change', 'image.inspect', 'flash.start', 'flash.add', 'flash.cancel', 'report.save',
      'text.copy', 'catalog.list', 'recent.forget', 'appliance.start', 'appliance.frame', 'appliance.watch',
      'window.leave', 'toString', '__proto__', 'constructor', '', 'x'.repeat(2 ** 20), {}, [], null, undefined, 7,
      { toString: 'hello' }, ['hello']];
    const seen = [];
    for (const operation of operations)
      for (const input of [...odd, inherited])
        try {
          const answer = await window.bty.call(operation, input);
          seen.push(answer.ok ? String(operation) + ' took ' + JSON.stringify(input) : answer.failure.code);
        } catch (error) {
          seen.push('unsendable');
        }
    return seen;
  })()`)) as string[];
  // An empty change is one, and so is what loses all that it holds on its way: a prototype, or what is inherited.
  const taken = answers.filter((answer) => answer.includes(' took '));
  assert.deepEqual(
    taken.filter((answer) => !/^settings\.change took (\{\}|"[^"]*"|\{"__proto__":.*)$/.test(answer)),
    [],
  );
  const codes = new Set(answers.filter((answer) => !answer.includes(' took ')));
  // What cannot be sent at all, such as programs, never arrives.
  codes.delete('unsendable');
  assert.deepEqual([...codes], ['MESSAGE_REFUSED']);
  assert.deepEqual(
    await page.evaluate(`window.bty.call('hello', {}).then(({ value }) => value.settings)`),
    before,
  );
  assert.equal(await app.evaluate(() => 'verify' in {}), false, 'nothing was inherited by everything');

  // Beneath the bridge: what a program in the page's own process could put on the channel.
  const deeper = (await app.evaluate(async ({ ipcMain, BrowserWindow }) => {
    const handlers = (
      ipcMain as unknown as { _invokeHandlers: Map<string, (...words: unknown[]) => Promise<unknown>> }
    )._invokeHandlers;
    const handler = handlers.get('bty:call');
    const [window] = BrowserWindow.getAllWindows();
    if (!handler || !window) return ['no door'];
    const { webContents } = window;
    const event = { sender: webContents, senderFrame: webContents.mainFrame };
    let deep: unknown = {};
    for (let depth = 0; depth < 200_000; depth++) deep = { catalogs: deep };
    const cycle: Record<string, unknown> = {};
    cycle.catalogs = cycle;
    const inputs = [deep, cycle, new Array(1e8), { disks: new Array(1e8) }, Symbol.iterator, 1n, () => ({})];
    const codes: unknown[] = [];
    const began = Date.now();
    for (const operation of [
      'settings.change',
      'flash.start',
      'image.inspect',
      'appliance.start',
      deep,
      cycle,
    ])
      for (const input of inputs) {
        const answer = (await handler(event, operation, input)) as {
          ok: boolean;
          failure?: { code: string };
        };
        codes.push(answer.failure?.code ?? 'taken');
      }
    return [...new Set(codes), Date.now() - began < 60_000];
  })) as unknown[];
  assert.deepEqual(deeper, ['MESSAGE_REFUSED', true]);
  assert.deepEqual(desk.complaints, []);
});

test('a page elsewhere finds the door shut, and ours finds no way to files, devices or other pages', {
  skip,
}, async (context) => {
  const preload = join(await folderFor(context), 'preload.cjs');
  await writeFile(
    preload,
    `const { ipcRenderer, contextBridge } = require('${framework}');
     contextBridge.exposeInMainWorld('answer', ipcRenderer.invoke('bty:call', 'hello', {}));`,
  );
  await using desk = await openApp();
  const { page, app } = desk;
  const stranger = await app.evaluate(async ({ BrowserWindow }, path) => {
    const other = new BrowserWindow({ show: false, webPreferences: { preload: path, sandbox: false } });
    await other.loadURL('bty-app://window/index.html');
    const answer = (await other.webContents.executeJavaScript('window.answer')) as { ok: boolean };
    other.destroy();
    return answer;
  }, preload);
  assert.deepEqual(
    [stranger.ok, (stranger as unknown as { failure: { code: string } }).failure.code],
    [false, 'MESSAGE_REFUSED'],
  );

  const downloads = await app.evaluate(({ session }) => {
    const seen = globalThis as unknown as { downloads: boolean[] };
    seen.downloads = [];
    session.defaultSession.on('will-download', (event) => seen.downloads.push(event.defaultPrevented));
    return seen.downloads.length;
  });
  assert.equal(downloads, 0);
  const before = page.url();
  const ways = (await page.evaluate(`(async () => {
    const tried = async (work) => { try { return String(await work()); } catch (error) { return error.name; } };
    const link = document.createElement('a');
    link.href = 'data:application/octet-stream,x';
    link.download = 'x.sh';
    document.body.append(link);
    link.click();
    link.remove();
    const frame = document.createElement('iframe');
    frame.src = location.href;
    document.body.append(frame);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const framed = await tried(() => frame.contentWindow.bty === undefined);
    frame.remove();
    location.href = 'bty-app://window/assets/';
    return {
      framed,
      eval: await tried(() => (0, eval)('1')),
      worker: await tried(() => new Worker('data:text/javascript,1')),
      service: await tried(() => navigator.serviceWorker.register('x.js')),
      socket: await tried(() => new Promise((resolve, reject) => {
        const socket = new WebSocket('ws://127.0.0.1:9/');
        socket.onopen = () => resolve('open');
        socket.onerror = () => reject(new TypeError());
      })),
      notify: await tried(() => Notification.requestPermission()),
      camera: await tried(() => navigator.mediaDevices.getUserMedia({ video: true })),
      place: await tried(() => new Promise((resolve, reject) => navigator.geolocation.getCurrentPosition(() => resolve('here'), () => reject(new TypeError())))),
      clipboard: await tried(() => navigator.clipboard.readText()),
      storage: await tried(() => fetch('bty-app://other/index.html')),
      parent: await tried(() => fetch('bty-app://window/%2e%2e/main.cjs').then(({ status }) => status)),
    };
  })()`)) as Readonly<Record<string, string>>;
  const opened = Object.entries(ways).filter(([name, end]) => !(shut[name] ?? /^$/).test(end));
  assert.deepEqual(opened, []);
  assert.equal(page.url(), before);
  const kept = () => app.evaluate(() => (globalThis as unknown as { downloads: boolean[] }).downloads);
  await until(async () => (await kept()).length > 0, 'the download was asked for');
  assert.deepEqual(await kept(), [true], 'and denied, once');
  assert.equal((await app.windows()).length, 1);
});

/** How each way must end. */
const shut: Readonly<Record<string, RegExp>> = {
  framed: /^(true|SecurityError|TypeError)$/,
  eval: /^EvalError$/,
  worker: /Error$/,
  service: /Error$/,
  socket: /Error$/,
  notify: /^denied$/,
  camera: /Error$/,
  place: /Error$/,
  clipboard: /Error$/,
  storage: /Error$/,
  parent: /^(404|TypeError)$/,
};
