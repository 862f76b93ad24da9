import assert from 'node:assert/strict';
import { constants, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DescriptorDisk } from '../disk/descriptor.ts';
import type { DiskHandle } from '../disk/handle.ts';
import { openDisk } from '../disk/open.ts';
import { deviceAt } from '../disk/testing.ts';
import { flashImage, type Ran } from '../flash/testing.ts';
import { imageBytes } from '../unpack/testing.ts';
import { type DiskFaults, type FaultyLoop, noFaultyLoops, withFaultyLoop } from './faultdisk.ts';
import { looksBlank, MiB, old } from './look.ts';

const size = 16 * MiB;

/** As `bty flash` opens a disk: exclusively, with direct I/O. */
const direct = (path: string): Promise<DiskHandle> => openDisk(deviceAt(path));

/** Through the page cache, as a system without direct I/O would. */
async function buffered(path: string): Promise<DiskHandle> {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_EXCL);
  return new DescriptorDisk({ kind: 'device', descriptor, path, size, blockSize: 512, direct: false });
}

/** Flashes 12 MiB onto a disk of 16 MiB with `faults`. */
async function onFaultyDisk(
  faults: DiskFaults,
  open: (path: string) => Promise<DiskHandle>,
  check: (ran: Ran, disk: FaultyLoop, backing: Buffer, image: Buffer) => void,
  hiding = false,
): Promise<void> {
  await withFaultyLoop({ size, fill: old, faults, hiding }, async (disk) => {
    const image = Buffer.from(imageBytes(12 * MiB, 3));
    const path = join(disk.folder, 'image.img');
    await writeFile(path, image);
    const target = { target: disk.path, size, open: () => open(disk.path) };
    const ran = await flashImage({ image: path }, [target]);
    check(ran, disk, await readFile(disk.backing), image);
  });
}

function failedOnce({ outcome, events, results }: Ran, code: string): Readonly<Record<string, unknown>> {
  assert.equal(outcome, 'failed');
  assert.equal(events.filter(({ kind }) => kind === 'target-finished').length, 1);
  assert.equal(results[0]?.outcome, 'failed');
  assert.equal(results[0]?.verified, false);
  assert.equal(results[0]?.failure?.code, code);
  return results[0]?.failure?.details ?? {};
}

const skip = noFaultyLoops;

for (const byte of [5 * MiB + 4096 + 17, 8 * MiB, 11 * MiB + 1000 * 1024]) {
  test(`a write that fails at byte ${byte} of a real disk is WRITE_FAILED with that block`, {
    skip,
  }, async () => {
    await onFaultyDisk({ failWrite: byte }, direct, (ran, disk, backing) => {
      const details = failedOnce(ran, 'WRITE_FAILED');
      assert.equal(details.target, disk.path);
      assert.equal(details.offset, byte - (byte % 4096));
      assert.equal(details.length, 4096);
      assert.match(ran.results[0]?.failure?.message ?? '', /EIO/);
      looksBlank(backing);
    });
  });
}

test('a write that fails in the last MiB, where the clearing meets it first, is WRITE_FAILED there', {
  skip,
}, async () => {
  await onFaultyDisk({ failWrite: size - MiB + 8192 }, direct, (ran, _disk, backing) => {
    const details = failedOnce(ran, 'WRITE_FAILED');
    assert.equal(details.offset, size - MiB + 8192);
    assert.equal(ran.results[0]?.account.written, 0);
    assert.ok(
      backing.subarray(MiB, size - MiB).every((byte) => byte === old),
      'nothing else was written',
    );
  });
});

test('a buffered disk that takes all writes and says EIO only to fsync is FLUSH_FAILED, never done', {
  skip,
}, async () => {
  await onFaultyDisk({ failWrite: 5 * MiB + 4096 }, buffered, (ran, _disk, backing) => {
    failedOnce(ran, 'FLUSH_FAILED');
    assert.equal(ran.results[0]?.account.written, 12 * MiB, 'every write was accepted');
    looksBlank(backing);
  });
});

test('a write that failed behind the back of the kernel is found by the read-back', { skip }, async () => {
  const hiding = true;
  const check = ({ outcome, results }: Ran, _disk: FaultyLoop, backing: Buffer) => {
    assert.equal(outcome, 'failed');
    // A kernel that passes the error on is as good.
    assert.match(results[0]?.failure?.code ?? '', /^(VERIFY_MISMATCH|WRITE_FAILED)$/);
    looksBlank(backing);
  };
  await onFaultyDisk({ failWrite: 11 * MiB + 1000 * 1024 }, direct, check, hiding);
});

test('a buffered disk without faults is written and verified', { skip }, async () => {
  await onFaultyDisk({}, buffered, (ran, _disk, backing, image) => {
    assert.equal(ran.outcome, 'done');
    assert.equal(ran.results[0]?.verified, true);
    assert.equal(Buffer.compare(backing.subarray(0, image.length), image), 0);
  });
});

for (const [how, open] of [
  ['direct', direct],
  ['buffered', buffered],
] as const) {
  test(`a byte that cannot be read back is READ_BACK_FAILED on a ${how} disk`, { skip }, async () => {
    await onFaultyDisk({ failRead: 7 * MiB + 5000 }, open, (ran, _disk, backing) => {
      const { offset, length } = failedOnce(ran, 'READ_BACK_FAILED');
      assert.ok(typeof offset === 'number' && typeof length === 'number');
      // What the page cache reads ahead in one request fails with it, also for whoever reads what lies before.
      const ahead = how === 'buffered' ? MiB : 0;
      const place = 7 * MiB + 5000;
      assert.ok(offset <= place && place < offset + length + ahead, `${length} bytes at ${offset}`);
      assert.match(ran.results[0]?.failure?.message ?? '', /EIO/);
      looksBlank(backing);
    });
  });

  test(`a ${how} disk that gives back another byte is VERIFY_MISMATCH with its place`, { skip }, async () => {
    await onFaultyDisk({ lie: 7 * MiB + 5000 }, open, (ran, _disk, backing) => {
      const { offset, length } = failedOnce(ran, 'VERIFY_MISMATCH');
      assert.ok(typeof offset === 'number' && typeof length === 'number');
      assert.ok(offset <= 7 * MiB + 5000 && 7 * MiB + 5000 < offset + length);
      looksBlank(backing);
    });
  });
}

test('a disk that lies about its first MiB is VERIFY_MISMATCH with the block', { skip }, async () => {
  await onFaultyDisk({ lie: 70_000 }, direct, (ran, _disk, backing) => {
    const { offset, length } = failedOnce(ran, 'VERIFY_MISMATCH');
    assert.equal(offset, 70_000 - (70_000 % 512));
    assert.equal(length, 512);
    looksBlank(backing);
  });
});

test('a disk whose first MiB cannot be read back is READ_BACK_FAILED there', { skip }, async () => {
  await onFaultyDisk({ failRead: 70_000 }, direct, (ran, _disk, backing) => {
    const { offset, length } = failedOnce(ran, 'READ_BACK_FAILED');
    assert.equal(offset, 70_000 - (70_000 % 4096));
    assert.equal(length, 4096);
    looksBlank(backing);
  });
});
