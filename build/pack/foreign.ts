/** What a package needs of the registry for a machine of another architecture than this one. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const cache = join(root, '.cache', 'packages');

export type Architecture = 'x64' | 'arm64';
export const architectures: readonly Architecture[] = ['x64', 'arm64'];
/** The architecture as Debian names it. */
export const debianName = (architecture: Architecture): string =>
  architecture === 'x64' ? 'amd64' : architecture;

/** Path of the Node.js for Linux on `architecture` that the lockfile pins. */
export async function runtimeOf(architecture: Architecture): Promise<string> {
  return join(await packageFolder(`node-linux-${architecture}`), 'bin', 'node');
}

/** Path of the native module for Linux on `architecture`. */
export async function addonOf(architecture: Architecture): Promise<string> {
  const folder = await packageFolder(`@koromix/koffi-linux-${architecture}`);
  return join(folder, `linux_${architecture}`, 'koffi.node');
}

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
}

/** Folder of a package: installed here, or fetched by npm, checked against the lockfile and kept in the cache. */
async function packageFolder(name: string): Promise<string> {
  const installed = join(root, 'node_modules', name);
  if (existsSync(installed)) return installed;
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined) throw new Error(`the lockfile pins no ${name}`);
  const folder = join(cache, `${name.replace('/', '+')}@${version}`);
  if (existsSync(folder)) return join(folder, 'package');
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, '.fetch-'));
  try {
    await run('npm', ['pack', '--silent', '--pack-destination', work, `${name}@${version}`], { cwd: work });
    const archive = (await readdir(work)).find((each) => each.endsWith('.tgz'));
    if (archive === undefined) throw new Error(`npm fetched no ${name}@${version}`);
    const digest = createHash('sha512')
      .update(await readFile(join(work, archive)))
      .digest('base64');
    if (`sha512-${digest}` !== integrity)
      throw new Error(`${name}@${version} has the digest sha512-${digest}, the lockfile says ${integrity}`);
    await run('tar', ['-xzf', archive], { cwd: work });
    await rm(join(work, archive));
    await mkdir(dirname(folder), { recursive: true });
    // Another build may have been faster; its files are as good.
    await rename(work, folder).catch(() => {});
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return join(folder, 'package');
}
