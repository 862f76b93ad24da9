/** The root of a Debian system, made by mmdebstrap and kept, so that a second build needs no network. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from '../live/command.ts';
import { withArm64 } from './emulate.ts';

const archiveKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface BaseOptions {
  readonly cache: string;
  readonly architecture: 'amd64' | 'arm64';
  /** Release of Debian; that of this machine's own sources unless given. */
  readonly suite: string | undefined;
  readonly components: readonly string[];
  readonly packages: readonly string[];
  /** Packages that are newer in that suite's backports, and come from there. */
  readonly backports?: readonly string[];
  /** A program that finishes the system; it is called with the path of its root. */
  readonly hook?: string;
  /** Makes it anew although it is kept. */
  readonly refresh: boolean;
  readonly say: (text: string) => void;
}

/** Where mmdebstrap keeps its `--dpkgopt`s. */
const settingsOfDpkg = '/etc/dpkg/dpkg.cfg.d/99mmdebstrap';

/** Calls the script beside this file with `word` and the root of the system. */
const native = (word: 'on' | 'off'): string =>
  `'${join(import.meta.dirname, 'native.sh').replaceAll("'", "'\\''")}' ${word} "$1"`;

/** What no machine without a person needs; the notices of rights stay. */
const leftOut = ['man', 'info', 'locale', 'lintian', 'bash-completion'];

/** Resolves a tar archive of the system. Needs root. */
export async function debianBase(options: BaseOptions): Promise<string> {
  const { cache, architecture, components, packages, backports = [], refresh, say } = options;
  const lines = await sources(options);
  const more = [backports, options.hook === undefined ? '' : await readFile(options.hook, 'utf8')];
  const key = JSON.stringify([
    ...[architecture, components, lines, packages, leftOut],
    ...(backports.length > 0 || options.hook !== undefined ? more : []),
  ]);
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 16);
  const folder = join(cache, 'bases');
  const kept = join(folder, `${architecture}-${digest}.tar`);
  if (existsSync(kept) && !refresh) return kept;
  await mkdir(folder, { recursive: true });
  const list = join(folder, `${digest}.list`);
  await writeFile(list, `${lines.join('\n')}\n`);
  const suite = lines[0]?.split(' ')[4] ?? '';
  const work = `${kept}.${process.pid}.tar`;
  say(`Making a Debian ${suite} for ${architecture} of ${packages.length} packages and what they need ...`);
  // With its suite named, a package may bring what it depends on from there.
  const newer = backports.map((name) => `${name}/${suite}-backports`);
  const foreign = architecture === 'arm64' && process.arch !== 'arm64';
  const run = () =>
    output('mmdebstrap', [
      ...[`--architectures=${architecture}`, '--variant=minbase', '--mode=root', '--skip=check/qemu'],
      `--include=${[...packages, ...newer].join(',')}`,
      ...['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "0"'],
      ...leftOut.map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      ...['--dpkgopt=path-exclude=/usr/share/doc/*', '--dpkgopt=path-include=/usr/share/doc/*/copyright'],
      // A build that a power cut ended is begun again; an upgrade of the finished system waits for its disk.
      ...['--dpkgopt=force-unsafe-io', `--customize-hook=sed -i /unsafe-io/d "$1${settingsOfDpkg}"`],
      ...(foreign ? [`--essential-hook=${native('on')}`] : []),
      ...(options.hook === undefined ? [] : [`--customize-hook=${options.hook}`]),
      ...(foreign ? [`--customize-hook=${native('off')}`] : []),
      ...[suite, work, list],
    ]);
  try {
    await (architecture === 'arm64' ? withArm64(run) : run());
    await rename(work, kept);
  } finally {
    await rm(work, { force: true });
  }
  return kept;
}

/** This machine's own archive of Debian, as one-line sources for the build alone. */
async function sources(options: BaseOptions): Promise<readonly string[]> {
  const { architecture, suite, components, backports = [] } = options;
  const format = '$(REPO_URI)|$(RELEASE)|$(SIGNED_BY)|$(ORIGIN)';
  const told = await output('apt-get', ['indextargets', '--format', format, 'Identifier: Packages']);
  const rows = [...new Set(told.split('\n'))].flatMap((target) => {
    const [address, release, signedBy, origin] = target.split('|');
    if (!address || !release || !origin?.startsWith('Debian')) return [];
    const keyring = signedBy && !signedBy.startsWith('$(') ? signedBy : archiveKeyring;
    return [{ address, release, keyring }];
  });
  const base = rows.find(({ release }) => !release.includes('-'))?.release;
  if (base === undefined) throw new Error('the sources of this machine name no archive of Debian');
  const of = (release: string) => (suite === undefined ? release : release.replace(base, suite));
  const main = rows.find(({ release }) => release === base);
  const all = [...rows, ...(main && backports.length > 0 ? [{ ...main, release: `${base}-backports` }] : [])];
  const lines = all
    .sort((one, other) => one.release.length - other.release.length)
    .map(
      ({ address, release, keyring }) =>
        `deb [arch=${architecture} signed-by=${keyring}] ${address} ${of(release)} ${components.join(' ')}`,
    );
  return [...new Set(lines)];
}
