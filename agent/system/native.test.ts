import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
  closeEnd,
  deviceSize,
  forgetCached,
  isSystemError,
  loadAddon,
  lockExclusively,
  makePipe,
  nextData,
  preferLargePages,
  punchHole,
  rereadPartitionTable,
} from './native.ts';

const run = promisify(execFile);

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-native-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('importing the module loads no addon', async () => {
  const url = new URL('./native.ts', import.meta.url).href;
  const program = `await import(${JSON.stringify(url)});
    const maps = (await import('node:fs')).readFileSync('/proc/self/maps', 'utf8');
    console.log(maps.includes('koffi'));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program]);
  assert.equal(stdout.trim(), 'false');
});

test('a hole punched in a file reads as zeros and gives its blocks back', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'file');
    await writeFile(path, Buffer.alloc(1 << 20, 7));
    const file = await open(path, 'r+');
    await file.sync();
    const before = statSync(path).blocks;
    await punchHole(file.fd, 65536, 131072);
    await file.sync();
    await file.close();
    const content = readFileSync(path);
    assert.equal(content.length, 1 << 20);
    assert.ok(content.subarray(65536, 65536 + 131072).every((byte) => byte === 0));
    assert.ok(content.subarray(0, 65536).every((byte) => byte === 7));
    assert.ok(content.subarray(65536 + 131072).every((byte) => byte === 7));
    assert.ok(statSync(path).blocks < before);
  }));

test('a second lock on the same file is refused with EAGAIN until the first descriptor closes', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'file');
    await writeFile(path, '');
    const first = openSync(path, 'r+');
    const second = openSync(path, 'r+');
    await lockExclusively(first);
    await assert.rejects(lockExclusively(second), { code: 'EAGAIN', syscall: 'flock' });
    closeSync(first);
    await lockExclusively(second);
    closeSync(second);
  }));

test('the data between the holes of a file is found, past 4 GiB too', () =>
  inFolder(async (folder) => {
    const file = await open(join(folder, 'file'), 'w+');
    const far = 5 * 2 ** 30;
    await file.truncate(far + 2 ** 20);
    await file.write(Buffer.alloc(65536, 7), 0, 65536, 2 ** 20);
    await file.write(Buffer.alloc(65536, 7), 0, 65536, far);
    await file.sync();
    const first = nextData(file.fd, 0);
    assert.ok(first && first.start <= 2 ** 20 && first.end >= 2 ** 20 + 65536 && first.end < far);
    const second = nextData(file.fd, first.end);
    assert.ok(second && second.start <= far && second.start >= first.end && second.end >= far + 65536);
    assert.equal(nextData(file.fd, far + 2 ** 20), null);
    await file.close();
    assert.throws(() => nextData(file.fd, 0), { code: 'EBADF', syscall: 'lseek' });
  }));

test('errors carry the code, the number and the name of the call, also when many run at once', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'file');
    await writeFile(path, 'x');
    const readOnly = openSync(path, 'r');
    const writable = openSync(path, 'r+');
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        if (index % 4 === 0)
          await assert.rejects(punchHole(readOnly, 0, 4096), {
            code: 'EBADF',
            errno: -9,
            syscall: 'fallocate',
          });
        else if (index % 4 === 1)
          await assert.rejects(rereadPartitionTable(writable), {
            code: 'ENOTTY',
            syscall: 'ioctl BLKRRPART',
          });
        else if (index % 4 === 2)
          await assert.rejects(punchHole(writable, 0, 0), { code: 'EINVAL', syscall: 'fallocate' });
        else await forgetCached(writable, 0, 0);
      }),
    );
    assert.throws(() => deviceSize(writable), { code: 'ENOTTY' });
    closeSync(readOnly);
    await assert.rejects(forgetCached(readOnly, 0, 0), { code: 'EBADF', syscall: 'posix_fadvise' });
    closeSync(writable);
  }));

test('an addon loads from bytes in the first directory that takes a nameless file', () => {
  const names = { x64: 'linux-x64/linux_x64', arm64: 'linux-arm64/linux_arm64' } as const;
  const name = names[process.arch as keyof typeof names];
  const addon = readFileSync(
    new URL(`../../node_modules/@koromix/koffi-${name}/koffi.node`, import.meta.url),
  );
  const koffi = loadAddon(addon, ['/proc', '/nowhere', '/dev/shm', '/tmp', '/var/tmp']);
  assert.equal(koffi.load(null).func('getpid', 'int', [])(), process.pid);
});

test('an addon that no directory takes is reported with each reason', () => {
  assert.throws(() => loadAddon(new Uint8Array(4), ['/proc', '/nowhere']), /\/proc: .*; \/nowhere: ENOENT/);
});

test('a pipe carries bytes until its ends are closed', () => {
  const { read, write } = makePipe(1 << 20);
  try {
    const bytes = Buffer.alloc(1 << 16, 7);
    assert.equal(writeSync(write, bytes), bytes.length);
    assert.ok(readSync(read, Buffer.alloc(1 << 20)) > 0);
  } finally {
    closeEnd(read);
    closeEnd(write);
  }
  assert.throws(() => fstatSync(write), { code: 'EBADF' });
});

test('a system error is recognised by its code', () => {
  assert.equal(isSystemError(Object.assign(new Error('x'), { code: 'EIO' }), 'EIO', 'ENXIO'), true);
  assert.equal(isSystemError(new Error('EIO'), 'EIO'), false);
  assert.equal(isSystemError('EIO', 'EIO'), false);
});

const largePages = (() => {
  try {
    return !readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8').includes('[never]');
  } catch {
    return false;
  }
})();

test('memory gets large pages on request', { skip: !largePages && 'this system has none' }, () => {
  const inLargePages = () =>
    [...readFileSync('/proc/self/smaps', 'utf8').matchAll(/AnonHugePages: +(\d+) kB/g)].reduce(
      (sum, [, kilobytes]) => sum + Number(kilobytes),
      0,
    );
  const before = inLargePages();
  const memory = new WebAssembly.Memory({ initial: 256, maximum: 256, shared: true });
  const bytes = Buffer.from(memory.buffer);
  assert.equal(preferLargePages(bytes), true);
  bytes.fill(1);
  assert.ok(inLargePages() - before >= 4096, 'at least a few of 16 MiB');
});
