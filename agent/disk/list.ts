import { failure } from '../../shared/failure.ts';
import { listDarwin } from './darwin.ts';
import type { Disk } from './disk.ts';
import { type ListOptions, listLinux } from './linux.ts';
import { listWindows } from './windows.ts';

/** The disks of this machine by path. Rejects with TOOL_MISSING, TOOL_FAILED or, on an unknown system, USAGE. */
export async function listDisks(options: ListOptions = {}): Promise<readonly Disk[]> {
  switch (process.platform) {
    case 'linux':
      return listLinux(options);
    case 'darwin':
      return listDarwin(options);
    case 'win32':
      return listWindows(options);
    default:
      throw failure('USAGE', { problem: `bty cannot list disks on ${process.platform}.` });
  }
}
