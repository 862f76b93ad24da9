/** Where the built pages of the web interface come from: a folder, or the executable itself. */
import { existsSync } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { getRawAsset, isSea } from 'node:sea';
import { gunzipSync } from 'node:zlib';

/** Set by the packer (esbuild `define`): folder of a bundle whose parts lie beside one another as files. */
declare const BTY_BUNDLE: string | undefined;

/** One file of the interface. */
export interface PageFile {
  readonly bytes: Uint8Array;
  /** The same bytes under gzip, null where they do not shrink. */
  readonly gzip: Uint8Array | null;
}
export type Pages = (name: string) => Promise<PageFile | null>;

/** Largest file of the interface. */
const most = 16 * 1024 * 1024;
/** Names of the files in the executable begin with this. */
export const assetPrefix = 'ui/';

/**
 * The pages in `folder` (the setting `ui_dir`); without it those in the executable, or those that `npm run build` left
 * in this checkout. Null when there are none.
 */
export function pagesOf(folder: string | null): Pages | null {
  if (folder !== null) return (name) => fileIn(folder, name);
  if (isSea()) return embedded;
  const built =
    typeof BTY_BUNDLE === 'string'
      ? join(BTY_BUNDLE, 'ui')
      : join(import.meta.dirname, '..', '..', 'dist', 'ui');
  return existsSync(join(built, 'index.html')) ? (name) => fileIn(built, name) : null;
}

const unpacked = new Map<string, PageFile>();

/** Text lies in the executable under gzip only, and is unpacked once when somebody asks for it plain. */
async function embedded(name: string): Promise<PageFile | null> {
  const known = unpacked.get(name);
  if (known) return known;
  const packed = asset(`${name}.gz`);
  const bytes = packed === null ? asset(name) : gunzipSync(packed, { maxOutputLength: most });
  if (bytes === null) return null;
  const file = { bytes, gzip: packed };
  unpacked.set(name, file);
  return file;
}

function asset(name: string): Uint8Array | null {
  try {
    return new Uint8Array(getRawAsset(`${assetPrefix}${name}`));
  } catch {
    return null;
  }
}

async function fileIn(folder: string, name: string): Promise<PageFile | null> {
  const bytes = await bytesIn(folder, name);
  return bytes === null ? null : { bytes, gzip: await bytesIn(folder, `${name}.gz`) };
}

/** A file below `folder`, null when there is none or it lies, by links, elsewhere. */
async function bytesIn(folder: string, name: string): Promise<Uint8Array | null> {
  if (name.includes('\0')) return null;
  try {
    const root = await realpath(folder);
    const path = await realpath(join(root, name));
    if (!path.startsWith(root + sep)) return null;
    const found = await stat(path);
    return found.isFile() && found.size <= most ? await readFile(path) : null;
  } catch {
    return null;
  }
}
