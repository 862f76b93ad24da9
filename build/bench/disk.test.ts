import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { Cleanup } from './cleanup.ts';
import { Disk, warm } from './disk.ts';
import { missing, needs } from './tools.ts';

const lacking = missing(['losetup', 'blockdev', 'fallocate']);
const skip =
  process.getuid?.() !== 0
    ? 'needs root'
    : lacking.length > 0
      ? needs(lacking)
      : !existsSync('/dev/loop-control') && 'needs loop devices';
const { signal } = new AbortController();
const bytes = 9 << 20;

test('a disk starts full of old data, and what differs from an image is found', { skip }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'bty-bench-disk-'));
  const cleanup = new Cleanup();
  context.after(() => {
    cleanup.run();
    rmSync(folder, { recursive: true });
  });
  const disk = new Disk(folder, 'disk', bytes, false, cleanup);
  await disk.condition(signal);
  assert.ok(readFileSync(disk.device).equals(Buffer.alloc(bytes, 'old data')));

  const image = join(folder, 'image');
  writeFileSync(image, Buffer.alloc(bytes, 'old data'));
  await warm(image, signal);
  const whole = [{ start: 0, end: bytes }];
  assert.equal(await disk.difference(image, whole, signal), null);

  const descriptor = openSync(disk.device, 'r+');
  writeSync(descriptor, Buffer.from('new'), 0, 3, (5 << 20) + 17);
  closeSync(descriptor);
  disk.flush();
  assert.equal(await disk.difference(image, whole, signal), (5 << 20) + 17);
  const others = [
    { start: 0, end: 5 << 20 },
    { start: (5 << 20) + 4096, end: bytes },
  ];
  assert.equal(await disk.difference(image, others, signal), null);

  // Even disks are left alone, uneven ones are filled again.
  await disk.condition(signal);
  assert.notEqual(await disk.difference(image, whole, signal), null);
  disk.markUneven();
  await disk.condition(signal);
  assert.equal(await disk.difference(image, whole, signal), null);
});

test('nothing of a disk is left after the cleanup, and an early discard is not undone twice', {
  skip,
}, (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'bty-bench-disk-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const cleanup = new Cleanup();
  const disks = ['one', 'two'].map((name) => new Disk(folder, name, bytes, false, cleanup));
  disks[0]?.discard();
  assert.deepEqual(readdirSync(folder), ['two']);
  cleanup.run();
  assert.deepEqual(readdirSync(folder), []);
  for (const { device } of disks) {
    const backing = join('/sys/block', basename(device), 'loop', 'backing_file');
    assert.ok(!existsSync(backing) || !readFileSync(backing, 'utf8').startsWith(folder));
  }
});
