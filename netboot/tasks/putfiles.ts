/** The folder of files that tasks may put on machines. */
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { mostPutBytes, type PutFile } from '../../shared/contract/task.ts';
import { Problem } from '../http/problem.ts';
import { isFileName } from './file.ts';

/** Of at most 64 MiB each. */
const mostPutFiles = 200;

export class PutFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(): Promise<readonly PutFile[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const found = await Promise.all(names.filter(isFileName).map((name) => this.#look(name)));
    return found.filter((file) => file !== null).sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** Takes the body of `request`; what breaks off leaves nothing behind. */
  async save(name: string, request: Readable): Promise<PutFile> {
    const target = this.#path(name);
    await mkdir(this.#folder, { recursive: true, mode: 0o750 });
    const others = (await this.list()).filter((file) => file.name !== name);
    if (others.length >= mostPutFiles)
      throw new Problem(
        409,
        `There are ${others.length} files, and no more are kept: delete one that no task copies.`,
      );
    await this.#sweep();
    // No name of a file here begins with a dot.
    const partial = join(this.#folder, `.${randomBytes(9).toString('hex')}.partial`);
    try {
      // The connection is still needed for the answer.
      const source = request.iterator({ destroyOnReturn: false });
      await pipeline(source, limited, createWriteStream(partial, { flags: 'wx', mode: 0o640 }));
      await rename(partial, target);
    } finally {
      await rm(partial, { force: true });
    }
    const file = await this.#look(name);
    if (file === null) throw new Problem(404, `no file ${name}`);
    return file;
  }

  /** What a crash left of uploads; one that runs grows. */
  async #sweep(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => /^\.[0-9a-f]{18}\.partial$/.test(name));
    for (const name of names) {
      const path = join(this.#folder, name);
      const found = await lstat(path).catch(() => null);
      if (found !== null && Date.now() - found.mtimeMs > 3_600_000) await rm(path, { force: true });
    }
  }

  async delete(name: string): Promise<void> {
    const path = this.#path(name);
    if ((await this.#look(name)) === null) throw new Problem(404, `no file ${name}`);
    await rm(path, { force: true });
  }

  #path(name: string): string {
    if (!isFileName(name))
      throw new Problem(
        400,
        'A file of that name cannot be kept: letters, digits, ".", "_" and "-", no folder and no "." in front.',
      );
    return join(this.#folder, name);
  }

  async #look(name: string): Promise<PutFile | null> {
    const found = await lstat(this.#path(name)).catch(() => null);
    if (found === null || !found.isFile()) return null;
    return { name, size_bytes: found.size, changed_at: found.mtime.toISOString() };
  }
}

async function* limited(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const piece of source) {
    size += piece.length;
    if (size > mostPutBytes) throw tooLargeFile();
    yield piece;
  }
}

export function tooLargeFile(): Problem {
  return new Problem(413, `the file is larger than ${mostPutBytes} bytes`);
}
