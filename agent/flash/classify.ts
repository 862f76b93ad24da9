import { setTimeout as pause } from 'node:timers/promises';
import { type Failure, Failure as FailureClass, failure } from '../../shared/failure.ts';
import type { DiskHandle } from '../disk/handle.ts';

export type DiskAction = 'write' | 'read' | 'flush';

/** What an error of the system says about the disk it came from, told truly: an EIO is not called "unplugged". */
export async function classify(
  error: unknown,
  disk: DiskHandle,
  action: DiskAction,
  range: { readonly offset: number; readonly length: number },
): Promise<Failure> {
  if (error instanceof FailureClass) return error;
  const target = disk.path;
  // An unplugged disk says ENOSPC, EIO or ENXIO depending on its driver, so its size is asked: it is 0 then.
  if (await isGone(disk, error)) return failure('DISK_VANISHED', { target, ...range }, error);
  const problem = describe(error);
  if (action === 'flush') return failure('FLUSH_FAILED', { target, problem }, error);
  if (action === 'read') return failure('READ_BACK_FAILED', { target, ...range, problem }, error);
  if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
    return failure('DISK_FULL', { target, ...range }, error);
  return failure('WRITE_FAILED', { target, ...range, problem }, error);
}

/** Milliseconds in which Linux takes away a disk whose requests fail because it was unplugged, and between looks. */
const leaving = 300;
const glance = 30;

async function isGone(disk: DiskHandle, error: unknown): Promise<boolean> {
  // Requests fail while the driver still says goodbye; only then is the size 0 (del_gendisk of block/genhd.c).
  const { code = '' } = error as NodeJS.ErrnoException;
  const looks = ['EIO', 'ENODEV', 'ENXIO'].includes(code) ? leaving / glance : 0;
  for (let look = 0; ; look++) {
    try {
      if ((await disk.currentSize()) === 0) return true;
    } catch {
      return true;
    }
    if (look >= looks) return false;
    await pause(glance);
  }
}

const words: Readonly<Record<string, string>> = {
  EIO: 'input/output error (EIO)',
  ENODEV: 'the system took it out of service (ENODEV)',
  ENXIO: 'the system took it out of service (ENXIO)',
  EROFS: 'it became read-only (EROFS)',
  EACCES: 'access was denied (EACCES)',
  EPERM: 'the operation is not permitted (EPERM)',
  EINVAL: 'the request was refused as invalid (EINVAL)',
  EBUSY: 'it is busy (EBUSY)',
};

/** The system's error in words. */
export function describe(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code) return words[code] ?? code;
  return error instanceof Error ? error.message : String(error);
}
