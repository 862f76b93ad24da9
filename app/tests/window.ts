import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { _electron, type ElectronApplication, type Page } from 'playwright-core';
import type { SettingsPatch } from '../../shared/app/settings.ts';
import { type Display, startDisplay } from './display.ts';
import { packedApp } from './packed.ts';
import { patience } from './processes.ts';

export interface Opened extends AsyncDisposable {
  readonly app: ElectronApplication;
  readonly page: Page;
  /** Where this app keeps what it remembers. */
  readonly data: string;
  readonly display: Display;
  /** Errors that the page told its console. */
  readonly complaints: readonly string[];
}

export interface OpenOptions {
  readonly settings?: SettingsPatch;
  readonly words?: readonly string[];
  readonly dark?: boolean;
  readonly locale?: string;
  /** Keep what an app remembered before. */
  readonly data?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Runs as this user instead of as root: `words` come before the command that does so. */
  readonly user?: { readonly uid: number; readonly words: readonly string[] };
}

/** The packed app on a screen of its own, with nothing remembered. Everything is gone when it is disposed of. */
export async function openApp(options: OpenOptions = {}): Promise<Opened> {
  const { executable } = await packedApp();
  const display = await startDisplay();
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'bty-app-')));
  await prepare(data, options.settings ?? {});
  const program = options.user === undefined ? executable : await asUser(executable, data, options.user);
  const app = await launch(program, data, display, options).catch(async (error: unknown) => {
    await display[Symbol.asyncDispose]();
    throw error;
  });
  // Asked for now: of an app that is gone Playwright knows nothing.
  const child = app.process();
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    await display[Symbol.asyncDispose]();
    // Processes of the window may write their last meanwhile.
    const patiently = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 };
    if (options.data === undefined) await rm(data, patiently);
  };
  try {
    const { page, complaints } = await ready(app, options);
    return { app, page, data, display, complaints, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Now and then this Electron breaks the moment its debugger is attached, before a line of the app has run. */
const breaksAtFirst = (error: unknown) =>
  error instanceof Error && /failed to launch.*Debugger attached.*signal=SIGSEGV/s.test(error.message);

async function launch(
  executable: string,
  data: string,
  display: Display,
  options: OpenOptions,
  tries = 3,
): Promise<ElectronApplication> {
  const launched = _electron.launch({
    executablePath: executable,
    args: [
      // As root Chromium has no sandbox; nobody looks at this screen, so nothing needs to be drawn fast.
      '--no-sandbox',
      '--disable-gpu',
      `--user-data-dir=${data}`,
      `--lang=${options.locale ?? 'en-GB'}`,
      ...(options.words ?? []),
    ],
    env: { ...environment(display), ...options.environment } as Record<string, string>,
    timeout: patience,
  });
  return launched.catch((error: unknown) => {
    if (tries === 1 || !breaksAtFirst(error)) throw error;
    return launch(executable, data, display, options, tries - 1);
  });
}

async function ready(
  app: ElectronApplication,
  options: OpenOptions,
): Promise<Pick<Opened, 'page' | 'complaints'>> {
  const complaints: string[] = [];
  const said: string[] = [];
  app.process().stderr?.on('data', (bytes: Buffer) => said.push(bytes.toString('utf8')));
  app.context().setDefaultTimeout(patience);
  const page = await app.firstWindow({ timeout: patience });
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.emulateMedia({ colorScheme: options.dark ? 'dark' : 'light', reducedMotion: 'reduce' });
  await page
    .getByRole('main')
    .waitFor()
    .catch((error: unknown) => {
      throw new Error(`The window stays empty: ${[...complaints, ...said].join('\n')}`, { cause: error });
    });
  return { page, complaints };
}

/** A program that becomes `uid` and then `executable`; `data` becomes that user's home. */
async function asUser(
  executable: string,
  data: string,
  { uid, words }: NonNullable<OpenOptions['user']>,
): Promise<string> {
  const wrapper = join(data, 'start');
  const script = `#!/bin/sh\nHOME='${data}' exec ${words.join(' ')} '${executable}' "$@"\n`;
  await writeFile(wrapper, script, { mode: 0o755 });
  for (const name of ['', 'settings.json', 'start']) await chown(join(data, name), uid, uid);
  return wrapper;
}

async function prepare(data: string, settings: SettingsPatch): Promise<void> {
  const path = join(data, 'settings.json');
  const before = JSON.parse(await readFile(path, 'utf8').catch(() => '{}')) as object;
  await writeFile(path, JSON.stringify({ ...before, ...settings }));
}

function environment(display: Display): NodeJS.ProcessEnv {
  const { PATH, HOME, LANG } = process.env;
  return { PATH, HOME, LANG, DISPLAY: display.name };
}
