import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { basename, delimiter, isAbsolute, join } from 'node:path';

const name = process.platform === 'win32' ? 'xz.exe' : 'xz';
let known: string | null | undefined;

/** Absolute path of xz(1) of XZ Utils, or null when this machine has none. Looked up once. */
export function findXz(): string | null {
  known ??= lookUp(`${process.env.PATH ?? ''}${delimiter}/usr/bin${delimiter}/bin`);
  return known;
}

/** As `findXz` on a given PATH, whose relative folders are passed over. */
export function lookUp(path: string): string | null {
  for (const folder of path.split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    const tool = join(folder, name);
    try {
      accessSync(tool, constants.X_OK);
      // The applet of busybox knows none of the options that are needed here.
      if (statSync(tool).isFile() && !basename(realpathSync(tool)).startsWith('busybox')) return tool;
    } catch {
      // Not there; the next folder may have it.
    }
  }
  return null;
}
