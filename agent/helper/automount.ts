import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const written = '/run/bty/written';

/**
 * Desktops mount what appears, and mounting alone writes to most file systems. For build/linux/70-bty.rules a file
 * named by the disk's sequence number, which no other disk gets before the machine starts anew, says that this disk
 * was written: nothing mounts it unasked until it is plugged in again. Only where udev runs; no flash fails for it.
 */
export async function keepUnmounted(diskseq: number | null): Promise<void> {
  if (diskseq === null || (await stat('/run/udev').catch(() => null)) === null) return;
  try {
    await mkdir(written, { recursive: true, mode: 0o755 });
    await writeFile(join(written, String(diskseq)), '');
  } catch {
    // A /run that is full or read-only: the desktop may mount the disk.
  }
}
