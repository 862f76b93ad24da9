import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { inFolder } from '../disk/testing.ts';
import { lacks } from '../tests/look.ts';
import { fitTable, type Write } from './gpt.ts';

const skip = lacks('sgdisk', 'gdisk') || lacks('sfdisk', 'fdisk');
const MiB = 1 << 20;
const sectorSize = 512;

const sgdisk = (...args: readonly string[]): string => execFileSync('sgdisk', args, { encoding: 'utf8' });

/** A table for `small` bytes on a disk of `large` bytes. */
async function onLarger(
  small: number,
  large: number,
  layout: string,
  use: (path: string) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const path = join(folder, 'disk');
    await writeFile(path, '');
    await truncate(path, small);
    execFileSync('sfdisk', ['--quiet', '--wipe', 'never', path], { input: layout });
    await truncate(path, large);
    await use(path);
  });
}

async function fit(path: string, grow: boolean, most = Number.POSITIVE_INFINITY): Promise<readonly string[]> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const read = async (at: number, length: number) => {
      const bytes = new Uint8Array(length);
      await file.read(bytes, 0, length, at);
      return bytes;
    };
    const { writes, notes } = await fitTable({ sectorSize, diskBytes: size, grow, read });
    const done: readonly Write[] = writes.slice(0, most);
    for (const { at, bytes } of done) await file.write(bytes, 0, bytes.length, at);
    return notes;
  } finally {
    await file.close();
  }
}

const gpt = ['label: gpt', 'start=1MiB, size=4MiB, name=boot', 'start=5MiB, size=8MiB, name=root'].join('\n');

test('the backup of a GPT moves to the end of a larger disk', { skip }, () =>
  onLarger(16 * MiB, 48 * MiB, gpt, async (path) => {
    assert.doesNotMatch(sgdisk('--verify', path), /No problems found/);
    assert.match((await fit(path, false)).join(), /moved to the end/);
    assert.match(sgdisk('--verify', path), /No problems found/);
    assert.match(sgdisk('--info=2', path), /Last sector: 26623 /);
    assert.deepEqual(await fit(path, false), [], 'the second time there is nothing to do');
  }),
);

test('the last partition grows to the last whole MiB, the others stay', { skip }, () =>
  onLarger(16 * MiB, 48 * MiB + 512 * 7, gpt, async (path) => {
    assert.match((await fit(path, true)).join(' '), /Partition 2 was enlarged by 35\.7 MB/);
    assert.match(sgdisk('--verify', path), /No problems found/);
    assert.match(sgdisk('--info=1', path), /Last sector: 10239 /);
    assert.match(sgdisk('--info=2', path), new RegExp(`Last sector: ${47 * 2048 - 1} `));
    assert.deepEqual(await fit(path, true), []);
  }),
);

test('power that fails between any two writes leaves one whole table', { skip }, async () => {
  for (let most = 0; most <= 5; most++) {
    await onLarger(16 * MiB, 48 * MiB, gpt, async (path) => {
      await fit(path, true, most);
      const told = execFileSync('sfdisk', ['--dump', path], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      assert.match(told, /name="boot"/, `after ${most} writes`);
      assert.match(told, /name="root"/, `after ${most} writes`);
    });
  }
});

test('the last primary partition of a master boot record grows, an extended one does not', {
  skip,
}, async () => {
  const primary = 'label: dos\nstart=1MiB, size=4MiB, type=83\nstart=5MiB, size=8MiB, type=83';
  await onLarger(16 * MiB, 48 * MiB, primary, async (path) => {
    assert.match((await fit(path, true)).join(), /Partition 2 was enlarged/);
    const told = execFileSync('sfdisk', ['--dump', path], { encoding: 'utf8' });
    assert.match(told, /start= +10240, size= +88064/);
    assert.deepEqual(await fit(path, true), []);
  });
  const extended = 'label: dos\nstart=1MiB, size=4MiB, type=83\nstart=5MiB, size=8MiB, type=5';
  await onLarger(16 * MiB, 48 * MiB, extended, async (path) => {
    const before = await readFile(path);
    assert.match((await fit(path, true)).join(), /extended/);
    assert.equal(Buffer.compare(await readFile(path), before), 0);
  });
});

test('a damaged table and a disk without one are left as they are', { skip }, () =>
  onLarger(16 * MiB, 48 * MiB, gpt, async (path) => {
    const file = await open(path, 'r+');
    await file.write(Buffer.from([0xff]), 0, 1, 512 + 60);
    await file.close();
    const before = await readFile(path);
    assert.match((await fit(path, true)).join(), /damaged/);
    assert.equal(Buffer.compare(await readFile(path), before), 0);
    await writeFile(path, Buffer.alloc(MiB));
    assert.deepEqual(await fit(path, false), []);
  }),
);
