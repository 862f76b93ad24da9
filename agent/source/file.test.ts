import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { appendFile, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { fileSource, openedFile } from './file.ts';
import { statusOf } from './file-descriptor.ts';
import { headBytes } from './head.ts';
import { drain, never, noise, run, sha256, temporaryDirectory } from './testing.ts';

const root = process.getuid?.() === 0;

async function opened(path: string) {
  const source = await fileSource(path);
  assert.equal(source.kind, 'file');
  return source as ReturnType<typeof openedFile>;
}

test('a file gives its bytes in order, at any position, and as often as it is opened', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  const bytes = noise(300_001);
  await writeFile(path, bytes);
  const source = await opened(path);
  context.after(() => source.close());
  assert.deepEqual([source.name, source.location, source.size], ['disk.img', path, bytes.length]);
  assert.deepEqual(await source.head(), bytes.slice(0, headBytes));
  const [first, second] = [await source.open(never), await source.open(never)];
  await first.read(new Uint8Array(1000));
  assert.equal(sha256(await drain(second, 777)), sha256(bytes));
  assert.equal(sha256(await drain(first, 100_000)), sha256(bytes.subarray(1000)));
  await fc.assert(
    fc.asyncProperty(fc.nat(310_000), fc.nat(70_000), async (position, length) => {
      const into = new Uint8Array(length);
      const count = await source.random.read(into, position);
      assert.deepEqual(into.subarray(0, count), bytes.subarray(position, position + length));
    }),
    { numRuns: 50 },
  );
});

test('bytes are read straight into shared, page-aligned memory', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  const bytes = noise(200_000);
  await writeFile(path, bytes);
  const source = await opened(path);
  context.after(() => source.close());
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  for (const view of [new Uint8Array(memory.buffer, 65536, 65536), Buffer.from(memory.buffer, 4096, 4096)]) {
    const stream = await source.open(never);
    assert.equal(await stream.read(view), view.length);
    assert.equal(Buffer.compare(Buffer.from(view), bytes.subarray(0, view.length)), 0);
  }
});

test('an empty file is an empty source', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  await writeFile(path, '');
  const source = await opened(path);
  context.after(() => source.close());
  assert.equal((await source.head()).length, 0);
  assert.equal((await drain(await source.open(never))).length, 0);
});

test('what is no image file is refused by what it is', async (context) => {
  const directory = await temporaryDirectory(context);
  const socket = join(directory, 'socket');
  const server = createServer().listen(socket);
  await new Promise((resolve) => server.once('listening', resolve));
  context.after(() => server.close());
  await symlink('loop', join(directory, 'loop'));
  const code = (path: string) =>
    fileSource(path).then(
      () => 'opened',
      (error) => error.code,
    );
  assert.equal(await code(join(directory, 'absent.img')), 'IMAGE_NOT_FOUND');
  assert.equal(await code('/etc/hostname/disk.img'), 'IMAGE_NOT_FOUND');
  for (const path of [
    directory,
    socket,
    join(directory, 'loop'),
    '/dev/null',
    'a\0b',
    `/${'x'.repeat(300)}`,
  ]) {
    assert.equal(await code(path), 'IMAGE_UNREADABLE', path);
  }
});

test('a file without read permission is refused', {
  skip: root ? 'root may read everything' : false,
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  await writeFile(path, 'x', { mode: 0 });
  await assert.rejects(fileSource(path), {
    code: 'IMAGE_UNREADABLE',
    message: /permission denied \(EACCES\)/,
  });
});

for (const [change, act] of [
  ['grows', (path: string) => appendFile(path, 'more')],
  ['shrinks', (path: string) => truncate(path, 70_000)],
  ['is written to', (path: string) => utimes(path, 1, 1)],
] as const) {
  test(`a file that ${change} while it is read fails the reading`, async (context) => {
    const path = join(await temporaryDirectory(context), 'disk.img');
    await writeFile(path, noise(100_000));
    const source = await opened(path);
    context.after(() => source.close());
    const stream = await source.open(never);
    await stream.read(new Uint8Array(60_000));
    await act(path);
    await assert.rejects(drain(stream), { code: 'IMAGE_CHANGED' });
    await assert.rejects(source.checkUnchanged(), { code: 'IMAGE_CHANGED' });
  });
}

test('a medium that cannot be read fails with the byte where it happened', async () => {
  // The first page of an address space is never mapped, and proc(5) mem says EIO there.
  const [memory, sized] = [openSync('/proc/self/mem', 'r'), openSync(process.execPath, 'r')];
  const stats = await statusOf(sized);
  closeSync(sized);
  const source = openedFile(memory, stats, { location: 'disk.img', name: 'disk.img', owned: true });
  await assert.rejects(source.random.read(new Uint8Array(16), 512), {
    code: 'SOURCE_READ_FAILED',
    message: 'Reading disk.img failed at byte 512: i/o error (EIO).',
  });
  await source.close();
});

test('a FIFO is read once, as a stream, and waits for its writer', async (context) => {
  const directory = await temporaryDirectory(context);
  const [path, copy] = [join(directory, 'fifo'), join(directory, 'copy')];
  await run('mkfifo', [path]);
  const bytes = noise(500_000);
  await writeFile(copy, bytes);
  const source = await fileSource(path);
  context.after(() => source.close());
  assert.deepEqual([source.kind, source.size, source.reopenable], ['stdin', null, false]);
  const writer = run('dd', [`if=${copy}`, `of=${path}`, 'bs=7000', 'status=none']);
  assert.deepEqual(await source.head(), bytes.slice(0, headBytes));
  assert.equal(sha256(await drain(await source.open(never), 1_000_000)), sha256(bytes));
  await writer;
  await assert.rejects(source.open(never), { code: 'INTERNAL' });
});

test('an aborted stream rejects pending and later reads with the reason', async (context) => {
  const path = join(await temporaryDirectory(context), 'fifo');
  await run('mkfifo', [path]);
  const source = await fileSource(path);
  context.after(() => source.close());
  const controller = new AbortController();
  const stream = await source.open(controller.signal);
  const pending = stream.read(new Uint8Array(16));
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(pending, reason);
  await assert.rejects(stream.read(new Uint8Array(16)), reason);
  await stream.close();
});

test('a block device is a source of its own size', {
  skip: root ? false : 'needs root for a loop device',
}, async (context) => {
  const path = join(await temporaryDirectory(context), 'backing');
  const bytes = noise(1024 * 1024);
  await writeFile(path, bytes);
  const device = (await run('losetup', ['--show', '--read-only', '-f', path])).stdout.trim();
  context.after(() => run('losetup', ['-d', device]));
  const source = await opened(device);
  context.after(() => source.close());
  assert.equal(source.size, (await stat(path)).size);
  assert.equal(sha256(await drain(await source.open(never))), sha256(bytes));
});
