/** Programs of this machine that a build calls; a missing one is told with the command that installs it. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const packages: Readonly<Record<string, string>> = {
  xorriso: 'xorriso',
  'grub-mkimage': 'grub-common',
  'mkfs.vfat': 'dosfstools',
  mcopy: 'mtools',
  depmod: 'kmod',
  strip: 'binutils',
  readelf: 'binutils',
  xz: 'xz-utils',
  mmdebstrap: 'mmdebstrap',
  'mkfs.ext4': 'e2fsprogs',
  debugfs: 'e2fsprogs',
  dumpe2fs: 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  sfdisk: 'fdisk',
  'qemu-aarch64-static': 'qemu-user-static',
  'dpkg-deb': 'dpkg',
  'apt-get': 'apt',
};

export function isOnPath(tool: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Null where all of `tools` are there, else a sentence with the command that brings them. */
export function missingTools(tools: readonly string[]): string | null {
  const missing = tools.filter((tool) => !isOnPath(tool));
  if (missing.length === 0) return null;
  const wanted = [...new Set(missing.map((tool) => packages[tool] ?? tool))].sort();
  const are = missing.length === 1 ? 'is' : 'are';
  return `${missing.join(', ')} ${are} missing. On Debian: apt-get install ${wanted.join(' ')}`;
}
