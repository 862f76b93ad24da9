import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { CatalogEntryShown } from '../../shared/app/contract.ts';
import { type AppImage, type ImageChoice, imageIn } from '../../shared/app/image.ts';
import { urlOf } from '../../shared/app/url.ts';
import { failure } from '../../shared/failure.ts';
import { ask, type Program } from './program.ts';

/** Looks at images and catalogs, through `bty`. One image is looked at a time: the next one ends the look before. */
export class Images {
  /** The image that was looked at last. */
  chosen: AppImage | null = null;
  readonly #program: Program;
  #running: AbortController | null = null;

  constructor(program: Program) {
    this.#program = program;
  }

  /** Rejects with IMAGE_LOOK_FAILED when there is nothing to read, and with CANCELLED when another look began. */
  async inspect(choice: ImageChoice): Promise<AppImage> {
    this.forget();
    const running = new AbortController();
    this.#running = running;
    try {
      // A path is never taken for an option: it is absolute.
      const printed = await ask(
        this.#program,
        ['inspect', 'image', '--json', '--', choice.location],
        `read ${choice.location}`,
        running.signal,
      );
      const image = imageIn(choice, printed);
      if (image === null)
        throw failure('PROGRAM_FAILED', { purpose: 'read the image', problem: 'bty is too old.' });
      if (!running.signal.aborted) this.chosen = image;
      return image;
    } catch (error) {
      if (running.signal.aborted) throw failure('CANCELLED', { untouched: true }, error);
      throw error;
    } finally {
      if (this.#running === running) this.#running = null;
    }
  }

  /** Ends a look that is still going on, and forgets the image. */
  forget(): void {
    this.#running?.abort();
    this.chosen = null;
  }

  /** The images of a catalog, each with a location that can be inspected. */
  async catalog(location: string): Promise<readonly CatalogEntryShown[]> {
    const printed = await ask(
      this.#program,
      ['catalog', 'list', '--json', '--manifest', location],
      `read the catalog ${location}`,
      AbortSignal.timeout(60_000),
    );
    if (!Check(WireCatalog, printed)) {
      throw failure('PROGRAM_FAILED', {
        purpose: `read the catalog ${location}`,
        problem: 'bty is too old.',
      });
    }
    return printed.entries.flatMap((entry) => shown(entry, location));
  }
}

const maybe = Type.Union([Type.String(), Type.Null()]);
const WireEntry = Type.Object({
  name: Type.String(),
  src: Type.String(),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  format: maybe,
  size_bytes: Type.Union([Type.Integer(), Type.Null()]),
  description: maybe,
});
const WireCatalog = Type.Object({
  command: Type.Literal('catalog-list'),
  entries: Type.Array(WireEntry, { maxItems: 10_000 }),
});

function shown(entry: Static<typeof WireEntry>, catalog: string): readonly CatalogEntryShown[] {
  const location = resolved(entry.src, catalog);
  if (location === null) return [];
  const { name, sha256, format, description } = entry;
  return [{ name, location, sha256, format, sizeBytes: entry.size_bytes, description }];
}

/**
 * `src` of an entry as it is meant: relative to the catalog that it stands in. Null for what a catalog from a server
 * may not name: a file of this machine.
 */
function resolved(src: string, catalog: string): string | null {
  if (/^https?:/i.test(src)) return src;
  if (!/^https?:/i.test(catalog)) return ownFile(src, catalog);
  const url = urlOf(src, catalog);
  return url !== null && /^https?:$/.test(url.protocol) ? url.href : null;
}

/** The file that `src` names in the catalog of this machine at `catalog`; null for addresses that are not read. */
function ownFile(src: string, catalog: string): string | null {
  // A letter alone before the colon is a drive of Windows.
  if (!/^[a-z][a-z0-9+.-]+:/i.test(src)) return isAbsolute(src) ? src : join(dirname(catalog), src);
  try {
    return fileURLToPath(src);
  } catch {
    return null;
  }
}
