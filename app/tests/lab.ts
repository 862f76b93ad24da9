/** A real appliance with its pages, and Debian's Chromium in front of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { bundlePages } from '../../build/ui/bundle.ts';
import { patience } from './processes.ts';

const root = join(import.meta.dirname, '..', '..');
const cache = join(root, '.cache', 'ui');
const program = '/usr/bin/chromium';
export const password = 'correct horse battery';

/** Why there is no browser to test with; false when there is. */
export function whyNoBrowser(): string | false {
  return existsSync(program) ? false : 'Chromium is not installed';
}

/** The pages of this very state of the sources, built once for all tests. */
export async function builtPages(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of ['app/renderer', 'shared', 'build/ui']) {
    const names = await readdir(join(root, folder), { recursive: true });
    for (const name of names.filter((file) => /\.(tsx?|css|html|svg)$/.test(file)).sort())
      hash.update(`${folder}/${name}\0`).update(await readFile(join(root, folder, name)));
  }
  hash.update(await readFile(join(root, 'package-lock.json')));
  const folder = join(cache, hash.digest('hex').slice(0, 16));
  if (existsSync(join(folder, 'index.html'))) return folder;
  await mkdir(cache, { recursive: true });
  const made = await mkdtemp(join(cache, 'new-'));
  await bundlePages(made);
  // Another test may have made the same meanwhile.
  await rename(made, folder).catch(() => rm(made, { recursive: true, force: true }));
  return folder;
}

export interface LabAppliance extends AsyncDisposable {
  readonly url: string;
  readonly stateDir: string;
  /** Ends it and starts it anew on the same port and state; `between` runs while it is away. */
  readonly restart: (between: () => Promise<void>) => Promise<void>;
  /** Of a session of the operator: the value of the header `Cookie`. */
  readonly cookie: () => Promise<string>;
  /** Asks as the operator. */
  readonly ask: (method: string, path: string, body?: unknown) => Promise<unknown>;
}

/** `bty-web` as a process of its own, on a port of the system's choice. */
export async function startLab(args: readonly string[] = []): Promise<LabAppliance> {
  const pages = await builtPages();
  const stateDir = await mkdtemp(join(tmpdir(), 'bty-lab-'));
  const start = (port: string) => startProgram([...common(stateDir, pages), '--web-port', port, ...args]);
  let running = await start('0');
  const { url } = running;
  let session: string | null = null;
  const cookie = async () => {
    session ??= await logIn(url);
    return session;
  };
  return {
    url,
    stateDir,
    restart: async (between) => {
      await end(running.child);
      await between();
      running = await start(new URL(url).port);
    },
    cookie,
    ask: async (method, path, body) => {
      const init = body === undefined ? {} : { body: JSON.stringify(body) };
      const answer = await fetch(`${url}${path}`, { method, headers: { cookie: await cookie() }, ...init });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}: ${text}`);
      return text === '' ? null : JSON.parse(text);
    },
    async [Symbol.asyncDispose]() {
      await end(running.child);
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

function common(stateDir: string, pages: string): readonly string[] {
  return [
    ...['--disable-warning=ExperimentalWarning', join(root, 'netboot', 'main.ts'), 'serve'],
    ...['--state-dir', stateDir, '--web-host', '127.0.0.1', '--log-level', 'error'],
    ...['--user', 'root', '--ui-dir', pages, '--admin-password', password],
  ];
}

async function logIn(url: string): Promise<string> {
  const body = new URLSearchParams({ password });
  const reply = await fetch(`${url}/ui/login`, { method: 'POST', redirect: 'manual', body });
  return (reply.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
}

async function startProgram(
  args: readonly string[],
): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  child.stderr.on('data', (bytes: Buffer) => {
    told += bytes.toString('utf8');
  });
  for await (const bytes of child.stdout) {
    told += String(bytes);
    const url = /listens on (http:\S+)/.exec(told)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    return { child, url };
  }
  throw new Error(`bty-web ended: ${told}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

/** `executable`: another way to start Chromium. */
export async function startBrowser(executable = program): Promise<Browser & AsyncDisposable> {
  const browser = await chromium.launch({
    executablePath: executable,
    timeout: patience,
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
      ...['--disable-sync', '--no-first-run'],
    ],
  });
  return Object.assign(browser, { [Symbol.asyncDispose]: () => browser.close() });
}

export interface LabPage extends AsyncDisposable {
  readonly page: Page;
  /** Errors that the page told its console, but those of answers that it shows. */
  readonly complaints: readonly string[];
}

/** A page of its own, not logged in. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<LabPage> {
  const context = await browser.newContext({
    locale: 'en-GB',
    reducedMotion: 'reduce',
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
      complaints.push(message.text());
  });
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

export interface OpenedLab extends LabPage {
  readonly lab: LabAppliance;
}

/** An appliance started with `args`, and a page beside it that is not logged in. */
export async function openLab(
  args: readonly string[] = [],
  options: BrowserContextOptions = {},
): Promise<OpenedLab> {
  await using begun = new AsyncDisposableStack();
  const lab = begun.use(await startLab(args));
  const browser = begun.use(await startBrowser());
  const { page, complaints } = begun.use(await openPage(browser, options));
  const all = begun.move();
  return { lab, page, complaints, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Opens `path` and logs in on the way. */
export async function enter(
  page: Page,
  lab: Pick<LabAppliance, 'url'>,
  path = '/ui/dashboard',
): Promise<void> {
  await page.goto(`${lab.url}${path}`);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('navigation').waitFor();
}

/** Hardware address of machine `number`, below 16 777 216. */
export function macOf(number: number): string {
  const digits = number
    .toString(16)
    .padStart(6, '0')
    .replaceAll(/(..)(?=.)/g, '$1:');
  return `52:54:00:${digits}`;
}

/** Requests that are made at one moment. */
const together = 100;

/** Enters `count` machines in racks of forty. */
export async function enterMachines(lab: LabAppliance, count: number): Promise<void> {
  await lab.cookie();
  for (let index = 0; index < count; index += together) {
    const some = Array.from({ length: Math.min(together, count - index) }, (_, more) => index + more);
    await Promise.all(
      some.map((number) => {
        return lab.ask('PUT', `/machines/${macOf(number)}`, {
          hostname: `node-${String(number).padStart(5, '0')}`,
          labels: { rack: `r${Math.floor(number / 40)}` },
        });
      }),
    );
  }
}
