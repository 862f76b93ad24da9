/** File systems of flashed disks, on loop devices whose partitions the kernel is told of. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { growFileSystem, kindOf, partitionsOf } from '../../live/partitions.ts';

const execute = promisify(execFile);
const MiB = 1 << 20;
const signal = new AbortController().signal;
const tools = ['losetup', 'partx', 'sgdisk', 'mkfs.ext4', 'mkfs.vfat', 'e2fsck', 'resize2fs', 'dumpe2fs'];
const missing = tools.filter(
  (tool) => !['/usr/sbin', '/sbin', '/usr/bin'].some((folder) => existsSync(join(folder, tool))),
);
const skip =
  process.getuid?.() !== 0
    ? 'loop devices take root'
    : missing.length > 0
      ? `needs ${missing.join(', ')}`
      : false;

/** Runs `use` with a disk of two partitions, the second one of 24 MiB. */
async function withDisk(use: (disk: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-partitions-'));
  const file = join(folder, 'disk');
  try {
    await writeFile(file, '');
    await truncate(file, 64 * MiB);
    await execute('sgdisk', ['--new=1:2048:+32M', '--typecode=1:ef00', '--new=2:0:+24M', file]);
    const disk = (await execute('losetup', ['--show', '-f', file])).stdout.trim();
    try {
      await execute('partx', ['--add', disk]);
      await use(disk);
    } finally {
      await execute('partx', ['--delete', disk]).catch(() => {});
      await execute('losetup', ['--detach', disk]);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('a small ext4 on the last partition fills it afterwards', { skip }, () =>
  withDisk(async (disk) => {
    const [first, second] = await partitionsOf(disk, signal);
    assert.deepEqual([first?.number, second?.number], [1, 2]);
    const path = second?.path ?? '';
    await execute('mkfs.vfat', [first?.path ?? '']);
    await execute('mkfs.ext4', ['-q', '-b', '1024', path, '8M']);
    assert.deepEqual([await kindOf(first?.path ?? ''), await kindOf(path)], ['fat', 'ext']);
    assert.deepEqual(await growFileSystem(disk, signal), [
      `The file system on ${path} fills its partition now.`,
    ]);
    const { stdout } = await execute('dumpe2fs', ['-h', path]);
    assert.match(stdout, /^Block count:\s+24576$/m);
    await execute('e2fsck', ['-f', '-n', path]);
  }),
);

test('a file system of another kind is left as it is, and named', { skip }, () =>
  withDisk(async (disk) => {
    const [, second] = await partitionsOf(disk, signal);
    await execute('mkfs.vfat', [second?.path ?? '']);
    const [told] = await growFileSystem(disk, signal);
    assert.match(told ?? '', /was left as it is; only ext2, ext3 and ext4 are enlarged here/);
  }),
);

test('a damaged ext4 is left as it is, and why is told', { skip }, () =>
  withDisk(async (disk) => {
    const [, second] = await partitionsOf(disk, signal);
    const path = second?.path ?? '';
    await execute('mkfs.ext4', ['-q', '-b', '1024', path, '8M']);
    // The root directory's inode and those beside it, which a repair without questions does not make up.
    await execute('debugfs', ['-w', '-R', 'clri <2>', path]);
    const [told] = await growFileSystem(disk, signal);
    assert.match(told ?? '', /was not enlarged: /);
  }),
);

/** Runs `use` with another program in the place of resize2fs(8). */
async function withResizer(script: string, use: () => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-resizer-'));
  const { PATH = '' } = process.env;
  try {
    await writeFile(join(folder, 'resize2fs'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env.PATH = `${folder}:${PATH}`;
    await use();
  } finally {
    process.env.PATH = PATH;
    await rm(folder, { recursive: true });
  }
}

test('a file system that breaks while it is enlarged is a failure, not a remark', { skip }, () =>
  withDisk(async (disk) => {
    const [, second] = await partitionsOf(disk, signal);
    const path = second?.path ?? '';
    await execute('mkfs.ext4', ['-q', '-b', '1024', path, '8M']);
    await withResizer('echo "no room" >&2; exit 1', async () => {
      const [told] = await growFileSystem(disk, signal);
      assert.match(told ?? '', /was not enlarged: .*no room/);
    });
    await withResizer(`debugfs -w -R "clri <2>" ${path}; exit 1`, () =>
      assert.rejects(growFileSystem(disk, signal), { code: 'TOOL_FAILED' }),
    );
  }),
);
