import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { stdinSource } from './stdin.ts';
import { drain, never, noise, run, sha256, temporaryDirectory } from './testing.ts';

const script = (body: string): string => `
  import { createHash } from 'node:crypto';
  import { stdinSource } from ${JSON.stringify(new URL('stdin.ts', import.meta.url).href)};
  const source = await stdinSource();
  ${body}
`;
const hashAll = script(`
  const head = await source.head();
  const stream = await source.open(new AbortController().signal);
  const hash = createHash('sha256');
  const into = new Uint8Array(50_000);
  for (let count; (count = await stream.read(into)) > 0; ) hash.update(into.subarray(0, count));
  await source.close();
  console.log(JSON.stringify([source.kind, source.location, source.size, head.length, hash.digest('hex')]));
`);

function start(body: string, stdin: 'pipe' | number): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '-e', body], { stdio: [stdin, 'pipe', 'inherit'] });
}

async function output(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout);
  return text(child.stdout);
}

test('a piped image is read whole, its head buffered and replayed', async () => {
  const bytes = noise(3_000_000);
  const child = start(hashAll, 'pipe');
  assert.ok(child.stdin);
  child.stdin.end(bytes);
  assert.deepEqual(JSON.parse(await output(child)), ['stdin', '-', null, 131072, sha256(bytes)]);
});

test('a redirected file has a size and random access', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  const bytes = noise(300_000);
  await writeFile(path, bytes);
  const descriptor = openSync(path, 'r');
  context.after(() => closeSync(descriptor));
  const child = start(hashAll, descriptor);
  assert.deepEqual(JSON.parse(await output(child)), ['file', '-', 300_000, 131072, sha256(bytes)]);
});

test('a redirected file that was read from before goes on where that reading ended', async (context) => {
  const path = join(await temporaryDirectory(context), 'disk.img');
  const bytes = noise(300_000);
  await writeFile(path, bytes);
  const descriptor = openSync(path, 'r');
  context.after(() => closeSync(descriptor));
  readSync(descriptor, new Uint8Array(1000));
  const source = await stdinSource(descriptor);
  assert.deepEqual([source.kind, source.size], ['stdin', null]);
  assert.equal(sha256(await drain(await source.open(never))), sha256(bytes.subarray(1000)));
});

test('a directory is no standard input', async () => {
  const descriptor = openSync('/', constants.O_RDONLY);
  await assert.rejects(stdinSource(descriptor), { code: 'IMAGE_UNREADABLE' });
  closeSync(descriptor);
});

test('the null device is an empty image', async () => {
  const descriptor = openSync('/dev/null', 'r');
  const source = await stdinSource(descriptor);
  assert.equal((await source.head()).length, 0);
  assert.equal((await drain(await source.open(never))).length, 0);
  closeSync(descriptor);
});

test('a process can cancel and exit while its standard input stays silent', async () => {
  const child = start(
    script(`
      const controller = new AbortController();
      const stream = await source.open(controller.signal);
      const pending = stream.read(new Uint8Array(10));
      controller.abort('enough');
      await pending.catch((reason) => console.log(reason));
      await source.close();
    `),
    'pipe',
  );
  const exit = new Promise((resolve) => child.once('exit', resolve));
  assert.equal(await output(child), 'enough\n');
  assert.equal(await exit, 0);
});

test('a writer that dies ends the stream', async (context) => {
  const path = join(await temporaryDirectory(context), 'fifo');
  await run('mkfifo', [path]);
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const source = await stdinSource(descriptor);
  const writer = spawn('dd', ['if=/dev/zero', `of=${path}`, 'bs=1000', 'count=3', 'status=none']);
  assert.equal((await drain(await source.open(never))).length, 3000);
  await new Promise((resolve) => (writer.exitCode === null ? writer.once('exit', resolve) : resolve(0)));
  await source.close();
});

test('a reader that does not keep up makes the sender wait', async (context) => {
  const path = join(await temporaryDirectory(context), 'fifo');
  await run('mkfifo', [path]);
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const source = await stdinSource(descriptor);
  const writer = spawn('dd', ['if=/dev/zero', `of=${path}`, 'bs=1M', 'count=16', 'status=none']);
  const ended = new Promise((resolve) => writer.once('exit', () => resolve('ended')));
  const stream = await source.open(never);
  const into = new Uint8Array(1000);
  await stream.read(into);
  await stream.read(into);
  assert.equal(writer.exitCode, null);
  assert.equal((await drain(stream)).length, 16 * 1024 * 1024 - 2000);
  assert.equal(await ended, 'ended');
  await source.close();
});
