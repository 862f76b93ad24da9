import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { datagramSocket } from '../system/native.ts';
import { until } from '../testing/files.ts';
import { formatAddress } from './address.ts';
import { hear, mostInTurn, Turn } from './inlet.ts';
import { adopt } from './link.ts';

const linux = process.platform === 'linux' ? false : 'needs Linux';
const many = 600;
/** A program that sends numbered datagrams of growing length and prints the port that it sent from. */
const sender = `
const socket = require('node:dgram').createSocket('udp4');
const [port, many] = process.argv.slice(1).map(Number);
socket.bind(0, '127.0.0.1', () => {
  let left = many;
  const next = (number) => {
    const bytes = Buffer.alloc(4 + number, 7);
    bytes.writeUInt32BE(number);
    socket.send(bytes, port, '127.0.0.1', () => {
      if (number + 1 < many) next(number + 1);
      else { console.log(socket.address().port); socket.close(); }
    });
  };
  next(0);
});`;

test('what waits at a socket is read in few turns, in order and whole, and a flood leaves time for others', {
  skip: linux,
}, async (context) => {
  const address = Uint8Array.of(127, 0, 0, 1);
  const wanted = { device: null, address, port: 0, shared: false, receiveBuffer: 4 << 20 };
  const descriptor = datagramSocket(wanted);
  const socket = await adopt(descriptor);
  context.after(() => socket.close());
  const turns: number[] = [];
  const numbers: number[] = [];
  const senders = new Set<string>();
  let turn = 0;
  const full: boolean[] = [];
  hear(
    socket,
    descriptor,
    () => true,
    (bytes, from) => {
      if (numbers.length === 0 || turns[turn] === undefined) setImmediate(() => turn++);
      turns[turn] = (turns[turn] ?? 0) + 1;
      const view = Buffer.from(bytes);
      const number = view.readUInt32BE(0);
      assert.equal(view.length, 4 + number);
      assert.ok(view.subarray(4).every((byte) => byte === 7));
      numbers.push(number);
      senders.add(`${formatAddress(from.address)}:${from.port}`);
    },
    new Turn((one) => full.push(one)),
  );
  // Nothing is read while the other program runs.
  const port = execFileSync(process.execPath, ['-e', sender, String(socket.address().port), String(many)]);
  await until('all came', () => numbers.length === many);
  assert.deepEqual(
    numbers,
    Array.from({ length: many }, (_, index) => index),
  );
  assert.deepEqual([...senders], [`127.0.0.1:${port.toString().trim()}`]);
  assert.ok((turns[0] ?? 0) >= mostInTurn, `${turns}`);
  assert.ok(
    turns.every((count) => count <= mostInTurn + 32),
    `${turns}`,
  );
  assert.ok(turns.length <= 3, `${turns}`);
  await until('the last turn is told', () => full.length === turns.length);
  assert.deepEqual(
    full,
    turns.map((count) => count >= mostInTurn),
  );
});

test('nothing is read any more once it is closed in the middle', { skip: linux }, async (context) => {
  const address = Uint8Array.of(127, 0, 0, 1);
  const wanted = { device: null, address, port: 0, shared: false, receiveBuffer: 4 << 20 };
  const descriptor = datagramSocket(wanted);
  const socket = await adopt(descriptor);
  let taken = 0;
  const closed = new Promise<void>((resolve) => socket.once('close', resolve));
  const isOpen = () => taken < 10;
  hear(socket, descriptor, isOpen, () => {
    if (++taken === 10) socket.close();
  });
  context.after(() => (taken < 10 ? socket.close() : undefined));
  execFileSync(process.execPath, ['-e', sender, String(socket.address().port), '100']);
  await closed;
  assert.equal(taken, 10);
});
