import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { redacted } from '../../shared/address.ts';
import type { CatalogEntry } from '../../shared/catalog.ts';
import { failure } from '../../shared/failure.ts';
import { fileSource } from '../source/file.ts';
import { httpSource } from '../source/http.ts';
import { problemOf } from '../source/problem.ts';
import type { ImageSource } from '../source/source.ts';
import { type Catalog, sourceOf } from './manifest.ts';

/** A row of `catalog list`, in the names of the wire (bty-contract section 1.5). */
export interface CatalogRow {
  readonly name: string;
  readonly src: string;
  readonly sha256: string;
  readonly format: string | null;
  readonly size_bytes: number | null;
  readonly description: string | null;
  readonly cached: boolean;
}

/** The images of a catalog, each with whether `directory` holds it. */
export function listCatalog(catalog: Catalog, directory: string): Promise<readonly CatalogRow[]> {
  return Promise.all(
    catalog.entries.map(async ({ name, src, sha256, format, sizeBytes, description }) => {
      const cached = (await cachedPath(directory, sha256)) !== null;
      return { name, src: redacted(src), sha256, format, size_bytes: sizeBytes, description, cached };
    }),
  );
}

/** Path of the cached image with that digest, null when it is not there. Presence alone counts. */
export async function cachedPath(directory: string, sha256: string): Promise<string | null> {
  const path = join(directory, sha256);
  return stat(path).then(
    (found) => (found.isFile() ? path : null),
    () => null,
  );
}

export interface FetchOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: { readonly bytes: number; readonly totalBytes: number | null }) => void;
  readonly onNotice?: (text: string) => void;
}

export interface Fetched {
  readonly name: string;
  readonly sha256: string;
  readonly path: string;
  /** False when it was there already. */
  readonly fetched: boolean;
}

const chunkBytes = 1024 * 1024;

/**
 * Brings an image into the cache: nothing to do when it is there; else its bytes are hashed on the way into a
 * temporary file, which gets its name only with the right digest and safely on the medium. Rejects with
 * DIGEST_MISMATCH, SOURCE_LENGTH, CACHE_FAILED, a failure of the source, or the signal's reason; nothing is left
 * behind then.
 */
export async function fetchEntry(
  entry: CatalogEntry,
  catalog: Catalog,
  directory: string,
  options: FetchOptions,
): Promise<Fetched> {
  const path = join(directory, entry.sha256);
  const result = { name: entry.name, sha256: entry.sha256, path };
  if ((await cachedPath(directory, entry.sha256)) !== null) return { ...result, fetched: false };
  const source = await openEntry(entry, catalog, options);
  try {
    await inCache(directory, () => makeFolder(directory));
    await removeLeftovers(directory, entry.sha256);
    const temporary = join(directory, `.${entry.sha256}.${randomUUID()}.part`);
    const file = await inCache(directory, () => open(temporary, 'wx', 0o644));
    try {
      try {
        await copy(source, entry, file, directory, options);
        await inCache(directory, () => file.sync());
      } finally {
        await file.close();
      }
      await inCache(directory, () => rename(temporary, path));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await inCache(directory, () => syncDirectory(directory));
    return { ...result, fetched: true };
  } finally {
    await source.close();
  }
}

/** Opens where an entry's bytes come from, not from the cache. */
export function openEntry(
  entry: CatalogEntry,
  catalog: Catalog,
  { signal, onNotice }: Pick<FetchOptions, 'signal' | 'onNotice'>,
): Promise<ImageSource> {
  const { kind, location } = sourceOf(entry, catalog);
  if (kind === 'file') return fileSource(location);
  return httpSource(location, onNotice === undefined ? { signal } : { signal, onNotice });
}

async function copy(
  source: ImageSource,
  entry: CatalogEntry,
  file: FileHandle,
  directory: string,
  { signal, onProgress }: FetchOptions,
): Promise<void> {
  const expected = entry.sizeBytes;
  const checkLength = (actual: number | null): void => {
    if (expected !== null && actual !== null && actual !== expected) {
      throw failure('SOURCE_LENGTH', { url: source.location, expected, actual });
    }
  };
  checkLength(source.size);
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafeSlow(chunkBytes);
  const stream = await source.open(signal);
  let bytes = 0;
  try {
    for (let count = await stream.read(chunk); count > 0; count = await stream.read(chunk)) {
      if (expected !== null && bytes + count > expected) checkLength(bytes + count);
      hash.update(chunk.subarray(0, count));
      for (let done = 0; done < count; ) {
        const part = await inCache(directory, () => file.write(chunk, done, count - done));
        done += part.bytesWritten;
      }
      bytes += count;
      onProgress?.({ bytes, totalBytes: expected ?? source.size });
    }
  } finally {
    await stream.close();
  }
  checkLength(bytes);
  const actual = hash.digest('hex');
  if (actual !== entry.sha256) {
    throw failure('DIGEST_MISMATCH', { image: source.location, expected: entry.sha256, actual });
  }
}

async function inCache<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failure('CACHE_FAILED', { cache: directory, problem: problemOf(error) }, error);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const dayMilliseconds = 86_400_000;

/** Temporary files of fetches that were killed; those of a running one are written to all the time. */
async function removeLeftovers(directory: string, sha256: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    if (!name.startsWith(`.${sha256}.`) || !name.endsWith('.part')) continue;
    const path = join(directory, name);
    const found = await stat(path).catch(() => null);
    if (found && Date.now() - found.mtimeMs > dayMilliseconds)
      await rm(path, { force: true }).catch(() => {});
  }
}

/** As mkdir -p. Node's own `recursive` never ends where the system denies that a folder can be (under /proc). */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || (await isFolder(parent))) throw error;
    await makeFolder(parent);
    await mkdir(path);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
