import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, lstatSync, mkdirSync, mkdtempSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeExt4, settleTree, usedInodes } from './ext4.ts';
import { mediumSeconds } from './iso.ts';
import { missingTools } from './tools.ts';

const skip = missingTools(['mkfs.ext4', 'debugfs', 'dumpe2fs', 'e2fsck']) ?? false;
const newest = 1_700_000_000;

/** A small system whose files were put there in another order and read at another time. */
function plant(tree: string, order: 1 | -1): void {
  const names = Array.from({ length: 300 }, (_each, index) => `file-${index}`);
  mkdirSync(join(tree, 'usr', 'lib'), { recursive: true });
  for (const name of order === 1 ? names : names.toReversed())
    writeFileSync(join(tree, 'usr', 'lib', name), name.repeat(400));
  linkSync(join(tree, 'usr/lib/file-7'), join(tree, 'hard'));
  symlinkSync('usr/lib', join(tree, 'lib'));
  utimesSync(join(tree, 'usr/lib/file-3'), 2_000_000_000 + order, 1_600_000_000);
  utimesSync(join(tree, 'usr/lib/file-4'), 1_500_000_000, 2_000_000_000 + order);
}

test('the same files give the same file system, whenever they were put there', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bty-ext4-'));
  try {
    const images: Buffer[] = [];
    for (const order of [1, -1] as const) {
      const tree = join(folder, `tree${order}`);
      plant(tree, order);
      const bytes = settleTree(tree, newest);
      assert.equal(bytes % (4 << 20), 0);
      assert.ok(bytes > 200 << 20);
      const image = join(folder, 'image');
      await makeExt4(image, { tree, label: 'BTY', uuid: 'b7e05e52-0b70-4b17-8a5e-000000000077', bytes });
      execFileSync('e2fsck', ['-f', '-n', image], { stdio: 'pipe' });
      const stat = execFileSync('debugfs', ['-R', 'stat /usr/lib/file-3', image], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
      for (const [time, seconds] of [
        ['ctime', mediumSeconds],
        ['atime', mediumSeconds],
        ['mtime', 1_600_000_000],
      ] as const)
        assert.match(stat, new RegExp(`^ ?${time}: 0x0*${seconds.toString(16)}`, 'm'));
      images.push(await readFile(image));
    }
    const [one, two] = images;
    assert.ok(one && two);
    assert.equal(Buffer.compare(one, two), 0);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('what is newer than it may be is made older, and nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bty-times-'));
  try {
    const [tree, outside] = [join(folder, 'tree'), join(folder, 'outside')];
    plant(tree, 1);
    mkdirSync(outside);
    writeFileSync(join(outside, 'file'), 'of this machine');
    symlinkSync(outside, join(tree, 'out'));
    const before = [outside, join(outside, 'file')].map((path) => lstatSync(path).mtimeMs);
    settleTree(tree, newest);
    const after = [outside, join(outside, 'file')].map((path) => lstatSync(path).mtimeMs);
    assert.deepEqual(after, before, 'no link leads out of the tree');
    const time = (name: string) => lstatSync(join(tree, name)).mtimeMs / 1000;
    for (const name of ['', 'lib', 'hard', 'usr/lib', 'usr/lib/file-4'])
      assert.equal(time(name), newest, name);
    assert.equal(time('usr/lib/file-3'), 1_600_000_000);
    assert.ok(lstatSync(join(tree, 'lib')).isSymbolicLink());
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the inodes in use are those that dumpe2fs does not list as free', () => {
  const told = [
    'Inode count:              24',
    'First inode:              11',
    '  Free inodes: 13, 15-16',
    '  Free inodes: ',
    '  Free inodes: 19-24',
  ].join('\n');
  assert.deepEqual(usedInodes(told), [2, 11, 12, 14, 17, 18]);
  assert.throws(() => usedInodes('nothing'), /tells no inodes/);
});
