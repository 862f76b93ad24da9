/**
 * `npm run release:dry`: everything that a release is made of, in dist/release/<version>, with `latest` beside it, and
 * nothing published. BTY_SIGNING_KEY is the text of a secret key of minisign without a password; without it nothing is
 * signed, and that is said.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { electronFiles } from '../app/electron.ts';
import { billOfMaterials } from '../app/inventory.ts';
import { buildImages } from '../container/run.ts';
import { buildLive } from '../live/build.ts';
import { type Architecture, architectures, debianName } from '../pack/foreign.ts';
import { packDeb } from './deb.ts';
import { cutChangelog, writeManifests } from './manifest.ts';
import { makeMedia } from './media.ts';
import { packNpm } from './npm.ts';
import { parseSecretKey, publicLine } from './sign.ts';
import { packTarball } from './tarball.ts';
import { root, sourceDate, version } from './version.ts';

const { values } = parseArgs({
  options: {
    to: { type: 'string', default: join(root, 'dist', 'release') },
    only: { type: 'string', multiple: true, default: [] },
    arch: { type: 'string', multiple: true, default: [] },
    fast: { type: 'boolean', default: false },
  },
});
const kinds = ['npm', 'deb', 'tarball', 'app', 'live', 'container', 'media'] as const;
const wanted = (kind: (typeof kinds)[number]): boolean =>
  values.only.length === 0 || values.only.includes(kind);
const chosen = architectures.filter(
  (one) => values.arch.length === 0 || values.arch.includes(debianName(one)),
);
const unknown = [
  ...values.only.filter((kind) => !kinds.some((one) => one === kind)),
  ...values.arch.filter((name) => !architectures.some((one) => debianName(one) === name)),
];
if (unknown.length > 0) {
  process.stderr.write(
    `release:dry takes --only ${kinds.join('|')} and --arch amd64|arm64, not ${unknown.join(' ')}\n`,
  );
  process.exit(2);
}
// Everything is of the commit that it began with.
process.env.SOURCE_DATE_EPOCH ??= String(sourceDate());
const level = values.fast ? 3 : 19;
const say = (text: string) => process.stdout.write(`${text}\n`);
const secret = process.env.BTY_SIGNING_KEY ?? '';
const key = secret === '' ? null : parseSecretKey(existsSync(secret) ? readFileSync(secret, 'utf8') : secret);

/** Version of the Electron that the desktop app brings; null where the app is not made. */
const electron =
  wanted('app') && process.arch === 'x64' && chosen.includes('x64') ? (await electronFiles()).version : null;

const packers: Readonly<
  Record<'deb' | 'tarball', (folder: string, architecture: Architecture) => Promise<string>>
> = {
  deb: async (folder, architecture) => {
    const name = `bty-tools_${debianName(architecture)}.deb`;
    await packDeb(join(folder, name), architecture);
    return name;
  },
  tarball: async (folder, architecture) => {
    const name = `bty-linux-${architecture}.tar.gz`;
    await packTarball(join(folder, name), architecture);
    return name;
  },
};

async function make(folder: string): Promise<string[]> {
  const names: string[] = [];
  if (wanted('npm')) {
    await packNpm(join(folder, 'bty.tgz'));
    names.push('bty.tgz');
  }
  for (const kind of ['deb', 'tarball'] as const)
    if (wanted(kind)) for (const one of chosen) names.push(await packers[kind](folder, one));
  if (electron !== null) names.push(makeApp(folder));
  if (wanted('live')) names.push(...(await makeLive(folder)));
  if (wanted('container')) {
    await buildImages(folder, chosen);
    names.push(...chosen.map((one) => `bty-container-${debianName(one)}.tar`));
    for (const name of ['compose.yaml', 'bty-web.container', 'bty.volume']) {
      copyFileSync(join(root, 'build', 'container', name), join(folder, name));
      names.push(name);
    }
  }
  if (wanted('media')) {
    const isRoot = process.getuid?.() === 0;
    names.push(...(await makeMedia({ folder, architectures: chosen, level, isRoot, say })));
  }
  return names;
}

/** The desktop app with the programs of this commit in it. Its name says no version, so that `latest` goes on. */
function makeApp(folder: string): string {
  for (const script of [join('build', 'pack', 'build.ts'), join('build', 'app', 'release.ts')])
    execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', join(root, script)], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  const name = 'bty_amd64.deb';
  copyFileSync(join(root, 'dist', 'app', `bty_${version}_amd64.deb`), join(folder, name));
  return name;
}

async function makeLive(folder: string): Promise<string[]> {
  const work = join(folder, '.live');
  const manifest = await buildLive({
    to: work,
    cache: join(root, '.cache', 'live'),
    architecture: 'amd64',
    firmware: false,
    kernelSuite: undefined,
    level,
    say,
  });
  const names = manifest.files.map(({ name, serve_as }) => {
    copyFileSync(join(work, name), join(folder, serve_as));
    return serve_as;
  });
  // The appliance reads the kernel's own parameters from it.
  copyFileSync(join(work, 'manifest.json'), join(folder, 'bty-netboot-x86_64.json'));
  await rm(work, { recursive: true });
  return [...names, 'bty-netboot-x86_64.json'];
}

await mkdir(values.to, { recursive: true });
const folder = await mkdtemp(join(values.to, '.release-'));
try {
  const date = new Date(sourceDate() * 1000).toISOString().slice(0, 10);
  const { whole, part } = cutChangelog(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'), version, date);
  const names = await make(folder);
  await writeFile(join(folder, 'CHANGELOG.md'), whole);
  await writeFile(join(folder, 'NOTES.md'), part);
  await writeFile(join(folder, 'bty.cdx.json'), await billOfMaterials(root, electron));
  const all = [...names, 'CHANGELOG.md', 'NOTES.md', 'bty.cdx.json'];
  const files = await writeManifests(folder, all, version, key);
  const place = join(values.to, version);
  rmSync(place, { recursive: true, force: true });
  execFileSync('chmod', ['-R', 'u+rwX,go+rX', folder]);
  await rename(folder, place);
  const latest = join(values.to, 'latest');
  rmSync(latest, { force: true, recursive: true });
  symlinkSync(version, latest);
  for (const { name, size_bytes, sha256 } of files)
    process.stdout.write(
      `${sha256.slice(0, 16)}  ${(size_bytes / 1e6).toFixed(1).padStart(7)} MB  ${name}\n`,
    );
  process.stdout.write(
    key === null
      ? 'Not signed: BTY_SIGNING_KEY is not set (make a key with: minisign -G -W).\n'
      : `Signed; appliances verify it with: BTY_BOOT_RELEASE_KEY=${publicLine(key)}\n`,
  );
  process.stdout.write(`bty ${version} is in ${relative(process.cwd(), place)}; nothing was published.\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
