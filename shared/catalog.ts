/** Catalogs: manifests of images with their digests (bty-contract section 1.5). */
import { type Static, Type } from 'typebox';
import {
  type Checked,
  formatByName,
  nameSchema,
  sha256Schema,
  sizeSchema,
  textSchema,
} from './descriptor.ts';
import { faultIn } from './fault.ts';

/** Most bytes of a manifest. */
export const catalogBytes = 4 * 1024 * 1024;

/** One `[[images]]` table as it is written. */
export const CatalogImage = Type.Object({
  name: nameSchema,
  src: nameSchema,
  sha256: sha256Schema,
  format: Type.Optional(nameSchema),
  size_bytes: Type.Optional(sizeSchema),
  description: Type.Optional(textSchema),
});

/** What a manifest holds besides its images. */
export const CatalogFile = Type.Object({
  version: Type.Literal(1, { expected: '1' }),
  images: Type.Optional(Type.Array(Type.Unknown(), { expected: 'a list of tables, [[images]]' })),
});

/** An image of a catalog as it is meant. */
export interface CatalogEntry {
  readonly name: string;
  /** As it is written: an address, or a path relative to the manifest. */
  readonly src: string;
  /** Lower case. */
  readonly sha256: string;
  /** Wire name of the format, null when neither the entry nor its name tells. */
  readonly format: string | null;
  readonly sizeBytes: number | null;
  readonly description: string | null;
}

/** Checks a manifest that was parsed from TOML; the problem names the entry by position and name. */
export function checkCatalog(value: unknown): Checked<readonly CatalogEntry[]> {
  const problem = faultIn(CatalogFile, value);
  if (problem !== null) return { kind: 'invalid', problem };
  const { images = [] } = value as Static<typeof CatalogFile>;
  const entries: CatalogEntry[] = [];
  const positions = new Map<string, number>();
  for (const [index, image] of images.entries()) {
    const fault = faultIn(CatalogImage, image);
    if (fault !== null) return { kind: 'invalid', problem: `${called(index, image)}: ${fault}` };
    const entry = entryOf(image as Static<typeof CatalogImage>);
    const earlier = positions.get(entry.name);
    if (earlier !== undefined) {
      const both = `images ${earlier + 1} and ${index + 1}`;
      return { kind: 'invalid', problem: `${both} have the same name ${JSON.stringify(entry.name)}` };
    }
    positions.set(entry.name, index);
    entries.push(entry);
  }
  return { kind: 'valid', value: entries };
}

function entryOf(image: Static<typeof CatalogImage>): CatalogEntry {
  return {
    name: image.name,
    src: image.src,
    sha256: image.sha256.toLowerCase(),
    format: image.format ?? formatByName(image.name),
    sizeBytes: image.size_bytes ?? null,
    description: image.description ?? null,
  };
}

function called(index: number, image: unknown): string {
  const name = typeof image === 'object' && image !== null && 'name' in image ? image.name : null;
  return `image ${index + 1}${typeof name === 'string' ? ` (${JSON.stringify(name.slice(0, 100))})` : ''}`;
}
