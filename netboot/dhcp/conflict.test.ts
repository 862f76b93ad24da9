import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Conflicts, neighbours } from './conflict.ts';
import { ip } from './testing.ts';

const table = `IP address       HW type     Flags       HW address            Mask     Device
10.77.0.64       0x1         0x2         52:54:00:AA:00:01     *        lab0
10.77.0.65       0x1         0x0         00:00:00:00:00:00     *        lab0
10.77.0.66       0x1         0x2         52:54:00:aa:00:02     *        lab1
`;

test('only whole entries of the interface count as somebody who answers', () => {
  const wanted = [ip('10.77.0.64'), ip('10.77.0.65'), ip('10.77.0.66'), ip('10.77.0.67')];
  assert.deepEqual([...neighbours(table, 'lab0', wanted)], [[ip('10.77.0.64'), '52:54:00:aa:00:01']]);
  assert.deepEqual([...neighbours(table, 'lab0', [ip('10.77.0.6')])], []);
});

test('no more questions are asked at once than the kernel can keep neighbours, and nobody waits for more', async () => {
  const sent: number[] = [];
  const conflicts = new Conflicts({ device: 'none0', send: (address) => void sent.push(address) });
  const first = ip('10.77.0.1');
  await conflicts.ahead(Array.from({ length: 500 }, (_, index) => first + index));
  assert.equal(sent.length, 96);
  assert.equal(conflicts.busy, false);
  const asked = Array.from({ length: 96 }, (_, index) => conflicts.ask(first + 1000 + index));
  assert.equal(conflicts.busy, true);
  assert.deepEqual(new Set(await Promise.all(asked)), new Set([null]));
  assert.equal(conflicts.known(first), null);
  assert.equal(conflicts.known(first + 4000), undefined);
});

test('two clients that wait for one address ask once', async () => {
  const sent: number[] = [];
  const conflicts = new Conflicts({ device: 'none0', send: (address) => void sent.push(address) });
  await Promise.all([conflicts.ask(5), conflicts.ask(5)]);
  assert.deepEqual(sent, [5]);
});
