import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { News } from './post.ts';
import { Told } from './told.ts';

const declined = (index: number, where = 'lab0'): News => ({
  interface: where,
  kind: 'declined',
  text: `address ${index}`,
  mac: `02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`,
});

test('the same news of a machine is told once in a minute', () => {
  const told = new Told();
  assert.notEqual(told.of(declined(1), 1000), null);
  assert.equal(told.of(declined(1), 60_999), null);
  assert.notEqual(told.of(declined(1), 61_000), null);
});

test('a flood of pretended machines is told by its first ones and one word more, each minute and interface', () => {
  const told = new Told();
  const flood = (from: number, now: number, where?: string) =>
    Array.from({ length: 5000 }, (_, index) => told.of(declined(from + index, where), now)).filter(
      (news) => news !== null,
    );
  const first = flood(0, 1000);
  assert.equal(first.length, 31);
  assert.match(first.at(-1)?.text ?? '', /there are more, which are not told for a minute/);
  assert.equal(first.at(-1)?.mac, null);
  assert.equal(flood(5000, 30_000).length, 0);
  assert.equal(flood(5000, 30_000, 'lab1').length, 31);
  assert.equal(flood(10_000, 61_000).length, 31);
  const other: News = { ...declined(1), kind: 'conflict' };
  assert.equal(told.of(other, 61_000), other);
});

test('a clock that was set back keeps nothing quiet for long', () => {
  const told = new Told();
  assert.notEqual(told.of(declined(1), 10_000_000), null);
  assert.notEqual(told.of(declined(1), 1000), null);
});
