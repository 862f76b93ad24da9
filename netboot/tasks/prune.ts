/** Folders of runs: how large they are, and taking them away. */
import { lstat, readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** Bytes of all files in `folder`; 0 when it is not there. */
export async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  let bytes = 0;
  for (const name of entries) {
    const found = await lstat(join(folder, name)).catch(() => null);
    if (found?.isFile()) bytes += found.size;
  }
  return bytes;
}

/** Removes the folder of a run, and that of its machine when it was the last one. Nothing outside of `root`. */
export async function removeRun(root: string, folder: string): Promise<void> {
  const inside = relative(root, folder);
  if (!/^[0-9a-f:]{17}\/[0-9TZ]+(-\d+)?$/.test(inside)) return;
  await rm(folder, { recursive: true, force: true });
  await rmdir(dirname(folder)).catch(() => {});
}
