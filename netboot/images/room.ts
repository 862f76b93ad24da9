/** Whether there is room for bytes before they are accepted. */
import { lstat, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../shared/failure.ts';

/** Bytes of a file system that are never given to images: the database lies there too. */
const reserveBytes = 16 * 1024 * 1024;

/** Bytes that may be written into the file system of `folder`. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return Math.max(0, bavail * bsize - reserveBytes);
}

/** The whole length of a partial file of an upload in pieces is part of its name. */
const promised = /^\.resume-[0-9a-f]{32}-(\d+)\.partial$/;

/** What a digest beside an image takes is not an image's. */
const sidecarBytes = 4096;

/**
 * Bytes that the files in `folder` take, those of uploads that are not complete with all that they were announced to
 * have; the names in `except` do not count.
 */
export async function takenBytes(folder: string, except: ReadonlySet<string> = new Set()): Promise<number> {
  let sum = 0;
  const names = await readdir(folder).catch(() => []);
  for (let start = 0; start < names.length; start += 64) {
    const some = names.slice(start, start + 64).filter((name) => !except.has(name));
    const found = await Promise.all(some.map((name) => lstat(join(folder, name)).catch(() => null)));
    for (const [index, state] of found.entries()) {
      const name = some[index] ?? '';
      if (!state?.isFile() || (name.endsWith('.sha256') && state.size <= sidecarBytes)) continue;
      sum += Math.max(state.size, Number(promised.exec(name)?.[1] ?? 0));
    }
  }
  return sum;
}

/**
 * Rejects with STORE_FULL when `needed` bytes do not fit into the file system of `folder`; answers how many more
 * than these do.
 */
export async function checkFree(folder: string, needed: number): Promise<number> {
  const free = await freeBytes(folder);
  if (needed > free) throw failure('STORE_FULL', { folder, needed, free });
  return free - needed;
}

/** Bytes after which the room is looked at again, at the most, while nobody knows how many come. */
const lookEvery = 64 * 1024 * 1024;

/**
 * Looks at the room while bytes come of which nobody knows how many: the less room is left the more often, since
 * others write at the same time.
 */
export class Watch {
  readonly #look: (bytes: number) => Promise<number>;
  #trusted = 0;

  /** `look` rejects when so many more bytes are too many, and answers how many more than these fit. */
  constructor(look: (bytes: number) => Promise<number>) {
    this.#look = look;
  }

  /** `bytes` are about to be written. Rejects as `look` does. */
  async take(bytes: number): Promise<void> {
    if (bytes > this.#trusted) this.#trusted = bytes + Math.min(lookEvery, (await this.#look(bytes)) / 4);
    this.#trusted -= bytes;
  }
}
