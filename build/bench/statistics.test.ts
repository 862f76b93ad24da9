import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { median, ratio, rotate, spread } from './statistics.ts';

test('the median is the middle value, or the mean of the two in the middle', () => {
  assert.equal(median([3]), 3);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test('as many values lie below the median as above it', () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 30 }), (values) => {
      const middle = median(values);
      const below = values.filter((value) => value < middle).length;
      const above = values.filter((value) => value > middle).length;
      assert.ok(below <= values.length / 2 && above <= values.length / 2);
    }),
  );
});

test('a spread keeps the ends', () => {
  assert.deepEqual(spread([2, 8, 4]), { median: 4, min: 2, max: 8 });
});

test('a machine that slows down between rounds does not change the ratio of rounds', () => {
  const { ofMedians, ofRounds } = ratio([1, 2, 30], [2, 4, 60]);
  assert.equal(ofMedians, 0.5);
  assert.equal(ofRounds, 0.5);
  assert.equal(ratio([1, 1, 9], [1, 9, 9]).ofRounds, 1);
});

test('rounds that one side lacks are left out of the ratio of rounds', () => {
  assert.equal(ratio([1, 2, 3], [2, 4]).ofRounds, 0.5);
});

test('over as many rounds as there are items each stands once at each place', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer(), { minLength: 1, maxLength: 8 }), (items) => {
      const rounds = items.map((_, round) => rotate(items, round));
      for (const place of items.keys()) {
        assert.equal(new Set(rounds.map((order) => order[place])).size, items.length);
      }
    }),
  );
  assert.deepEqual(rotate(['a', 'b', 'c'], 4), ['b', 'c', 'a']);
  assert.deepEqual(rotate([], 2), []);
});
