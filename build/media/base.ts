/** The root of a Debian system, made by mmdebstrap and kept, so that a second build needs no network. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from '../live/command.ts';

const archiveKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface BaseOptions {
  readonly cache: string;
  readonly architecture: 'amd64' | 'arm64';
  /** Release of Debian; that of this machine's own sources unless given. */
  readonly suite: string | undefined;
  readonly components: readonly string[];
  readonly packages: readonly string[];
  /** Makes it anew although it is kept. */
  readonly refresh: boolean;
  readonly say: (text: string) => void;
}

/** What no machine without a person needs; the notices of rights stay. */
const leftOut = ['man', 'info', 'locale', 'lintian', 'bash-completion'];

/** Resolves a tar archive of the system. Needs root, or the right to make user namespaces. */
export async function debianBase(options: BaseOptions): Promise<string> {
  const { cache, architecture, components, packages, refresh, say } = options;
  const lines = await sources(options);
  const key = JSON.stringify([architecture, components, lines, packages, leftOut]);
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 16);
  const folder = join(cache, 'bases');
  const kept = join(folder, `${architecture}-${digest}.tar`);
  if (existsSync(kept) && !refresh) return kept;
  await mkdir(folder, { recursive: true });
  const list = join(folder, `${digest}.list`);
  await writeFile(list, `${lines.join('\n')}\n`);
  const suite = lines[0]?.split(' ')[3] ?? '';
  const work = `${kept}.${process.pid}.tar`;
  say(`Making a Debian ${suite} for ${architecture} of ${packages.length} packages and what they need ...`);
  try {
    await output('mmdebstrap', [
      ...[`--architectures=${architecture}`, '--variant=minbase', `--include=${packages.join(',')}`],
      ...['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "0"'],
      ...leftOut.map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      ...['--dpkgopt=path-exclude=/usr/share/doc/*', '--dpkgopt=path-include=/usr/share/doc/*/copyright'],
      ...[suite, work, list],
    ]);
    await rename(work, kept);
  } finally {
    await rm(work, { force: true });
  }
  return kept;
}

/** This machine's own archive of Debian, as one-line sources for the build alone. */
async function sources({ architecture, suite, components }: BaseOptions): Promise<readonly string[]> {
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
  return rows
    .sort((one, other) => one.release.length - other.release.length)
    .map(({ address, release, keyring }) => {
      const wanted = suite === undefined ? release : release.replace(base, suite);
      return `deb [arch=${architecture} signed-by=${keyring}] ${address} ${wanted} ${components.join(' ')}`;
    });
}
