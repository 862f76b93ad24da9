import { constants, type Dirent } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ExitCode, Failure, failure } from '../../shared/failure.ts';
import { formatName, guessByName } from '../../shared/image.ts';
import { codeOf, problemOf } from '../source/problem.ts';
import type { Command } from './command.ts';
import { print, printJson, table, warn } from './output.ts';

/** An image file. */
export interface LocalImage {
  readonly name: string;
  readonly path: string;
  /** Wire name, for example `img.zst`. */
  readonly format: string;
  readonly size_bytes: number;
  /** From the file NAME.sha256 beside it, never computed. */
  readonly sha256: string | null;
  readonly source: 'local';
}

/** An image elsewhere, described by a `.bri` file. */
export interface RemoteImage {
  readonly name: string;
  readonly format: string | null;
  readonly size_bytes: number | null;
  readonly source: 'remote';
  readonly url: string;
  /** The descriptor. */
  readonly path: string;
  readonly sha256: string | null;
  readonly description: string | null;
}

export interface ImageListing {
  readonly images: readonly (LocalImage | RemoteImage)[];
  /** Sentences about what was left out although it looks like an image. */
  readonly warnings: readonly string[];
}

/** `bty list images` (bty-contract section 1.2). */
export const runListImages: Command<'list images'> = async (values, { environment }) => {
  const root = values.imageRoot ?? (environment.BTY_IMAGE_ROOT || '/var/lib/bty/images');
  const { images, warnings } = await listImages(root);
  for (const sentence of warnings) warn(sentence);
  if (values.json) printJson('list-images', { image_root: root, images });
  else {
    const rows = images.map(({ name, format, size_bytes, source }) => [name, format, size_bytes, source]);
    print(table(['name', 'format', 'size_bytes', 'source'], rows));
  }
  return ExitCode.ok;
};

/**
 * The images in `root` itself, ordered by file name, then the remote ones. Symbolic links are left out: the directory
 * may be one that others write to. Rejects with IMAGE_UNREADABLE unless `root` is absent or a readable directory.
 */
export async function listImages(root: string): Promise<ImageListing> {
  const warnings: string[] = [];
  const local: LocalImage[] = [];
  const remote: RemoteImage[] = [];
  for (const name of await fileNames(root, warnings)) {
    const path = join(root, name);
    try {
      if (/\.bri$/i.test(name)) remote.push(await describeRemote(path));
      else {
        const found = await describeLocal(path, name);
        if (found) local.push(found);
      }
    } catch (error) {
      // The entry was removed meanwhile.
      if (codeOf(error) === 'ENOENT') continue;
      if (error instanceof Failure) warnings.push(`${error.message} It is left out.`);
      else if (codeOf(error) !== null) warnings.push(`${path} is left out: ${problemOf(error)}.`);
      else throw error;
    }
  }
  return { images: [...local, ...remote], warnings };
}

/** Names of the regular files in `root`, in the order of their bytes. */
async function fileNames(root: string, warnings: string[]): Promise<readonly string[]> {
  let entries: Dirent<Buffer>[];
  try {
    entries = await readdir(root, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') {
      throw failure('IMAGE_UNREADABLE', { image: root, problem: problemOf(error) }, error);
    }
    warnings.push(`The image directory ${root} does not exist.`);
    return [];
  }
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  return files.sort(Buffer.compare).flatMap((bytes) => {
    try {
      return [utf8.decode(bytes)];
    } catch {
      warnings.push(`"${bytes.toString()}" in ${root} is left out: its name is not UTF-8.`);
      return [];
    }
  });
}

async function describeLocal(path: string, name: string): Promise<LocalImage | null> {
  const guess = guessByName(name);
  // A name such as notes.gz says how a file is packed, not that it is an image.
  if (guess?.kind !== 'image' || guess.layout === null) return null;
  const status = await lstat(path);
  if (!status.isFile()) return null;
  return {
    name,
    path,
    format: formatName(guess.packing, guess.layout),
    size_bytes: status.size,
    sha256: await sidecarDigest(path, name),
    source: 'local',
  };
}

async function describeRemote(path: string): Promise<RemoteImage> {
  // The schema library behind it takes longer to load than a listing takes.
  const { loadDescriptor } = await import('../source/descriptor.ts');
  const { name, format, sizeBytes, url, sha256, description } = await loadDescriptor(path);
  return { name, format, size_bytes: sizeBytes, source: 'remote', url, path, sha256, description };
}

const sidecarLimit = 64 * 1024;

/** The digest that PATH.sha256 states: alone, or as sha256sum(1) writes it beside the name. Null without one. */
async function sidecarDigest(path: string, name: string): Promise<string | null> {
  const sidecar = `${path}.sha256`;
  const status = await lstat(sidecar).catch(() => null);
  if (!status?.isFile()) return null;
  const file = await open(sidecar, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => null,
  );
  if (file === null) return null;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(sidecarLimit), 0, sidecarLimit, 0);
    return digestIn(buffer.toString('utf8', 0, bytesRead), name);
  } catch {
    return null;
  } finally {
    await file.close();
  }
}

/** The digest of `name` in the text of a sidecar, null when it states none. */
export function digestIn(text: string, name: string): string | null {
  for (const line of text.split('\n')) {
    const [, digest, named] = /^\\?([0-9a-f]{64})(?:[ \t]+\*?(.*?))?\s*$/i.exec(line) ?? [];
    if (digest !== undefined && (!named || named.split('/').at(-1) === name)) return digest.toLowerCase();
  }
  return null;
}
