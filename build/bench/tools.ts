import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The programs that the bench may start, and the Debian package of each. */
const packages = {
  dd: 'coreutils',
  mkfifo: 'coreutils',
  getconf: 'libc-bin',
  cmp: 'diffutils',
  losetup: 'mount',
  blockdev: 'util-linux',
  fallocate: 'util-linux',
  sfdisk: 'fdisk',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.vfat': 'dosfstools',
  zstd: 'zstd',
  pigz: 'pigz',
  igzip: 'isal',
  xz: 'xz-utils',
  bzip2: 'bzip2',
  'qemu-img': 'qemu-utils',
  bmaptool: 'bmap-tools',
} as const;
export type Tool = keyof typeof packages;

const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].filter(Boolean);

/** The file of a program, or null where it is not installed. */
export function pathOf(tool: string): string | null {
  for (const folder of folders) {
    const path = join(folder, tool);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  return null;
}

/** Which of `tools` are not installed. */
export const missing = (tools: readonly Tool[]): Tool[] => tools.filter((tool) => pathOf(tool) === null);

/** "needs igzip (Debian package isal)" */
export function needs(tools: readonly Tool[]): string {
  return `needs ${tools.map((tool) => `${tool} (Debian package ${packages[tool]})`).join(', ')}`;
}

/** The number that a line such as "MemAvailable:  123 kB" of a file of /proc names. */
export function numberAfter(label: string, file: string): number | null {
  const found = readFileSync(file, 'latin1').match(new RegExp(`^${label}:\\s*(\\d+)`, 'm'));
  return found ? Number(found[1]) : null;
}
