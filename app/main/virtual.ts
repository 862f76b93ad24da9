import { mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes the file at `path` a disk of `size` bytes that holds nothing and takes no room; removes it when `size` is null. */
export async function setVirtualDisk(path: string, size: number | null): Promise<string | null> {
  if (size === null) {
    await rm(path, { force: true });
    return null;
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, 'a', 0o600);
  try {
    if ((await file.stat()).size !== size) await file.truncate(size);
  } finally {
    await file.close();
  }
  return path;
}
