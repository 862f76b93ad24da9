/** Where releases of the live system lie, and what their manifest says. Pure. */
import { isPlainName } from './name.ts';
import { parseSums } from './sidecar.ts';

/** The list of a release's files and their digests; a release has it under this name. */
export const releaseManifest = 'bty-netboot-x86_64.sha256';
/** The signature of that list, in the form of minisign. */
export const releaseSignature = `${releaseManifest}.minisig`;
/** Most files of a release. */
const mostFiles = 64;

/**
 * Address under which the files of `tag` lie. `source` is `OWNER/NAME` of a repository with releases, or an http(s)
 * address: `{tag}` in it stands for the tag; without that, `latest` lies there and other tags one level below.
 * Null when it is neither.
 */
export function releaseBase(source: string, tag: string): string | null {
  if (/^[A-Za-z0-9][A-Za-z0-9-]{0,38}\/[A-Za-z0-9._-]{1,100}$/.test(source)) {
    const path = tag === 'latest' ? 'latest/download' : `download/${encodeURIComponent(tag)}`;
    return `https://github.com/${source}/releases/${path}/`;
  }
  if (!/^https?:\/\/[^/]/i.test(source)) return null;
  const segment = encodeURIComponent(tag);
  const placed = source.includes('{tag}')
    ? source.replaceAll('{tag}', segment)
    : tag === 'latest'
      ? source
      : `${source.replace(/\/+$/, '')}/${segment}`;
  const url = URL.parse(placed.endsWith('/') ? placed : `${placed}/`);
  return url === null ? null : url.href;
}

export interface ReleaseFile {
  readonly name: string;
  readonly sha256: string;
}

export type ReleaseFiles =
  | { readonly kind: 'valid'; readonly files: readonly ReleaseFile[] }
  | { readonly kind: 'invalid'; readonly problem: string };

/** The files that the manifest `text` names. A name that is no plain file name makes all of it invalid. */
export function releaseFiles(text: string): ReleaseFiles {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const files = parseSums(text).flatMap(({ sha256, name }) => (name === null ? [] : [{ name, sha256 }]));
  if (files.length === 0) return { kind: 'invalid', problem: 'its manifest names no files' };
  if (files.length !== lines.length)
    return { kind: 'invalid', problem: 'its manifest has lines that are no digests' };
  if (files.length > mostFiles)
    return { kind: 'invalid', problem: `its manifest names more than ${mostFiles} files` };
  const bad = files.find(({ name }) => !isPlainName(name) || name === releaseManifest);
  if (bad)
    return { kind: 'invalid', problem: `its manifest names ${JSON.stringify(bad.name.slice(0, 100))}` };
  if (new Set(files.map(({ name }) => name)).size !== files.length)
    return { kind: 'invalid', problem: 'its manifest names a file twice' };
  return { kind: 'valid', files };
}
