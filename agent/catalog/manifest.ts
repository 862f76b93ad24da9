import { access } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { redacted } from '../../shared/address.ts';
import { type CatalogEntry, catalogBytes, checkCatalog } from '../../shared/catalog.ts';
import { Failure, failure } from '../../shared/failure.ts';
import { fileSource } from '../source/file.ts';
import { fill } from '../source/head.ts';
import { httpSource } from '../source/http.ts';
import type { ImageSource } from '../source/source.ts';
import { parseToml } from '../source/toml.ts';

/** A manifest that was read. */
export interface Catalog {
  /** Path or address as given, for people (without credentials). */
  readonly location: string;
  /** Whether it came from a server: it then names nothing on this machine. */
  readonly remote: boolean;
  readonly entries: readonly CatalogEntry[];
  /** What paths in it are relative to: a directory or an address. */
  readonly base: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const stateDirectory = (environment: Environment): string => environment.BTY_STATE_DIR || '/var/lib/bty';

/**
 * Which manifest is meant: `given`, else BTY_CATALOG_FILE, else catalog.toml in the state directory if there is
 * one. Null when none is configured.
 */
export async function catalogLocation(
  given: string | undefined,
  environment: Environment,
): Promise<string | null> {
  if (given) return given;
  if (environment.BTY_CATALOG_FILE) return environment.BTY_CATALOG_FILE;
  const usual = join(stateDirectory(environment), 'catalog.toml');
  return access(usual).then(
    () => usual,
    () => null,
  );
}

/** Where fetched images are kept: BTY_CATALOG_CACHE_DIR, else `cache` in the state directory. */
export function cacheDirectory(environment: Environment): string {
  return environment.BTY_CATALOG_CACHE_DIR || join(stateDirectory(environment), 'cache');
}

/** The manifest that is meant, read. Rejects with CATALOG_MISSING where none is configured. */
export async function configuredCatalog(
  given: string | undefined,
  environment: Environment,
  signal: AbortSignal,
): Promise<Catalog> {
  const location = await catalogLocation(given, environment);
  if (location === null) throw failure('CATALOG_MISSING', {});
  return loadCatalog(location, signal);
}

/** Reads the manifest at a path or an http(s) address. Rejects with CATALOG_INVALID or a failure of the source. */
export async function loadCatalog(location: string, signal: AbortSignal): Promise<Catalog> {
  const remote = /^https?:/i.test(location);
  const shown = remote ? redacted(location) : location;
  const source = await openManifest(location, remote, signal);
  let bytes: Uint8Array;
  try {
    bytes = await readManifest(source, shown, signal);
  } finally {
    await source.close();
  }
  const base = remote ? location : dirname(resolve(location));
  return { location: shown, remote, entries: parseCatalog(bytes, shown), base };
}

/** The images in `bytes`, the content of the manifest `shown`. Throws CATALOG_INVALID. */
export function parseCatalog(bytes: Uint8Array, shown: string): readonly CatalogEntry[] {
  const parsed = parseToml(bytes);
  if (parsed.kind === 'invalid') throw invalid(shown, parsed.problem);
  const checked = checkCatalog(parsed.value);
  if (checked.kind === 'invalid') throw invalid(shown, checked.problem);
  return checked.value;
}

/** The image called `name`. Throws CATALOG_ENTRY_UNKNOWN. */
export function findEntry(catalog: Catalog, name: string): CatalogEntry {
  const found = catalog.entries.find((entry) => entry.name === name);
  if (!found) throw failure('CATALOG_ENTRY_UNKNOWN', { catalog: catalog.location, name });
  return found;
}

/**
 * Where an image's bytes are. A manifest from a server speaks of its own server and other addresses, never of
 * files here. Throws CATALOG_INVALID for addresses that bty does not read.
 */
export function sourceOf(
  entry: CatalogEntry,
  catalog: Catalog,
): { readonly kind: 'http' | 'file'; readonly location: string } {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(entry.src)?.[1]?.toLowerCase();
  const refuse = (problem: string) =>
    invalid(catalog.location, `the src of ${JSON.stringify(entry.name)} ${problem}`);
  if (scheme === 'http' || scheme === 'https') return { kind: 'http', location: entry.src };
  if (catalog.remote) {
    const address = scheme === undefined ? URL.parse(entry.src, catalog.base) : null;
    if (!address) throw refuse(`is no http or https address, and the catalog comes from a server`);
    return { kind: 'http', location: address.href };
  }
  if (scheme === undefined) return { kind: 'file', location: resolve(catalog.base, entry.src) };
  if (scheme !== 'file')
    throw refuse(`is an address of the kind "${scheme}:"; bty reads http, https and files`);
  try {
    return { kind: 'file', location: fileURLToPath(entry.src) };
  } catch {
    throw refuse('is no file address of this machine');
  }
}

async function openManifest(location: string, remote: boolean, signal: AbortSignal): Promise<ImageSource> {
  if (remote) return httpSource(location, { signal });
  try {
    return await fileSource(location);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const problem =
      error.code === 'IMAGE_NOT_FOUND' ? 'there is no such file' : String(error.details.problem);
    throw failure('CATALOG_INVALID', { catalog: location, problem }, error);
  }
}

async function readManifest(source: ImageSource, shown: string, signal: AbortSignal): Promise<Uint8Array> {
  const tooLarge = invalid(shown, `it is larger than ${catalogBytes} bytes`);
  if (source.size !== null && source.size > catalogBytes) throw tooLarge;
  const stream = await source.open(signal);
  try {
    const into = new Uint8Array((source.size ?? catalogBytes) + 1);
    const count = await fill((room) => stream.read(room), into);
    if (count > catalogBytes) throw tooLarge;
    return into.subarray(0, count);
  } finally {
    await stream.close();
  }
}

function invalid(catalog: string, problem: string): Failure {
  return failure('CATALOG_INVALID', { catalog, problem });
}
