/** Looks where the boot programs lie, and says which are missing and how they are got. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { type Binary, binaries } from './binary.ts';

export interface FoundBinary {
  readonly binary: Binary;
  readonly path: string;
  readonly size: number;
  /** Milliseconds since 1970 of its last change. */
  readonly changed: number;
  /** Who put it there. */
  readonly origin: 'operator' | 'package' | 'built';
}
export interface MissingBinary {
  readonly binary: Binary;
  readonly advice: string;
}

export interface BinaryFolders {
  /** Directories of the operator, best first. */
  readonly operator: readonly string[];
  /** Where files that were built here lie. */
  readonly built: string;
  /** False leaves the places of packages out, for tests. */
  readonly packages?: boolean;
}

export interface Survey {
  readonly found: ReadonlyMap<string, FoundBinary>;
  readonly missing: readonly MissingBinary[];
}

export function survey(folders: BinaryFolders): Survey {
  const found = new Map<string, FoundBinary>();
  const missing: MissingBinary[] = [];
  for (const binary of binaries) {
    const one = locate(binary, folders);
    if (one) found.set(binary.name, one);
    else missing.push({ binary, advice: binary.advice });
  }
  return { found, missing };
}

function locate(binary: Binary, { operator, built, packages = true }: BinaryFolders): FoundBinary | null {
  for (const folder of operator) {
    for (const name of binary.names) {
      const one = regular(within(folder, name));
      if (one) return { binary, origin: 'operator', ...one };
    }
  }
  const made = regular(within(built, binary.name));
  if (made) return { binary, origin: 'built', ...made };
  for (const place of packages ? binary.places : []) {
    const one = regular(place);
    if (one) return { binary, origin: 'package', ...one };
  }
  return null;
}

/** The path of `name` in `folder` when no link leads out of it. */
function within(folder: string, name: string): string | null {
  try {
    const real = realpathSync(join(folder, name));
    const inside = relative(realpathSync(folder), real);
    return inside.startsWith('..') || isAbsolute(inside) ? null : real;
  } catch {
    return null;
  }
}

function regular(path: string | null): { path: string; size: number; changed: number } | null {
  if (path === null) return null;
  try {
    const { size, mtimeMs } = statSync(path);
    return statSync(path).isFile() && size > 0 ? { path, size, changed: mtimeMs } : null;
  } catch {
    return null;
  }
}

/** Names and paths of the plain files of a directory, links and hidden files left out. */
export function plainFiles(folder: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isFile() && !entry.name.startsWith('.')) files.set(entry.name, join(folder, entry.name));
  } catch {
    // There is no such directory yet.
  }
  return files;
}
