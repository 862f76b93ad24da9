/** An ext4 of a folder: the same files give the same bytes, whenever and wherever they were put there. */
import { lstatSync, lutimesSync, readdirSync } from 'node:fs';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mediumSeconds, run } from './iso.ts';

const MiB = 1 << 20;
const block = 4096;

/**
 * Gives every file under `tree` that is newer than `newest`, seconds since 1970, that time: what a build wrote just now
 * would else tell when. Returns the bytes that an ext4 needs for all of them, with room for an upgrade.
 */
export function settleTree(tree: string, newest: number): number {
  const known = new Set<string>();
  let used = 0;
  // Node.js' own walk goes through links, out of the tree.
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      settle(path);
    }
  };
  const settle = (path: string): void => {
    const { mtimeMs, nlink, ino, size } = lstatSync(path);
    if (mtimeMs > newest * 1000) lutimesSync(path, newest, newest);
    // Files with several names have one place.
    if (nlink > 1 && known.has(`${ino}`)) return;
    known.add(`${ino}`);
    used += Math.max(1, Math.ceil(size / block)) * block;
  };
  walk(tree);
  settle(tree);
  return Math.ceil((used * 1.25 + 200 * MiB) / (4 * MiB)) * 4 * MiB;
}

export interface Ext4Options {
  readonly tree: string;
  readonly label: string;
  readonly uuid: string;
  readonly bytes: number;
}

/** Writes the file system to the file `to`. */
export async function makeExt4(to: string, { tree, label, uuid, bytes }: Ext4Options): Promise<void> {
  await writeFile(to, '');
  await truncate(to, bytes);
  const features = `hash_seed=${uuid},lazy_itable_init=0,lazy_journal_init=0`;
  await run('mkfs.ext4', [
    ...['-q', '-F', '-L', label, '-U', uuid, '-E', features],
    ...['-m', '1', '-d', tree, to],
  ]);
  // When a file was changed and read last is told of the folder that it was copied from, and cannot be set there.
  const words = `${to}.debugfs`;
  const lines = usedInodes(await run('dumpe2fs', [to])).flatMap((inode) =>
    ['ctime', 'atime', 'crtime'].map((field) => `set_inode_field <${inode}> ${field} @${mediumSeconds}\n`),
  );
  await writeFile(words, lines.join(''));
  await run('debugfs', ['-w', '-f', words, to]);
  await rm(words);
}

/** Numbers of the files' inodes, as dumpe2fs(8) tells them: those that are not free. */
export function usedInodes(told: string): readonly number[] {
  const count = Number(/^Inode count:\s+(\d+)$/m.exec(told)?.[1]);
  const first = Number(/^First inode:\s+(\d+)$/m.exec(told)?.[1]);
  if (!(count > 0 && first > 0)) throw new Error(`dumpe2fs tells no inodes: ${told.slice(0, 500)}`);
  const free = new Uint8Array(count + 1);
  for (const [, ranges = ''] of told.matchAll(/^ {2}Free inodes: (.*)$/gm))
    for (const range of ranges.split(',')) {
      const [from = '', to = from] = range.trim().split('-');
      if (from !== '') free.fill(1, Number(from), Number(to) + 1);
    }
  const root = 2;
  const used = [root];
  for (let inode = first; inode <= count; inode++) if (free[inode] === 0) used.push(inode);
  return used;
}
