/** One list of images from all places that know some (bty-contract 3.5). Pure. */
import type { CatalogEntry } from '../../shared/catalog.ts';
import type { CatalogRow } from './entry.ts';

export interface Place {
  /** `local`: a path here; `manifest`: an address in the catalog; `url`: an address without a digest. */
  readonly kind: 'local' | 'manifest' | 'url';
  readonly location: string;
}

/** An image, whatever it is called and wherever it lies. */
export interface UnifiedImage {
  readonly names: readonly string[];
  /** Null for files that were not read yet and for addresses without a digest. */
  readonly sha256: string | null;
  readonly format: string;
  readonly sizeBytes: number | null;
  readonly virtualBytes: number | null;
  readonly places: readonly Place[];
  /** Its bytes are on this machine. */
  readonly cached: boolean;
  /** What is wrong with it, as far as it was looked at. */
  readonly problem: string | null;
  /** Its packing, if any, was followed to its end and is whole. */
  readonly checked: boolean;
}

export interface LocalFile {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly sha256: string | null;
  readonly format: string;
  readonly virtualBytes: number | null;
  readonly problem: string | null;
  readonly checked: boolean;
}

export interface Known {
  readonly local: readonly LocalFile[];
  readonly manifest: readonly CatalogEntry[];
  readonly rows: readonly CatalogRow[];
  /** Digests of the cache. */
  readonly cached: ReadonlySet<string>;
}

/** Those with a digest by first name, those without by name, then addresses without a digest by time. */
export function unify({ local, manifest, rows, cached }: Known): UnifiedImage[] {
  const byDigest = new Map<string, UnifiedImage>();
  const unread: UnifiedImage[] = [];
  const add = (image: UnifiedImage & { readonly sha256: string }): void => {
    const present = byDigest.get(image.sha256);
    byDigest.set(image.sha256, present ? merged(present, image) : image);
  };
  for (const { name, path, size, sha256, format, virtualBytes, problem, checked } of local) {
    const places = [{ kind: 'local', location: path }] as const;
    const image = {
      names: [name],
      format,
      sizeBytes: size,
      virtualBytes,
      places,
      cached: true,
      problem,
      checked,
    };
    if (sha256 === null) unread.push({ ...image, sha256, cached: false });
    else add({ ...image, sha256 });
  }
  for (const entry of [...manifest, ...rows.map(entryOf)]) {
    if (entry.sha256 === null) continue;
    add({
      names: [entry.name],
      sha256: entry.sha256,
      format: entry.format ?? '',
      sizeBytes: entry.sizeBytes,
      virtualBytes: null,
      places: [{ kind: 'manifest', location: entry.src }],
      cached: cached.has(entry.sha256),
      problem: null,
      checked: false,
    });
  }
  const addresses = rows
    .filter(({ sha256 }) => sha256 === null)
    .map(({ name, src, format, size_bytes }): UnifiedImage => {
      const places = [{ kind: 'url', location: src }] as const;
      const unknown = { sha256: null, virtualBytes: null, cached: false, problem: null, checked: false };
      return { names: [name], format: format ?? '', sizeBytes: size_bytes, places, ...unknown };
    });
  const byName = (one: UnifiedImage, other: UnifiedImage) =>
    compare(one.names[0] ?? '', other.names[0] ?? '');
  return [...[...byDigest.values()].sort(byName), ...unread.sort(byName), ...addresses];
}

function merged(one: UnifiedImage, other: UnifiedImage): UnifiedImage {
  return {
    ...one,
    names: [...new Set([...one.names, ...other.names])],
    format: one.format || other.format,
    sizeBytes: one.sizeBytes ?? other.sizeBytes,
    virtualBytes: one.virtualBytes ?? other.virtualBytes,
    places: [...one.places, ...other.places],
    cached: one.cached || other.cached,
    problem: one.problem ?? other.problem,
    checked: one.checked || other.checked,
  };
}

function entryOf({ name, src, sha256, format, size_bytes }: CatalogRow) {
  return { name, src, sha256, format, sizeBytes: size_bytes };
}

/** By code points, as the release sorts. */
function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
