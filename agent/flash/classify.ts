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
  if (await isGone(disk)) return failure('DISK_VANISHED', { target, ...range }, error);
  const problem = describe(error);
  if (action === 'flush') return failure('FLUSH_FAILED', { target, problem }, error);
  if (action === 'read') return failure('READ_BACK_FAILED', { target, ...range, problem }, error);
  if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
    return failure('DISK_FULL', { target, ...range }, error);
  return failure('WRITE_FAILED', { target, ...range, problem }, error);
}

async function isGone(disk: DiskHandle): Promise<boolean> {
  try {
    return (await disk.currentSize()) === 0;
  } catch {
    return true;
  }
}

const words: Readonly<Record<string, string>> = {
  EIO: 'input/output error (EIO)',
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
