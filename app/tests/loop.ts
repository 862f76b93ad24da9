import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface LoopDisk extends AsyncDisposable {
  /** The device, for example /dev/loop3. */
  readonly path: string;
  /** The file under it. */
  readonly file: string;
  readonly size: number;
}

/** A loop device over a file of our own: a real block device, and nobody's disk. */
export async function loopDisk(size: number): Promise<LoopDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-loop-'));
  const file = join(folder, 'disk');
  const handle = await open(file, 'w');
  await handle.truncate(size);
  await handle.close();
  const { stdout } = await run('losetup', ['--show', '-f', file]);
  const path = stdout.trim();
  return {
    path,
    file,
    size,
    async [Symbol.asyncDispose]() {
      await run('losetup', ['-d', path]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Digest of the first `length` bytes of a file or device. */
export async function digestOf(path: string, length: number): Promise<string> {
  const hash = createHash('sha256');
  if (length > 0) await pipeline(createReadStream(path, { end: length - 1 }), hash);
  return hash.digest('hex');
}
