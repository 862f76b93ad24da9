/** What a release lists: its files with their digests, and the state of the changelog. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { releaseManifest } from '../../netboot/images/release.ts';
import { type SecretKey, signatureOf } from './sign.ts';

/** All files of a release with their digests, as sha256sum prints them. */
export const sumsName = 'SHA256SUMS';

export interface Listed {
  readonly name: string;
  readonly size_bytes: number;
  readonly sha256: string;
}

export async function listed(file: string): Promise<Listed> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return { name: basename(file), size_bytes: (await stat(file)).size, sha256: hash.digest('hex') };
}

const lines = (files: readonly Listed[]): string =>
  files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('');

/**
 * Writes into `folder` the list that appliances fetch (live files only), that of everything, `release.json`, and the
 * signatures of both lists when there is a key.
 */
export async function writeManifests(
  folder: string,
  names: readonly string[],
  version: string,
  key: SecretKey | null,
): Promise<readonly Listed[]> {
  const files = await Promise.all([...names].sort().map((name) => listed(join(folder, name))));
  const live = files.filter(({ name }) => name.startsWith('bty-netboot-x86_64.'));
  if (live.length > 0) await writeFile(join(folder, releaseManifest), lines(live));
  const all = live.length > 0 ? [...files, await listed(join(folder, releaseManifest))] : files;
  await writeFile(
    join(folder, 'release.json'),
    `${JSON.stringify({ schema_version: 1, version, files: all }, null, 2)}\n`,
  );
  const whole = [...all, await listed(join(folder, 'release.json'))];
  await writeFile(join(folder, sumsName), lines(whole));
  if (key !== null) {
    for (const name of live.length > 0 ? [sumsName, releaseManifest] : [sumsName]) {
      const text = signatureOf(await readFile(join(folder, name)), key, `bty ${version} ${name}`);
      await writeFile(join(folder, `${name}.minisig`), text);
    }
  }
  return whole;
}

/**
 * The changelog with what is unreleased under the heading of `version` and `date`, and that part alone. Throws a
 * sentence when there is nothing to release.
 */
export function cutChangelog(
  text: string,
  version: string,
  date: string,
): { readonly whole: string; readonly part: string } {
  const parts = text.split(/^(?=## )/m);
  const at = parts.findIndex((part) => /^## Unreleased\s*$/m.test(part.split('\n')[0] ?? ''));
  const known = parts.findIndex(
    (part) => part.startsWith(`## ${version} `) || part.startsWith(`## ${version}\n`),
  );
  const changes = at === -1 ? '' : (parts[at]?.replace(/^.*\n/, '').trim() ?? '');
  if (changes === '') {
    if (known !== -1) return { whole: text, part: parts[known] ?? '' };
    throw new Error(`the changelog has nothing under "Unreleased" that ${version} could bring`);
  }
  if (known !== -1)
    throw new Error(`the changelog has ${version} already; raise the version in package.json`);
  const part = `## ${version} (${date})\n\n${changes}\n`;
  parts.splice(at, 1, '## Unreleased\n\n', `${part}\n`);
  return { whole: `${parts.join('').trimEnd()}\n`, part };
}
