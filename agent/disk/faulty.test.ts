import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultyDisk } from './faulty.ts';
import { MemoryDisk } from './memory.ts';

const ones = new Uint8Array(1024).fill(1);

test('a disk in memory keeps what is written and is as strict as direct I/O', async () => {
  const disk = new MemoryDisk(4096, { blockSize: 512, fill: 7 });
  assert.equal(await disk.write(ones, 512), 1024);
  const back = new Uint8Array(2048);
  assert.equal(await disk.read(back, 512), 2048);
  assert.deepEqual([back[0], back[1023], back[1024]], [1, 1, 7]);
  assert.equal(await disk.zero(512, 512), true);
  assert.equal(await disk.zero(1, 512), false);
  assert.equal(disk.bytes[512], 0);
  assert.equal(await disk.write(ones, 3584), 512, 'only what fits');
  assert.equal(await disk.read(back, 4096), 0);
  await assert.rejects(disk.write(ones, 4096), { code: 'ENOSPC' });
  await assert.rejects(disk.write(ones, 1), { code: 'EINVAL' });
  await assert.rejects(disk.read(back.subarray(1), 0), { code: 'EINVAL' });
  await disk.close();
  assert.equal(disk.closed, true);
  await assert.rejects(disk.flush(), { code: 'EBADF' });
});

test('a call that covers the bad byte fails, others do not', async () => {
  const disk = new FaultyDisk(new MemoryDisk(8192), [
    { kind: 'error', on: 'write', at: 1500, code: 'EIO' },
    { kind: 'error', on: 'read', at: 4096, code: 'EIO', times: 1 },
    { kind: 'error', on: 'zero', at: 0, code: 'EREMOTEIO' },
    { kind: 'error', on: 'flush', code: 'EIO', times: 1 },
  ]);
  await disk.write(ones, 0);
  await assert.rejects(disk.write(ones, 1024), { code: 'EIO', syscall: 'write' });
  await assert.rejects(disk.write(ones, 1024), { code: 'EIO' });
  await disk.write(ones, 2048);
  const back = new Uint8Array(1024);
  await assert.rejects(disk.read(back, 4096), { code: 'EIO' });
  assert.equal(await disk.read(back, 4096), 1024);
  await assert.rejects(disk.zero(0, 512), { code: 'EREMOTEIO' });
  assert.equal(await disk.zero(512, 512), true);
  await assert.rejects(disk.flush(), { code: 'EIO' });
  await disk.flush();
  assert.deepEqual(disk.calls[0], { call: 'write', position: 0, length: 1024 });
  assert.equal(disk.calls.length, 10);
});

test('a short write stores the whole blocks before the bad byte', async () => {
  const memory = new MemoryDisk(8192);
  const disk = new FaultyDisk(memory, [{ kind: 'short', at: 1700, times: 1 }]);
  assert.equal(await disk.write(ones, 1024), 512);
  assert.deepEqual([memory.bytes[1535], memory.bytes[1536]], [1, 0xaa]);
  assert.equal(await disk.write(ones, 1024), 1024);
  const stuck = new FaultyDisk(memory, [{ kind: 'short', at: 10 }]);
  assert.equal(await stuck.write(ones, 0), 0);
});

test('a flipped bit shows on every read of its byte only', async () => {
  const disk = new FaultyDisk(new MemoryDisk(4096, { fill: 0 }), [
    { kind: 'flip', at: 600 },
    { kind: 'flip', at: 601, mask: 0x80 },
  ]);
  const back = new Uint8Array(512);
  await disk.read(back, 512);
  assert.deepEqual([back[87], back[88], back[89], back[90]], [0, 1, 0x80, 0]);
  await disk.read(back, 0);
  assert.ok(back.every((byte) => byte === 0));
});

test('a stalled write goes on when it is released', async () => {
  const memory = new MemoryDisk(4096);
  const disk = new FaultyDisk(memory, [{ kind: 'stall', on: 'write', at: 1024 }]);
  await disk.write(ones, 0);
  let settled = false;
  const stalled = disk.write(ones, 1024).then((count) => {
    settled = true;
    return count;
  });
  await disk.stalled();
  await disk.write(ones, 2048);
  assert.deepEqual([settled, memory.bytes[1024], memory.bytes[2048]], [false, 0xaa, 1]);
  disk.release();
  assert.equal(await stalled, 1024);
  assert.equal(memory.bytes[1024], 1);
  await disk.write(ones, 1024);
});

test('an unplugged disk says what Linux says: no space, an early end, and the size 0', async () => {
  const disk = new FaultyDisk(new MemoryDisk(4096), [{ kind: 'vanish', on: 'write', at: 1024 }]);
  await disk.write(ones, 0);
  assert.equal(await disk.currentSize(), 4096);
  await assert.rejects(disk.write(ones, 1024), { code: 'ENOSPC' });
  assert.equal(await disk.currentSize(), 0);
  assert.equal(await disk.read(new Uint8Array(512), 0), 0);
  assert.equal(await disk.zero(0, 512), false);
  await assert.rejects(disk.write(ones, 0), { code: 'ENOSPC' });
  await assert.rejects(disk.rereadPartitions(), { code: 'ENXIO' });
  await disk.flush();
  await disk.close();
});
