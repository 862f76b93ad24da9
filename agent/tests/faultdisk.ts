/** A loop device over a file that fails where it is told to; see faultfs.py. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { inFolder, noLoops, run } from '../disk/testing.ts';

/** Debian's own, because its packages of Python modules are seen by no other. */
const python = '/usr/bin/python3';

/** Byte of the disk at which something goes wrong. */
export interface DiskFaults {
  /** A write that covers it says EIO. */
  readonly failWrite?: number;
  /** A read that covers it says EIO. */
  readonly failRead?: number;
  /** It is read as another byte than it is. */
  readonly lie?: number;
}

export interface FaultyLoop {
  readonly path: string;
  /** The file that holds what reached the disk. */
  readonly backing: string;
  readonly folder: string;
}

/** False where such a disk can be made, else the reason for a test to skip itself. */
export const noFaultyLoops: string | false = noLoops || noFuse();

function noFuse(): string | false {
  if (!existsSync('/dev/fuse')) return 'needs /dev/fuse';
  try {
    accessSync(python, constants.X_OK);
    execFileSync(python, ['-c', 'import fusepy'], { stdio: 'ignore' });
    execFileSync('fusermount3', ['-V'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs fusepy and fusermount3 (apt install python3-fusepy fuse3)';
  }
}

/**
 * KiB that FUSE hands over at once. A longer write of which only a part fails comes back short, and the loop driver
 * of Linux (drivers/block/loop.c, lo_complete_rq) calls a short write done; so requests are cut to this length.
 */
const mostOfFuse = '128';

export interface FaultyLoopOptions {
  /** Bytes. */
  readonly size: number;
  /** What the disk is full of. */
  readonly fill: number;
  readonly faults: DiskFaults;
  /** Leaves requests as long as they are, so that the kernel hides some failed writes. */
  readonly hiding?: boolean;
}

/** Runs `use` with a loop device that has faults. */
export async function withFaultyLoop<Result>(
  { size, fill, faults, hiding = false }: FaultyLoopOptions,
  use: (disk: FaultyLoop) => Promise<Result>,
): Promise<Result> {
  return inFolder(async (folder) => {
    const backing = join(folder, 'backing');
    const mountpoint = join(folder, 'mounted');
    await writeFile(backing, Buffer.alloc(size, fill));
    await mkdir(mountpoint);
    const words = { 'fail-write': faults.failWrite, 'fail-read': faults.failRead, lie: faults.lie };
    const args = Object.entries(words).flatMap(([word, byte]) =>
      byte === undefined ? [] : [`${word}=${byte}`],
    );
    const program = join(import.meta.dirname, 'faultfs.py');
    const server = spawn(python, [program, mountpoint, backing, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(server, 'exit');
    await ready(server);
    try {
      const path = (await run('losetup', '--show', '--find', join(mountpoint, 'disk'))).trim();
      const limit = `/sys/block/${basename(path)}/queue/max_sectors_kb`;
      const before = await readFile(limit, 'utf8');
      try {
        if (!hiding) await writeFile(limit, mostOfFuse);
        return await use({ path, backing, folder });
      } finally {
        await writeFile(limit, before);
        await run('losetup', '--detach', path);
      }
    } finally {
      await run('fusermount3', '-u', mountpoint).catch(() => server.kill('SIGKILL'));
      await ended;
    }
  });
}

/** Waits for the line that says that the file system is mounted. */
async function ready({ stdout, stderr }: ChildProcess): Promise<void> {
  if (!stdout || !stderr) throw new Error('the file system has no output');
  let complaint = '';
  stderr.on('data', (text) => {
    complaint += text;
  });
  for await (const line of createInterface({ input: stdout })) if (line === 'ready') return;
  throw new Error(`the file system could not be mounted: ${complaint}`);
}
