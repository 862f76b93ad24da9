import { readdir, readFile, realpath, stat } from 'node:fs/promises';

/** Where the Linux kernel is asked; another root serves a test. */
export interface Kernel {
  /** Mount point of sysfs. */
  readonly sys: string;
  /** Mount point of procfs. */
  readonly proc: string;
  /** The database of udev, absent on many live systems. */
  readonly udev: string;
  /** `major:minor` of the block device at `path`, null when there is none. */
  deviceNumber(path: string): Promise<string | null>;
  /** `major:minor` of the file system that holds `path`, null when there is no such file. */
  fileSystemNumber(path: string): Promise<string | null>;
}

export const kernel: Kernel = {
  sys: '/sys',
  proc: '/proc',
  udev: '/run/udev/data',
  async deviceNumber(path) {
    const found = await stat(path, { bigint: true }).catch(() => null);
    return found?.isBlockDevice() ? numberOf(found.rdev) : null;
  },
  async fileSystemNumber(path) {
    const found = await stat(path, { bigint: true }).catch(() => null);
    return found ? numberOf(found.dev) : null;
  },
};

/** `major:minor` in a device number, as makedev(3) of the C library packs it. */
export function numberOf(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** Content of a small kernel file without surrounding blanks and NUL bytes; null when absent or empty. */
export async function readAttribute(path: string): Promise<string | null> {
  const text = await readFile(path, 'latin1').catch(() => '');
  return tidy(text);
}

/** A number from a kernel file, null when absent or none. */
export async function readNumber(path: string): Promise<number | null> {
  const text = await readAttribute(path);
  return text !== null && /^\d{1,19}$/.test(text) ? Number(text) : null;
}

/** Names in a directory, none when it is absent. */
export async function names(path: string): Promise<readonly string[]> {
  return (await readdir(path).catch(() => [])).sort();
}

/** The path without symbolic links, null when absent. */
export async function resolved(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

/** Text without surrounding blanks and NUL bytes, null when nothing is left. */
export function tidy(text: string): string | null {
  const kept = [...text]
    .filter((letter) => letter >= ' ' || letter === '\t' || letter === '\n')
    .join('')
    .trim();
  return kept === '' ? null : kept;
}
