import { stat } from 'node:fs/promises';
import { redacted } from '../../shared/address.ts';
import type { CatalogEntry } from '../../shared/catalog.ts';
import { failure } from '../../shared/failure.ts';
import { guessByName } from '../../shared/image.ts';
import type { Catalog } from '../catalog/manifest.ts';
import { fileSource } from './file.ts';
import { codeOf } from './problem.ts';
import type { ImageSource } from './source.ts';
import { stdinSource } from './stdin.ts';

/** What the place that named an image says of its stored bytes; null where it says nothing. */
export interface Expected {
  /** Lower-case hex. */
  readonly sha256: string | null;
  readonly sizeBytes: number | null;
}

export interface OpenedSource {
  readonly source: ImageSource;
  readonly expected: Expected;
  /** Description of a descriptor or catalog entry. */
  readonly described: string | null;
}

export interface OpenOptions {
  readonly signal: AbortSignal;
  /** Manifest in which names are looked up; undefined for the configured one. */
  readonly catalog?: string | undefined;
  /** The location is a name in the catalog, whatever else it looks like. */
  readonly named?: boolean | undefined;
  /** Told what a person should know of the source, as whole sentences. */
  readonly onNotice?: ((text: string) => void) | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * Opens the image that a person named: "-" for standard input, an http(s) address, the path of a file or of a
 * descriptor (.bri), else a name in the catalog. A file goes before a catalog's image of the same name. Rejects
 * with the failure of the source, of the descriptor or of the catalog.
 */
export async function openSource(location: string, options: OpenOptions): Promise<OpenedSource> {
  options.signal.throwIfAborted();
  if (options.named) return openNamed(location, options);
  if (location === '-') return plain(await stdinSource());
  if (/^https?:/i.test(location)) return plain(await openAddress(location, options));
  if (location === '' || (await exists(location))) {
    return /\.bri$/i.test(location) ? openDescriptor(location, options) : plain(await fileSource(location));
  }
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(location)?.[1];
  if (scheme !== undefined) {
    const problem = `bty reads http and https addresses, not "${scheme}:"`;
    throw failure('SOURCE_UNREACHABLE', { url: redacted(location), problem });
  }
  if (/^\.{0,2}\//.test(location)) throw failure('IMAGE_NOT_FOUND', { image: location });
  return openNamed(location, options);
}

/** False when nothing has that name; trouble with what has it is told when it is opened. */
async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '');
  }
}

const unknown: Expected = { sha256: null, sizeBytes: null };

function plain(source: ImageSource): OpenedSource {
  return { source, expected: unknown, described: null };
}

async function openAddress(address: string, { signal, onNotice }: OpenOptions): Promise<ImageSource> {
  const { httpSource } = await import('./http.ts');
  return httpSource(address, onNotice ? { signal, onNotice } : { signal });
}

// What follows needs the schema library, whose loading takes longer than the rest of the program.

async function openDescriptor(path: string, options: OpenOptions): Promise<OpenedSource> {
  const { loadDescriptor } = await import('./descriptor.ts');
  const { url, name, format, sha256, sizeBytes, description } = await loadDescriptor(path);
  const source = await openAddress(url, options);
  return expecting(source, [source.name, name], format, { sha256, sizeBytes }, description);
}

async function openNamed(name: string, options: OpenOptions): Promise<OpenedSource> {
  const { catalogLocation, loadCatalog, cacheDirectory } = await import('../catalog/manifest.ts');
  const environment = options.environment ?? process.env;
  const location = await catalogLocation(options.catalog, environment);
  if (location === null) throw failure('IMAGE_NOT_FOUND', { image: name });
  const catalog = await loadCatalog(location, options.signal);
  const entry = catalog.entries.find((candidate) => candidate.name === name);
  if (!entry) throw failure('IMAGE_NOT_FOUND', { image: name, catalog: catalog.location });
  return openEntry(entry, catalog, cacheDirectory(environment), options);
}

async function openEntry(
  entry: CatalogEntry,
  catalog: Catalog,
  directory: string,
  { signal, onNotice }: OpenOptions,
): Promise<OpenedSource> {
  const cache = await import('../catalog/cache.ts');
  const { sha256, sizeBytes, description } = entry;
  const cached = await cache.cachedPath(directory, sha256);
  if (cached !== null) {
    const source = await fileSource(cached);
    return expecting(source, [entry.src, entry.name], entry.format, { sha256, sizeBytes }, description);
  }
  const source = await cache.openEntry(entry, catalog, onNotice ? { signal, onNotice } : { signal });
  return expecting(source, [source.name, entry.name], entry.format, { sha256, sizeBytes }, description);
}

/** `source` under the most telling of `names`, unless its length is another than expected. */
async function expecting(
  source: ImageSource,
  names: readonly string[],
  format: string | null,
  expected: Expected,
  described: string | null,
): Promise<OpenedSource> {
  const { size, location } = source;
  if (expected.sizeBytes !== null && size !== null && size !== expected.sizeBytes) {
    await source.close();
    throw failure('SOURCE_LENGTH', { url: location, expected: expected.sizeBytes, actual: size });
  }
  const name = tellingName(names, format);
  return { source: { ...source, name }, expected, described };
}

/** A name that tells the format; the format itself is added where none does. */
function tellingName(names: readonly string[], format: string | null): string {
  const bases = names.map((name) => name.replace(/[?#].*$/s, '').replace(/^.*\//s, ''));
  const telling = bases.find((name) => guessByName(name) !== null);
  if (telling !== undefined) return telling;
  const last = names.at(-1) ?? '';
  return format === null ? last : `${last}.${format}`;
}
