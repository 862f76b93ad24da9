import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
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
