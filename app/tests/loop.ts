import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { patience, until } from './processes.ts';

const run = promisify(execFile);
/** Debian's own, because its packages of Python modules are seen by no other. */
const python = '/usr/bin/python3';

export interface LoopDisk extends AsyncDisposable {
  /** The device, for example /dev/loop3. */
  readonly path: string;
  /** The file under it. */
  readonly file: string;
  readonly size: number;
  /** What a loop device does when its disk is pulled out: its size becomes nothing. */
  unplug(): Promise<void>;
}

/** A loop device over a file of our own: a real block device, and nobody's disk. */
export async function loopDisk(size: number): Promise<LoopDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-loop-'));
  const file = await emptyFile(join(folder, 'disk'), size);
  const path = await attach(file);
  return {
    path,
    file,
    size,
    unplug: () => unplug(path, file),
    async [Symbol.asyncDispose]() {
      await run('losetup', ['-d', path]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The device takes the size that its file has now: LOOP_SET_CAPACITY of linux/loop.h. */
async function unplug(path: string, file: string): Promise<void> {
  await truncate(file, 0);
  // The kernel may go by a size that it asked for a moment ago.
  await until(async () => {
    await run(python, ['-c', 'import fcntl,sys; fcntl.ioctl(open(sys.argv[1]), 0x4C07)', path]);
    return Number(await readFile(`/sys/block/${basename(path)}/size`, 'utf8')) === 0;
  }, `${path} has no size`);
}

export type Wish = 'hold-writes' | 'hold-reads' | 'hold-flushes' | 'fail-writes' | 'fail-reads';

export interface ValveDisk extends AsyncDisposable {
  readonly path: string;
  /** The file that holds what reached the disk. */
  readonly backing: string;
  readonly size: number;
  /** As of a loop disk. */
  unplug(): Promise<void>;
  wish(what: Wish): Promise<void>;
  unwish(what: Wish): Promise<void>;
  /** Resolves once one of these was held up. */
  waits(what: 'writes' | 'reads' | 'flushes'): Promise<void>;
}

/** A loop device whose reads and writes wait or fail as they are told to; see valvefs.py. */
export async function valveDisk(size: number, ...wishes: readonly Wish[]): Promise<ValveDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-valve-'));
  const backing = await emptyFile(join(folder, 'backing'), size);
  const mountpoint = join(folder, 'mounted');
  const wishing = join(folder, 'wishes');
  await mkdir(mountpoint);
  await mkdir(wishing);
  const server = spawn(python, [join(import.meta.dirname, 'valvefs.py'), mountpoint, backing, wishing], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(server, 'exit');
  await once(server.stdout, 'data', { signal: AbortSignal.timeout(patience) });
  const path = await attach(join(mountpoint, 'disk'));
  // A longer write of which a part fails comes back short, and the loop driver calls a short write done.
  await writeFile(`/sys/block/${basename(path)}/queue/max_sectors_kb`, '128');
  const disk = {
    path,
    backing,
    size,
    unplug: async () => {
      await unplug(path, backing);
      // Whoever waits for it learns that it is gone.
      for (const what of ['hold-reads', 'hold-writes', 'hold-flushes'])
        await rm(join(wishing, what), { force: true });
    },
    wish: (what: Wish) => writeFile(join(wishing, what), ''),
    unwish: (what: Wish) => rm(join(wishing, what), { force: true }),
    waits: (what: string) => until(() => existsSync(join(wishing, `waits-${what}`)), `${what} wait`),
  };
  for (const what of wishes) await disk.wish(what);
  return {
    ...disk,
    async [Symbol.asyncDispose]() {
      await rm(wishing, { recursive: true, force: true });
      await run('losetup', ['-d', path]);
      await run('fusermount3', ['-u', '-z', mountpoint]);
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function emptyFile(path: string, size: number): Promise<string> {
  const handle = await open(path, 'w');
  await handle.truncate(size);
  await handle.close();
  return path;
}

async function attach(file: string): Promise<string> {
  const { stdout } = await run('losetup', ['--show', '-f', file]);
  return stdout.trim();
}

/** Digest of the first `length` bytes of a file or device. */
export async function digestOf(path: string, length: number): Promise<string> {
  const hash = createHash('sha256');
  if (length > 0) await pipeline(createReadStream(path, { end: length - 1 }), hash);
  return hash.digest('hex');
}
