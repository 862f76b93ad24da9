/** Bodies of unknown length, and senders that are slow, over real HTTP. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory, until } from '../testing/files.ts';
import { type Limits, receiveFile } from './receive.ts';
import { takenBytes, Watch } from './room.ts';

/** Takes one file at a time; answers its folder, its port and how each ended. */
async function taking(context: TestContext, limits: (folder: string) => Partial<Limits>) {
  const folder = await temporaryDirectory(context);
  const ends: string[] = [];
  const given: Limits = {
    maxBytes: 2 ** 40,
    quota: async () => null,
    idleMilliseconds: 60_000,
    ...limits(folder),
  };
  let count = 0;
  const server = createServer((request, response) => {
    receiveFile(request, folder, `${count++}.img`, given, null).then(
      ({ size }) => ends.push(`${size} bytes`),
      (error: Error) => ends.push(error.message),
    );
    response.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const put = (headers: string) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => {});
    context.after(() => socket.destroy());
    socket.write(`PUT / HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`);
    return socket;
  };
  return { folder, ends, put };
}

const chunk = (bytes: number) =>
  Buffer.concat([Buffer.from(`${bytes.toString(16)}\r\n`), Buffer.alloc(bytes), Buffer.from('\r\n')]);

test('bodies of unknown length never take more than the quota, not even for a moment', async (context) => {
  const quota = 3_000_000;
  let most = 0;
  const { folder, ends, put } = await taking(context, (folder) => ({
    quota: async (except) => {
      most = Math.max(most, await takenBytes(folder));
      return { used: await takenBytes(folder, except), quota };
    },
  }));
  const sockets = Array.from({ length: 4 }, () => put('Transfer-Encoding: chunked'));
  const pieces = sockets.map(async (socket) => {
    for (let count = 0; count < 100 && !socket.destroyed; count++) {
      if (!socket.write(chunk(60_000))) await new Promise<void>((resolve) => setTimeout(resolve, 5));
    }
  });
  await until('all of them are refused', () => ends.length === 4);
  for (const socket of sockets) socket.destroy();
  await Promise.all(pieces);
  assert.ok(
    ends.every((end) => /quota|limit|allowed/i.test(end)),
    ends.join('; '),
  );
  assert.ok(most > quota / 2 && most <= quota + 4 * 65_536, `${most} bytes`);
  assert.deepEqual(await readdir(folder), []);
});

test('the room is looked at the more often the less of it is left', async () => {
  let left = 1_000_000_000;
  const looks: number[] = [];
  const watch = new Watch(async (bytes) => {
    if (bytes > left) throw new Error('full');
    looks.push(left);
    return left - bytes;
  });
  const fill = async () => {
    for (;;) {
      await watch.take(100_000);
      left -= 100_000;
    }
  };
  await assert.rejects(fill(), /full/);
  assert.equal(left, 0);
  assert.ok(looks.length < 120, `${looks.length} looks`);
  assert.ok(looks.filter((room) => room > 500_000_000).length <= 9);
});

test('a sender that sends a byte now and then is given up, and one that is only slow is not', async (context) => {
  const { ends, put } = await taking(context, () => ({ idleMilliseconds: 2000 }));
  const drip = (bytes: number) => {
    const socket = put('Content-Length: 100000000');
    const timer = setInterval(() => socket.write(Buffer.alloc(bytes)), 20);
    context.after(() => clearInterval(timer));
    return socket;
  };
  const steady = drip(2000);
  drip(1);
  await until('the one that drips is given up', () => ends.length === 1);
  assert.match(ends[0] ?? '', /only \d+ bytes came in/);
  assert.equal(steady.destroyed, false);
});
