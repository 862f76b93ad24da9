import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ring, RingClosed } from './ring.ts';

test('a full ring gives its next slot when one is released', async () => {
  const ring = Ring.create(2, 65536);
  const [first, second] = [await ring.take(), await ring.take()];
  assert.notEqual(first, second);
  assert.equal(ring.taken, 2);
  const third = ring.take();
  ring.release(second);
  assert.equal(await third, second);
});

test('slots are page aligned and shared with another view of the same ring', () => {
  const ring = Ring.create(3, 65536);
  const other = new Ring(ring.handle);
  ring.view(2)[5] = 42;
  assert.equal(other.view(2)[5], 42);
  assert.equal(ring.view(1).byteOffset % 4096, 0);
});

test('closing ends every wait, now and later', async () => {
  const ring = Ring.create(1, 65536);
  await ring.take();
  const waiting = ring.take();
  ring.close();
  await assert.rejects(waiting, RingClosed);
  await assert.rejects(ring.take(), RingClosed);
});
