import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { type Fault, FaultyDisk } from '../disk/faulty.ts';
import type { DiskHandle } from '../disk/handle.ts';
import { inFolder } from '../disk/testing.ts';
import { imageBytes } from '../unpack/testing.ts';
import { defaults } from './flash.ts';
import { diskAt, diskFile, flashImage, neverEnding } from './testing.ts';

const MiB = 1 << 20;
const old = 0xa5;

/** A disk of 16 MiB full of old data, an image in `stored` form, and the flash of one onto the other. */
async function onDisk(
  stored: Uint8Array,
  faults: readonly Fault[],
  use: (ran: Awaited<ReturnType<typeof flashImage>>, disk: Buffer, faulty: FaultyDisk) => void,
  request: Partial<Parameters<typeof flashImage>[0]> = {},
  name = 'image.img',
): Promise<void> {
  await inFolder(async (folder) => {
    const image = join(folder, name);
    await writeFile(image, stored);
    const path = await diskFile(folder, 16 * MiB, old);
    let faulty: FaultyDisk | undefined;
    const wrap = (disk: DiskHandle) => {
      faulty = new FaultyDisk(disk, faults);
      return faulty;
    };
    // A disk that only is slow must not seem to be one that hangs.
    const stallAfter = faults.some(({ kind }) => kind === 'stall') ? 3000 : defaults.stallAfter;
    const options = { stallAfter, every: 50 };
    const ran = await flashImage({ image, ...request }, [diskAt(path, 16 * MiB, wrap)], neverEnding, options);
    assert.ok(faulty);
    use(ran, await readFile(path), faulty);
  });
}

function looksBlank(disk: Buffer): void {
  assert.ok(
    disk.subarray(0, MiB).every((byte) => byte === 0),
    'the first MiB is zero',
  );
  assert.ok(
    disk.subarray(-MiB).every((byte) => byte === 0),
    'the last MiB is zero',
  );
}

for (const size of [1, 511, 512, 513, MiB - 1, MiB, 3 * MiB + 777, 15 * MiB + 511, 16 * MiB]) {
  test(`an image of ${size} bytes arrives whole and the rest of the disk stays as it was`, async () => {
    const image = imageBytes(size, size);
    await onDisk(image, [], ({ outcome, results, sha256 }, disk) => {
      assert.equal(outcome, 'done');
      assert.equal(results[0]?.verified, true);
      assert.equal(results[0]?.account.written, size);
      assert.equal(sha256, createHash('sha256').update(image).digest('hex'));
      assert.equal(Buffer.compare(disk.subarray(0, size), image), 0);
      const untouched = disk.subarray(Math.max(size, MiB), Math.max(size, 15 * MiB));
      assert.ok(untouched.every((byte) => byte === old));
      if (size < 15 * MiB) assert.ok(disk.subarray(-MiB).every((byte) => byte === 0));
    });
  });
}

test('the first block is written after everything else and read back', async () => {
  await onDisk(imageBytes(5 * MiB), [], (_ran, _disk, { calls }) => {
    const writes = calls.filter(({ call }) => call === 'write');
    assert.equal(writes[0]?.position, 0, 'the start is cleared first');
    assert.equal(writes.at(-1)?.position, 0, 'the start is written last');
    const clearing = calls.findIndex(({ call }) => call === 'flush');
    const body = calls.findIndex(
      ({ call, position }) => call === 'write' && position >= MiB && position < 15 * MiB,
    );
    assert.ok(clearing < body, 'the cleared ends are flushed before the first write');
    const last = calls.findLastIndex(({ call }) => call === 'write');
    const after = calls.slice(last).map(({ call }) => call);
    assert.ok(after.includes('flush') && after.includes('read'), 'the start is flushed and read back');
  });
});

const failures: readonly [string, Fault, string, { offset: number; within: number }?][] = [
  [
    'an EIO',
    { kind: 'error', on: 'write', at: 5 * MiB + 4096, code: 'EIO' },
    'WRITE_FAILED',
    { offset: 5 * MiB + 4096, within: 4096 },
  ],
  ['a full file system below', { kind: 'error', on: 'write', at: 5 * MiB, code: 'ENOSPC' }, 'DISK_FULL'],
  [
    'a write that stores nothing',
    { kind: 'short', at: 5 * MiB },
    'WRITE_SHORT',
    { offset: 5 * MiB, within: 4 * MiB },
  ],
  ['an unplugged disk while writing', { kind: 'vanish', on: 'write', at: 5 * MiB }, 'DISK_VANISHED'],
  ['an unplugged disk while reading back', { kind: 'vanish', on: 'read', at: 5 * MiB }, 'DISK_VANISHED'],
  ['a failing flush', { kind: 'error', on: 'flush', code: 'EIO' }, 'FLUSH_FAILED'],
  ['a disk that stalls', { kind: 'stall', on: 'write', at: 5 * MiB }, 'DISK_STALLED'],
  ['a disk that stalls while reading back', { kind: 'stall', on: 'read', at: 5 * MiB }, 'DISK_STALLED'],
  [
    'a flipped bit',
    { kind: 'flip', at: 5 * MiB + 3 },
    'VERIFY_MISMATCH',
    { offset: 5 * MiB + 3, within: 4 * MiB },
  ],
  [
    'a flipped bit in the first block',
    { kind: 'flip', at: 3 },
    'VERIFY_MISMATCH',
    { offset: 3, within: 512 },
  ],
  [
    'an unreadable block',
    { kind: 'error', on: 'read', at: 5 * MiB + 8192, code: 'EIO' },
    'READ_BACK_FAILED',
    { offset: 5 * MiB + 8192, within: 4096 },
  ],
];
for (const [what, fault, code, where] of failures) {
  test(`${what} is called ${code}, once, and the disk looks blank`, async () => {
    await onDisk(imageBytes(8 * MiB), [fault], ({ outcome, results, events }, disk, faulty) => {
      faulty.release();
      assert.equal(outcome, 'failed');
      assert.equal(results[0]?.failure?.code, code);
      assert.equal(results[0]?.verified, false);
      if (where) {
        const { offset, length } = (results[0]?.failure ?? assert.fail()).details as {
          offset: number;
          length: number;
        };
        assert.ok(
          offset <= where.offset && where.offset < offset + length,
          `${where.offset} is in ${offset}+${length}`,
        );
        assert.ok(length <= where.within, `the range of ${length} bytes is as narrow as can be known`);
      }
      assert.equal(events.filter(({ kind }) => kind === 'target-finished').length, 1);
      if (code !== 'FLUSH_FAILED') looksBlank(disk);
    });
  });
}

test('a short write is continued where it stopped', async () => {
  const image = imageBytes(8 * MiB);
  await onDisk(image, [{ kind: 'short', at: 5 * MiB + 4096, times: 1 }], ({ outcome }, disk) => {
    assert.equal(outcome, 'done');
    assert.equal(Buffer.compare(disk.subarray(0, image.length), image), 0);
  });
});

test('a wrong digest fails the flash before the disk becomes bootable', async () => {
  const request = { sha256: '0'.repeat(64) };
  await onDisk(
    imageBytes(4 * MiB),
    [],
    ({ results }, disk) => {
      assert.equal(results[0]?.failure?.code, 'DIGEST_MISMATCH');
      looksBlank(disk);
    },
    request,
  );
});

test('a packed image that grows larger than the disk is refused with both sizes', async () => {
  const stored = gzipSync(imageBytes(17 * MiB));
  await onDisk(
    stored,
    [],
    ({ results }, disk) => {
      assert.equal(results[0]?.failure?.code, 'TARGET_TOO_SMALL');
      assert.match(results[0]?.failure?.message ?? '', /16777216/);
      looksBlank(disk);
    },
    {},
    'image.img.gz',
  );
});

test('a truncated gz stream fails as such and leaves a blank disk', async () => {
  const stored = gzipSync(imageBytes(6 * MiB));
  const check = ({ results }: Awaited<ReturnType<typeof flashImage>>, disk: Buffer) => {
    assert.equal(results[0]?.failure?.code, 'IMAGE_TRUNCATED');
    looksBlank(disk);
  };
  await onDisk(stored.subarray(0, stored.length - 100_000), [], check, {}, 'image.img.gz');
});

test('a damaged zst stream fails as such and leaves a blank disk', async () => {
  const stored = zstdCompressSync(imageBytes(6 * MiB), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  stored[stored.length - 200_000] = (stored[stored.length - 200_000] ?? 0) ^ 0xff;
  const check = ({ results }: Awaited<ReturnType<typeof flashImage>>, disk: Buffer) => {
    assert.equal(results[0]?.failure?.code, 'IMAGE_CORRUPT');
    looksBlank(disk);
  };
  await onDisk(stored, [], check, {}, 'image.img.zst');
});

test('a zst file that was cut short is refused before the disk is touched', async () => {
  await inFolder(async (folder) => {
    const image = join(folder, 'image.img.zst');
    const stored = zstdCompressSync(imageBytes(6 * MiB));
    await writeFile(image, stored.subarray(0, stored.length - 100_000));
    const path = await diskFile(folder, 16 * MiB, old);
    await assert.rejects(flashImage({ image }, [diskAt(path, 16 * MiB)]), { code: 'IMAGE_TRUNCATED' });
    assert.ok((await readFile(path)).every((byte) => byte === old));
  });
});

test('skipping the read-back ends in written, not verified', async () => {
  await inFolder(async (folder) => {
    const image = join(folder, 'image.img');
    const bytes = imageBytes(8 * MiB);
    await writeFile(image, bytes);
    const path = await diskFile(folder, 16 * MiB, old);
    const skip = new AbortController();
    const control = { signal: neverEnding.signal, skipVerify: skip.signal };
    const ran = await flashImage({ image }, [diskAt(path, 16 * MiB)], control, {}, (event) => {
      if (event.kind === 'phase' && event.phase === 'verifying') skip.abort();
    });
    assert.equal(ran.outcome, 'done');
    assert.equal(ran.results[0]?.verified, false);
    assert.equal(Buffer.compare((await readFile(path)).subarray(0, bytes.length), bytes), 0);
  });
});

for (const phase of ['clearing', 'writing', 'verifying'] as const) {
  test(`a cancel while ${phase} does not wait for a disk that hangs, and leaves a blank disk`, async () => {
    await inFolder(async (folder) => {
      const image = join(folder, 'image.img');
      await writeFile(image, imageBytes(12 * MiB));
      const path = await diskFile(folder, 16 * MiB, old);
      const stop = new AbortController();
      // The disk hangs in that phase, which must not hold up the cancel.
      const on = phase === 'verifying' ? 'read' : 'write';
      const at = phase === 'clearing' ? 0 : 4 * MiB;
      const wrap = (disk: DiskHandle) => {
        const faulty = new FaultyDisk(disk, [{ kind: 'stall', on, at }]);
        if (phase !== 'clearing') void faulty.stalled().then(() => stop.abort());
        return phase === 'clearing' ? disk : faulty;
      };
      const control = { signal: stop.signal, skipVerify: neverEnding.skipVerify };
      let aborted = 0;
      stop.signal.addEventListener('abort', () => {
        aborted = performance.now();
      });
      const ran = await flashImage({ image }, [diskAt(path, 16 * MiB, wrap)], control, {}, (event) => {
        if (phase === 'clearing' && event.kind === 'phase' && event.phase === 'clearing') stop.abort();
      });
      assert.ok(performance.now() - aborted < defaults.stallAfter / 2);
      assert.equal(ran.outcome, 'cancelled');
      assert.equal(ran.results[0]?.failure?.code, 'CANCELLED');
      if (phase !== 'clearing') looksBlank(await readFile(path));
    });
  });
}

/** A disk whose flush number `nth` ends only when it is released. */
class DeafDisk extends FaultyDisk {
  readonly awake = Promise.withResolvers<void>();
  #left: number;

  constructor(inner: DiskHandle, nth: number) {
    super(inner);
    this.#left = nth;
  }

  override async flush(): Promise<void> {
    if (--this.#left === 0) await this.awake.promise;
    await super.flush();
  }
}

const deafIn = [
  [1, 'clearing'],
  [2, 'flushing'],
  [3, 'settling'],
] as const;
// Each waits for the other's patience to end, and for little else.
describe('a disk that does not answer a flush', { concurrency: deafIn.length }, () => {
  for (const [nth, phase] of deafIn)
    test(`while ${phase} is given up, and stays blank when it awakes`, () => staysBlank(nth));
});

function staysBlank(nth: number): Promise<void> {
  return inFolder(async (folder) => {
    const image = join(folder, 'image.img');
    await writeFile(image, imageBytes(8 * MiB));
    const path = await diskFile(folder, 16 * MiB, old);
    let deaf: DeafDisk | undefined;
    const wrap = (disk: DiskHandle) => {
      deaf = new DeafDisk(disk, nth);
      return deaf;
    };
    const control = { signal: neverEnding.signal, skipVerify: neverEnding.skipVerify };
    const options = { stallAfter: 2000, every: 50 };
    const { results } = await flashImage({ image }, [diskAt(path, 16 * MiB, wrap)], control, options);
    assert.equal(results[0]?.failure?.code, 'DISK_STALLED');
    assert.ok(deaf && !deaf.calls.some(({ call }) => call === 'close'), 'it is open as long as it is asked');
    deaf.awake.resolve();
    while (!deaf.calls.some(({ call }) => call === 'close')) await setImmediate();
    const start = (await readFile(path)).subarray(0, MiB);
    assert.ok(
      start.every((byte) => byte === 0),
      'the first MiB is zero',
    );
  });
}

test('of three disks the failing one fails alone', async () => {
  await inFolder(async (folder) => {
    const image = join(folder, 'image.img.zst');
    const bytes = imageBytes(10 * MiB);
    await writeFile(image, zstdCompressSync(bytes));
    const paths = await Promise.all(['a', 'b', 'c'].map((name) => diskFile(folder, 16 * MiB, old, name)));
    const targets = paths.map((path, index) =>
      diskAt(path, 16 * MiB, (disk) =>
        index === 1 ? new FaultyDisk(disk, [{ kind: 'error', on: 'write', at: 3 * MiB, code: 'EIO' }]) : disk,
      ),
    );
    const ran = await flashImage({ image }, targets);
    assert.equal(ran.outcome, 'failed');
    assert.deepEqual(
      ran.results.map(({ outcome }) => outcome),
      ['done', 'failed', 'done'],
    );
    for (const index of [0, 2]) {
      assert.equal(Buffer.compare((await readFile(paths[index] ?? '')).subarray(0, bytes.length), bytes), 0);
    }
  });
});

test('a disk that hangs for a while does not hold up the others and still gets its image', async () => {
  await inFolder(async (folder) => {
    const image = join(folder, 'image.img');
    const bytes = imageBytes(40 * MiB);
    await writeFile(image, bytes);
    const size = 48 * MiB;
    const paths = await Promise.all(['a', 'b'].map((name) => diskFile(folder, size, undefined, name)));
    let slow: FaultyDisk | undefined;
    const targets = paths.map((path, index) =>
      diskAt(path, size, (disk) => {
        if (index === 0) return disk;
        slow = new FaultyDisk(disk, [{ kind: 'stall', on: 'write', at: 2 * MiB }]);
        return slow;
      }),
    );
    const order: string[] = [];
    const ran = await flashImage({ image }, targets, neverEnding, { slots: 8, every: 20 }, (event) => {
      if (event.kind !== 'target-finished') return;
      order.push(event.target);
      slow?.release();
    });
    assert.equal(ran.outcome, 'done');
    assert.deepEqual(order, paths);
    for (const path of paths)
      assert.equal(Buffer.compare((await readFile(path)).subarray(0, bytes.length), bytes), 0);
  });
});

test('zeros that the disk makes by itself are told apart from those that were written', async () => {
  // The zeros begin and end inside slots.
  const image = Buffer.concat([imageBytes(5 * MiB), Buffer.alloc(6 * MiB + 1000), imageBytes(MiB)]);
  await onDisk(
    image,
    [],
    ({ outcome, results }, disk) => {
      assert.equal(outcome, 'done');
      assert.equal(results[0]?.account.zeroed, 6 * MiB);
      assert.equal(results[0]?.account.written, image.length - 6 * MiB);
      assert.equal(Buffer.compare(disk.subarray(0, image.length), image), 0);
    },
    { sparse: true },
  );
});
