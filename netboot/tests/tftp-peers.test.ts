/** Clients that others wrote fetch from our server: curl, atftp, tftp-hpa and the npm package `tftp`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { nobody } from '../story/step.ts';
import { noise, sha256, temporaryDirectory } from '../testing/files.ts';
import { fileOfBytes } from '../tftp/file.ts';
import { TftpServer } from '../tftp/server.ts';

const run = promisify(execFile);
const content = noise(2_000_003);

function absent(tool: string): string | false {
  const found = (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  return found ? false : `${tool} is not installed`;
}

async function start(context: TestContext): Promise<TftpServer> {
  const server = await TftpServer.listen({
    address: '127.0.0.1',
    port: 0,
    find: (name) =>
      name === 'boot.bin'
        ? fileOfBytes(content)
        : name === 'short'
          ? fileOfBytes(content.subarray(0, 20_000))
          : null,
    witness: nobody,
    macOf: () => null,
    allowed: () => true,
    limits: { blockSize: 65464, windowSize: 64, windowBytes: 131072 },
  });
  context.after(() => server.close());
  return server;
}

async function same(path: string, wanted: Uint8Array): Promise<void> {
  assert.equal(sha256(await readFile(path)), sha256(wanted));
}

test('curl fetches the same bytes at block sizes from 8 to 65464', {
  skip: absent('curl'),
}, async (context) => {
  const { local } = await start(context);
  const path = join(await temporaryDirectory(context), 'got');
  for (const [size, file] of [
    [8, 'short'],
    [512, 'boot.bin'],
    [1468, 'boot.bin'],
    [9000, 'boot.bin'],
    [65464, 'boot.bin'],
  ] as const) {
    const url = `tftp://127.0.0.1:${local.port}/${file}`;
    await run('curl', ['-sS', '--tftp-blksize', String(size), '-o', path, url]);
    await same(path, file === 'short' ? content.subarray(0, 20_000) : content);
  }
  await run('curl', ['-sS', '--tftp-no-options', '-o', path, `tftp://127.0.0.1:${local.port}/boot.bin`]);
  await same(path, content);
  await assert.rejects(run('curl', ['-sS', `tftp://127.0.0.1:${local.port}/absent`]));
});

test('atftp fetches the same bytes with windows from 1 to 64', { skip: absent('atftp') }, async (context) => {
  const { local } = await start(context);
  const folder = await temporaryDirectory(context);
  for (const [blockSize, windowSize] of [
    [512, 1],
    [1468, 1],
    [1468, 4],
    [1468, 16],
    [1468, 64],
    [8192, 8],
    [65464, 2],
  ]) {
    const path = join(folder, `got-${blockSize}-${windowSize}`);
    const options = ['--option', `blksize ${blockSize}`, '--option', `windowsize ${windowSize}`];
    const what = ['-g', '-r', 'boot.bin', '-l', path, '127.0.0.1', String(local.port)];
    await run('atftp', [...options, '--option', 'tsize 0', ...what]);
    await same(path, content);
  }
});

test('tftp-hpa fetches the same bytes', { skip: absent('tftp') }, async (context) => {
  const { local } = await start(context);
  const path = join(await temporaryDirectory(context), 'got');
  await run('tftp', ['-m', 'binary', '127.0.0.1', String(local.port), '-c', 'get', 'boot.bin', path]);
  await same(path, content);
});

interface NpmClient {
  get(remote: string, local: string, done: (error: Error | null) => void): void;
}

test('the npm package tftp fetches the same bytes with its window', async (context) => {
  const { local } = await start(context);
  const folder = await temporaryDirectory(context);
  const { default: tftp } = (await import('tftp' as string)) as {
    default: { createClient(options: object): NpmClient };
  };
  for (const [blockSize, windowSize] of [
    [1468, 4],
    [1468, 64],
    [8, 32],
    [65464, 2],
  ] as const) {
    const client = tftp.createClient({ host: '127.0.0.1', port: local.port, blockSize, windowSize });
    const file = blockSize === 8 ? 'short' : 'boot.bin';
    const path = join(folder, `got-${blockSize}-${windowSize}`);
    await promisify(client.get.bind(client))(file, path);
    await same(path, blockSize === 8 ? content.subarray(0, 20_000) : content);
  }
});
