/** Folders and files of the state: nobody else may read what is in them. */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** As mkdir -p. Node's own `recursive` never ends where the system denies that a folder can be (under /proc). */
export function makeStateFolder(path: string, mode = 0o750): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EEXIST' && isFolder(path)) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || isFolder(parent)) throw error;
    makeStateFolder(parent, mode);
    makeStateFolder(path, mode);
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Makes `path` an (empty) file that its owner alone may read, and an existing one so too. SQLite's companions follow it. */
export function keepPrivate(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) makePrivate(file);
}

function makePrivate(path: string): void {
  if ((statSync(path).mode & 0o077) === 0) return;
  chmodSync(path, 0o600);
}
