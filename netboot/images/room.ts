/** Whether there is room for bytes before they are accepted. */
import { statfs } from 'node:fs/promises';
import { failure } from '../../shared/failure.ts';

/** Bytes of a file system that are never given to images: the database lies there too. */
const reserveBytes = 16 * 1024 * 1024;

/** Bytes that may be written into the file system of `folder`. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return Math.max(0, bavail * bsize - reserveBytes);
}

/** Rejects with STORE_FULL when `needed` bytes do not fit into the file system of `folder`. */
export async function checkFree(folder: string, needed: number): Promise<void> {
  const free = await freeBytes(folder);
  if (needed > free) throw failure('STORE_FULL', { folder, needed, free });
}
