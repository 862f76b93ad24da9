/** Disks that were in use before, images for them, and what a disk looks like afterwards. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inFolder, type LoopDisk, run } from '../disk/testing.ts';
import { randomBytes } from '../unpack/testing.ts';

export const MiB = 1 << 20;
/** What an old disk is full of. */
export const old = 0xa5;
const execute = promisify(execFile);

export interface OldDiskOptions {
  /** Bytes. */
  readonly size: number;
  /** Logical block size in bytes. */
  readonly blockSize?: number;
  /** Whether it has a GPT with two partitions, and its backup at the end. */
  readonly table?: boolean;
  readonly readOnly?: boolean;
  /** Whether the kernel shows its partitions. */
  readonly partscan?: boolean;
}

/** Runs `use` with a loop device that is full of old data. */
export async function withOldDisk(
  { size, blockSize = 512, table = false, readOnly = false, partscan = false }: OldDiskOptions,
  use: (disk: LoopDisk) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const backing = join(folder, 'disk');
    await writeFile(backing, Buffer.alloc(size, old));
    const flags = [...(readOnly ? ['--read-only'] : []), ...(partscan ? ['--partscan'] : [])];
    const sectors = ['--sector-size', `${blockSize}`];
    const path = (await run('losetup', '--show', '--find', ...sectors, ...flags, backing)).trim();
    try {
      if (table) partition(path, ['start=1MiB, size=4MiB, name=old', 'start=6MiB, size=4MiB']);
      await use({ path, backing, folder });
    } finally {
      await run('losetup', '--detach', path);
    }
  });
}

/** Makes the file of an image: a GPT with one partition in it, and bytes that do not compress between. */
export async function makeImage(path: string, size: number, seed = 1): Promise<Buffer> {
  const content = Buffer.alloc(size);
  randomBytes(size - 2 * MiB, seed).copy(content, MiB);
  await writeFile(path, content);
  partition(path, ['start=1MiB, size=2MiB, name=new']);
  return readFile(path);
}

/** Writes a GPT and its backup at the end. */
function partition(path: string, partitions: readonly string[]): void {
  const flags = ['--quiet', '--wipe', 'never', '--no-reread', '--no-tell-kernel'];
  execFileSync('sfdisk', [...flags, path], { input: ['label: gpt', ...partitions].join('\n') });
}

export function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, Buffer.alloc(bytes.length)) === 0;
}

export function isOld(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, Buffer.alloc(bytes.length, old)) === 0;
}

/** Asserts that the first and the last MiB of a disk with this content are zero. */
export function looksBlank(disk: Uint8Array): void {
  assert.ok(isZero(disk.subarray(0, MiB)), 'the first MiB is zero');
  assert.ok(isZero(disk.subarray(-MiB)), 'the last MiB is zero');
}

/** Asserts that no tool finds a partition table, nor a backup to revive one from. */
export async function hasNoTable(path: string): Promise<void> {
  await assert.rejects(run('sfdisk', '--dump', path), /does not contain a recognized partition table/);
  const { stdout } = await execute('sgdisk', ['--print', path]);
  assert.match(stdout, /Creating new GPT entries in memory/);
  assert.doesNotMatch(stdout, /\bold\b/);
}

/** False where `tool` is installed, else the reason for a test to skip itself. */
export function lacks(tool: string, debian: string): string | false {
  try {
    execFileSync('which', [tool], { stdio: 'ignore' });
    return false;
  } catch {
    return `needs ${tool} (apt install ${debian})`;
  }
}
