/** Directories and what is left in them. */
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf } from './words.ts';

/** As mkdir -p. Node's own `recursive` never ends where the system denies that a folder can be (under /proc). */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o755 });
  } catch (error) {
    const code = codeOf(error);
    const isFolder = (at: string) =>
      stat(at).then(
        (found) => found.isDirectory(),
        () => false,
      );
    if (code === 'EEXIST' && (await isFolder(path))) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || (await isFolder(parent))) throw error;
    await makeFolder(parent);
    await makeFolder(path);
  }
}

/** Makes the names in a folder safe against a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what a program that was killed left in `folder`: entries whose name is one of `leftover`, older than `milliseconds`. */
export async function sweep(folder: string, leftover: RegExp, milliseconds: number): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!leftover.test(name)) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => null);
    if (found && Date.now() - found.mtimeMs >= milliseconds) await rm(path, { recursive: true, force: true });
  }
}
