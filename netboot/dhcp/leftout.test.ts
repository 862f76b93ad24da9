import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeftOut } from './leftout.ts';

test('under load nobody is left out twice in a row, and what is remembered of them is bounded', () => {
  const left = new LeftOut(100);
  assert.deepEqual([left.add('a'), left.add('b'), left.add('a'), left.add('a')], [true, true, false, true]);
  for (let client = 0; client < 100; client++) assert.equal(left.add(`${client}`), true);
  // Both of the first are forgotten by now.
  assert.deepEqual([left.add('a'), left.add('b'), left.add('99')], [true, true, false]);
});
