import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Heap } from './heap.ts';

test('A heap gives its items back in order of their keys', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat({ max: 50 }), fc.constant(null))), (steps) => {
      const heap = new Heap<{ readonly key: number }>();
      const model: number[] = [];
      for (const step of steps) {
        if (step === null) {
          model.sort((a, b) => a - b);
          assert.equal(heap.peek()?.key, model[0]);
          assert.equal(heap.pop()?.key, model.shift());
        } else {
          heap.push({ key: step });
          model.push(step);
        }
        assert.equal(heap.size, model.length);
      }
    }),
  );
});
