import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adapt, type Depth, startDepth } from './depth.ts';

/** A disk whose throughput depends on the depth, sampled `rounds` times. */
function settle(throughput: (depth: number) => number, slowest = 10, rounds = 40): Depth {
  let depth = startDepth;
  for (let round = 0; round < rounds; round++) {
    depth = adapt(depth, { bytesPerSecond: throughput(depth.now), slowest, saturated: true }, 16);
  }
  return depth;
}

test('the depth grows while the throughput grows with it', () => {
  assert.equal(settle((depth) => depth * 1e8).now, 16);
});

test('the depth goes back to the best when one more write brings nothing', () => {
  assert.ok(settle((depth) => Math.min(depth, 6) * 1e8).now <= 7);
});

test('a write that takes longer than a second halves the depth, down to one', () => {
  assert.equal(
    adapt({ now: 8, best: 1e8, bestAt: 8 }, { bytesPerSecond: 1e6, slowest: 1500, saturated: true }, 16).now,
    4,
  );
  assert.equal(settle(() => 1e6, 5000).now, 1);
});

test('a disk that waits for data learns nothing about its depth', () => {
  assert.deepEqual(adapt(startDepth, { bytesPerSecond: 5e9, slowest: 1, saturated: false }, 16), startDepth);
});
