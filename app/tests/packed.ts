import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { packApp } from '../../build/app/pack.ts';

const root = join(import.meta.dirname, '..', '..');
const cache = join(root, '.cache', 'app');
const run = promisify(execFile);

/** What goes into the app: any change makes another one. */
const sources = [
  'shared',
  'agent',
  'netboot',
  'app/main',
  'app/preload',
  'app/renderer',
  'build/app',
  'build/linux',
  'build/pack',
];
const files = ['package-lock.json', 'electron-builder.yml', 'LICENSE'];

export interface PackedApp {
  readonly folder: string;
  readonly executable: string;
}

/**
 * The packed app of this very state of the sources, with the real `bty` in it. Test files that run at the same time
 * share one: the first one makes it, the others wait for it.
 */
export async function packedApp(): Promise<PackedApp> {
  const output = join(cache, (await fingerprint()).slice(0, 16));
  const folder = join(output, 'linux-unpacked');
  const done = join(output, 'done');
  for (;;) {
    if (existsSync(done)) return { folder, executable: join(folder, 'bty-app') };
    if (await claim(output)) break;
    await wait(500);
  }
  await dropOthers(output);
  const [program = '', appliance = ''] = await makePrograms(output, ['bty', 'bty-web']);
  await packApp({ output, program, appliance, debuggable: true });
  await writeFile(done, '');
  return { folder, executable: join(folder, 'bty-app') };
}

/** True for the one who is to make it; whoever claimed it before and is gone counts for nothing. */
async function claim(output: string): Promise<boolean> {
  const lock = join(output, 'lock');
  await mkdir(output, { recursive: true });
  const owner = await readFile(lock, 'utf8').catch(() => null);
  const [pid = '', start = ''] = owner?.split(' ') ?? [];
  // Who has made the file writes its name into it at once; a number alone may be somebody else's by now.
  const isHeld = owner === '' ? await isYoung(lock) : owner !== null && (await startOf(pid)) === start;
  if (isHeld) return false;
  if (owner !== null) await rm(lock, { force: true });
  return writeFile(lock, `${process.pid} ${await startOf(process.pid)}`, { flag: 'wx' }).then(
    () => true,
    () => false,
  );
}

/** When a process began, in clock ticks since the system did (proc_pid_stat(5)); null where there is none. */
async function startOf(pid: number | string): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

async function isYoung(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found !== null && Date.now() - found.mtimeMs < 60_000;
}

/** What lies in `dist/bin` may be somebody else's, or older than the sources. */
async function makePrograms(output: string, names: readonly string[]): Promise<readonly string[]> {
  await run(process.execPath, [join(root, 'build', 'pack', 'build.ts'), ...names], { cwd: root });
  return Promise.all(
    names.map(async (name) => {
      const program = join(output, name);
      await run('cp', ['--reflink=auto', join(root, 'dist', 'bin', name), `${program}.new`]);
      await rename(`${program}.new`, program);
      return program;
    }),
  );
}

/** Apps of older sources, an hour old at least: a test may still run one of them. */
async function dropOthers(current: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const folder = join(cache, name);
    const found = await stat(folder).catch(() => null);
    if (folder !== current && found && Date.now() - found.mtimeMs > 3600e3) {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of sources) {
    const names = await readdir(join(root, folder), { recursive: true }).catch(() => []);
    for (const name of names.filter((file) => !/\.test\.ts$|(^|\/)(tests|fixtures)\//.test(file)).sort()) {
      const bytes = await readFile(join(root, folder, name)).catch(() => null);
      if (bytes) hash.update(`${folder}/${name}\0${bytes.length}\0`).update(bytes);
    }
  }
  for (const name of files) hash.update(await readFile(join(root, name)));
  return hash.digest('hex');
}
