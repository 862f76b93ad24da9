import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FailureCode } from '../../shared/failure.ts';
import type { DiskHandle } from '../disk/handle.ts';
import { MemoryDisk, systemError } from '../disk/memory.ts';
import { classify, type DiskAction } from './classify.ts';

const size = 1 << 20;
const range = { offset: 4096, length: 512 };

/** A disk whose size becomes 0 after it was asked for `looks` times. */
function leaving(looks: number): DiskHandle {
  const disk = new MemoryDisk(size);
  let left = looks;
  disk.currentSize = async () => (left-- > 0 ? size : 0);
  return disk;
}

async function told(code: string, action: DiskAction, disk: DiskHandle): Promise<FailureCode> {
  const found = await classify(systemError(code, action), disk, action, range);
  if (found.code !== 'FLUSH_FAILED') assert.equal(found.details.offset, range.offset);
  return found.code;
}

for (const code of ['EIO', 'ENODEV', 'ENXIO', 'ENOSPC']) {
  test(`${code} of a disk that is gone means that it was unplugged`, async () => {
    for (const action of ['write', 'read', 'flush'] as const)
      assert.equal(await told(code, action, leaving(0)), 'DISK_VANISHED');
  });
}

for (const code of ['EIO', 'ENODEV', 'ENXIO']) {
  test(`${code} that comes a moment before the system takes the disk away is no bad block`, async () => {
    assert.equal(await told(code, 'write', leaving(3)), 'DISK_VANISHED');
  });
}

test('an error of a disk that stays is told as what it is', async () => {
  const stays = new MemoryDisk(size);
  assert.equal(await told('EIO', 'write', stays), 'WRITE_FAILED');
  assert.equal(await told('ENODEV', 'write', stays), 'WRITE_FAILED');
  assert.equal(await told('EIO', 'read', stays), 'READ_BACK_FAILED');
  assert.equal(await told('EIO', 'flush', stays), 'FLUSH_FAILED');
  assert.equal(await told('ENOSPC', 'write', stays), 'DISK_FULL');
});

test('a disk that cannot even tell its size is gone', async () => {
  const disk = new MemoryDisk(size);
  disk.currentSize = async () => {
    throw systemError('ENXIO', 'ioctl');
  };
  assert.equal(await told('EIO', 'write', disk), 'DISK_VANISHED');
});
