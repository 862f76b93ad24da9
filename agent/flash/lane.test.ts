import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { FaultyDisk } from '../disk/faulty.ts';
import { inFolder } from '../disk/testing.ts';
import { imageBytes } from '../unpack/testing.ts';
import { diskAt, diskFile, flashImage, neverEnding } from './testing.ts';

const MiB = 1 << 20;

class SlowToClose extends FaultyDisk {
  override async close(): Promise<void> {
    await pause(200);
    await super.close();
  }
}

test('a failed disk that is slow to close is reported before the flash is finished', async () => {
  await inFolder(async (folder) => {
    const image = join(folder, 'image.img');
    await writeFile(image, imageBytes(8 * MiB));
    const path = await diskFile(folder, 16 * MiB);
    const fault = { kind: 'error', on: 'write', at: 7 * MiB, code: 'EIO' } as const;
    const target = diskAt(path, 16 * MiB, (disk) => new SlowToClose(disk, [fault]));
    const ran = await flashImage({ image }, [target], neverEnding, { every: 20 });
    assert.equal(ran.results[0]?.failure?.code, 'WRITE_FAILED');
    assert.deepEqual(
      ran.events.slice(-2).map(({ kind }) => kind),
      ['target-finished', 'finished'],
    );
  });
});

class SlowToWrite extends FaultyDisk {
  open = true;
  override async write(bytes: Uint8Array, position: number): Promise<number> {
    await pause(300);
    assert.ok(this.open, 'a write went to a disk that was closed');
    return super.write(bytes, position);
  }
  override async close(): Promise<void> {
    this.open = false;
    await super.close();
  }
}

test('a disk that still writes when its image breaks off is closed as soon as it has written', async () => {
  await inFolder(async (folder) => {
    const image = join(folder, 'image.img.gz');
    const packed = gzipSync(randomBytes(12 * MiB), { level: 0 });
    await writeFile(image, packed.subarray(0, packed.length - 1000));
    const path = await diskFile(folder, 16 * MiB);
    let slow: SlowToWrite | undefined;
    const target = diskAt(path, 16 * MiB, (disk) => {
      slow = new SlowToWrite(disk, []);
      return slow;
    });
    const ran = await flashImage({ image }, [target], neverEnding, { every: 20, slotBytes: MiB });
    assert.equal(ran.results[0]?.failure?.code, 'IMAGE_TRUNCATED');
    const end = performance.now() + 120_000;
    while (slow?.open && performance.now() < end) await pause(50);
    assert.equal(slow?.open, false);
  });
});
