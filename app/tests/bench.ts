import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { _electron, type ElectronApplication } from 'playwright-core';
import { electronFiles } from '../../build/app/electron.ts';
import type { Opened, Smoothness, Windows } from '../../build/bench/window.ts';
import { startDisplay } from './display.ts';
import { loopDisk } from './loop.ts';
import { packedApp } from './packed.ts';
import { descendantsOf } from './processes.ts';
import { noise } from './sample.ts';
import { flash, inspected, result } from './steps.ts';
import { openApp } from './window.ts';

/**
 * Time from the start to a window that answers, memory when idle, and frame times while a disk is written: of the
 * packed app, and of an Electron window with nothing in it, in turn. Argument: rounds. Prints what it finds as JSON;
 * `npm run bench -- --only window` tells it.
 */
const rounds = Number(process.argv[2] ?? 1);

async function measure(executable: string): Promise<Opened> {
  await using display = await startDisplay();
  const data = await mkdtemp(join(tmpdir(), 'bty-bench-'));
  const began = performance.now();
  const app = await _electron.launch({
    executablePath: executable,
    args: ['--no-sandbox', '--disable-gpu', `--user-data-dir=${data}`],
    env: { PATH: process.env.PATH ?? '', HOME: data, DISPLAY: display.name },
  });
  const page = await app.firstWindow();
  await page.locator('h1, h2').first().waitFor({ state: 'attached' });
  const start = performance.now() - began;
  await page.waitForTimeout(3000);
  const memory = await memoryOf(app);
  await app.close();
  await rm(data, { recursive: true, force: true });
  return { start, memory };
}

async function memoryOf(app: ElectronApplication): Promise<number> {
  const main = app.process().pid ?? 0;
  const pids = [main, ...(await descendantsOf(main)).map(({ pid }) => pid)];
  const texts = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')),
  );
  return texts.reduce((sum, text) => sum + Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024, 0);
}

const framework = 'electron';

/** An Electron that shows a heading. */
async function bareElectron(folder: string): Promise<string> {
  const place = join(folder, 'bare');
  execFileSync('cp', ['-a', (await electronFiles()).folder, place]);
  const app = join(place, 'resources', 'app');
  await mkdir(app);
  await writeFile(join(app, 'package.json'), '{ "name": "bare", "main": "main.js" }');
  await writeFile(join(app, 'index.html'), '<h1>bare</h1>');
  const script = `const { app, BrowserWindow } = require('${framework}');
app.whenReady().then(() => new BrowserWindow({ width: 1040, height: 720 }).loadFile('index.html'));`;
  await writeFile(join(app, 'main.js'), script);
  return join(place, 'electron');
}

async function smoothness(folder: string): Promise<Smoothness> {
  const image = join(folder, 'bench.img');
  await writeFile(image, Buffer.concat(Array.from({ length: 8 }, (_, index) => noise(64 << 20, index + 1))));
  await using disk = await loopDisk(520 << 20);
  await using desk = await openApp({ settings: { allowLoops: true }, words: [image] });
  await inspected(desk.page, 'bench.img');
  await desk.app.evaluate(() => {
    const modules = process as unknown as {
      readonly mainModule: { require(name: string): typeof import('node:perf_hooks') };
    };
    const { monitorEventLoopDelay } = modules.mainModule.require('node:perf_hooks');
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    (globalThis as unknown as { delay: typeof delay }).delay = delay;
  });
  await desk.page.evaluate(`window.gaps = []; { let last = performance.now();
    const step = (now) => { window.gaps.push(now - last); last = now; requestAnimationFrame(step); };
    requestAnimationFrame(step); } undefined`);
  await flash(desk.page, disk.path);
  await result(desk.page, 'Written and verified');
  const gaps = ((await desk.page.evaluate('window.gaps')) as number[]).sort((a, b) => a - b);
  const at = (share: number) => gaps[Math.floor(gaps.length * share)] ?? 0;
  // A timer of one millisecond is what it measures itself by.
  const late = await desk.app.evaluate(() => {
    const { delay } = globalThis as unknown as { delay: { percentile(share: number): number; max: number } };
    return [delay.percentile(99), delay.max].map((nanoseconds) => nanoseconds / 1e6 - 1);
  });
  return { median: at(0.5), most: at(0.95), late: late[0] ?? 0, latest: late[1] ?? 0 };
}

const folder = await mkdtemp(join(tmpdir(), 'bty-bench-'));
try {
  const programs = { bty: (await packedApp()).executable, bare: await bareElectron(folder) };
  const found = { bty: [] as Opened[], bare: [] as Opened[], writing: [] as Smoothness[] } satisfies Windows;
  for (let round = 0; round < rounds; round++) {
    for (const name of ['bare', 'bty'] as const) found[name].push(await measure(programs[name]));
    found.writing.push(await smoothness(folder));
  }
  process.stdout.write(`${JSON.stringify(found)}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
