/** The partitions of a flashed disk as the kernel knows them, and what may be done with their file systems. */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { asFailure } from '../../shared/failure.ts';
import { names, readNumber } from '../disk/kernel.ts';
import { runTool } from '../disk/tool.ts';

export interface Partition {
  readonly number: number;
  /** Path of its device. */
  readonly path: string;
  readonly start: number;
}

/** Partitions of the disk at `path`, in the order of their numbers; waits a little for their device files. */
export async function partitionsOf(path: string, signal: AbortSignal): Promise<readonly Partition[]> {
  const disk = path.replace(/^\/dev\//, '');
  const folder = join('/sys/block', disk.replaceAll('/', '!'));
  for (let tries = 0; ; tries++) {
    const found: Partition[] = [];
    for (const name of await names(folder)) {
      const number = await readNumber(join(folder, name, 'partition'));
      const start = await readNumber(join(folder, name, 'start'));
      if (number !== null && start !== null)
        found.push({ number, start, path: `/dev/${name.replaceAll('!', '/')}` });
    }
    const isThere = await Promise.all(found.map((each) => kindOf(each.path)));
    if ((found.length > 0 && isThere.every((kind) => kind !== null)) || tries >= 20)
      return found.sort((one, other) => one.number - other.number);
    await pause(100, undefined, { signal });
  }
}

export type FileSystem = 'ext' | 'fat' | 'xfs' | 'btrfs' | 'other';

/** Which file system begins at the start of the device; null where it cannot be read. */
export async function kindOf(path: string): Promise<FileSystem | null> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return null;
  try {
    const start = Buffer.alloc(68 << 10);
    const { bytesRead } = await file.read(start, 0, start.length, 0);
    return recognise(start.subarray(0, bytesRead));
  } catch {
    return null;
  } finally {
    await file.close();
  }
}

/** Pure part of `kindOf`: magic numbers of ext2-4 (0x438), FAT, XFS and btrfs (0x10040). */
export function recognise(start: Buffer): FileSystem {
  const text = (at: number, length: number) => start.toString('latin1', at, at + length);
  if (start.length >= 0x43a && start.readUInt16LE(0x438) === 0xef53) return 'ext';
  if (text(0, 4) === 'XFSB') return 'xfs';
  if (text(0x10040, 8) === '_BHRfS_M') return 'btrfs';
  if (start.length >= 512 && start.readUInt16LE(510) === 0xaa55 && /FAT/.test(text(54, 5) + text(82, 5)))
    return 'fat';
  return 'other';
}

/** Milliseconds: as good as none, because a file system that is being enlarged must not be left in the middle. */
const unhurried = 24 * 3_600_000;

/**
 * Lets the file system on the last partition fill it. Resolves sentences: one that cannot be enlarged is as the image had
 * it. Rejects with TOOL_FAILED where it was damaged on the way.
 */
export async function growFileSystem(path: string, signal: AbortSignal): Promise<readonly string[]> {
  const last = [...(await partitionsOf(path, signal))].sort((one, other) => other.start - one.start)[0];
  if (!last) return [];
  const kind = await kindOf(last.path);
  if (kind !== 'ext')
    return [`The file system on ${last.path} was left as it is; only ext2, ext3 and ext4 are enlarged here.`];
  const purpose = 'enlarge a file system';
  // What has begun is not broken off: half a repair, or half an enlargement, is worse than a plan that came too late.
  const run = async (tool: string, ...args: readonly string[]): Promise<void> => {
    signal.throwIfAborted();
    await runTool({ tool, args, purpose, timeout: unhurried });
  };
  let begun = false;
  try {
    // resize2fs(8) refuses a file system that was mounted since it was last checked.
    await run('e2fsck', '-f', '-p', last.path).catch((error: unknown) => {
      // e2fsck(8): status 1 says that errors were corrected.
      if (!/status 1\b/.test(asFailure(error).message)) throw error;
    });
    signal.throwIfAborted();
    begun = true;
    await run('resize2fs', last.path);
    return [`The file system on ${last.path} fills its partition now.`];
  } catch (error) {
    signal.throwIfAborted();
    // Without a fault now it is the one that the check has found whole.
    if (begun) await run('e2fsck', '-f', '-n', last.path);
    return [`The file system on ${last.path} was not enlarged: ${asFailure(error).message}`];
  }
}

/** Mounts `path` read-only and runs `use` with the folder; null where no driver takes it. */
export async function mounted<Value>(
  path: string,
  folder: string,
  use: (folder: string) => Promise<Value>,
): Promise<Value | null> {
  const kind = await kindOf(path);
  const type = kind === 'ext' ? 'ext4' : kind === 'fat' ? 'vfat' : null;
  if (type === null) return null;
  const known = (await readFile('/proc/filesystems', 'latin1')).includes(type);
  const run = (tool: string, args: readonly string[]) =>
    runTool({ tool, args, purpose: 'read the flashed disk' });
  try {
    if (!known) await run('modprobe', [type]);
    const options = type === 'ext4' ? 'ro,noload,nosuid,nodev,noexec' : 'ro,nosuid,nodev,noexec';
    await run('mount', ['-t', type, '-o', options, path, folder]);
  } catch {
    return null;
  }
  try {
    return await use(folder);
  } finally {
    await run('umount', [folder]).catch(() => {});
  }
}
