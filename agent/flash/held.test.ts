import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Held } from './held.ts';

const MiB = 1 << 20;

test('the first and the last MiB are held back', () => {
  const held = new Held({ size: 16 * MiB });
  assert.deepEqual(
    held.regions.map(({ offset, length }) => [offset, length]),
    [
      [0, MiB],
      [15 * MiB, MiB],
    ],
  );
});

test('a disk that is not larger is held back as a whole', () => {
  assert.deepEqual(
    new Held({ size: 512 }).regions.map(({ offset, length }) => [offset, length]),
    [[0, 512]],
  );
});

test('what is held and what is not make up every chunk, and the overlay gives it back', () => {
  const size = 3 * MiB + 4096;
  fc.assert(
    fc.property(fc.nat(size - 1), fc.integer({ min: 1, max: 2 * MiB }), (offset, wanted) => {
      const held = new Held({ size });
      const length = Math.min(wanted, size - offset);
      const bytes = Buffer.alloc(length, 7);
      const rest = held.split(offset, length, bytes);
      const seen = new Uint8Array(length);
      for (const { start, end } of rest) seen.fill(7, start - offset, end - offset);
      held.overlay(seen, offset);
      // Bytes of the held ranges that the image does not cover stay zero and lie outside of the chunk.
      return seen.every((byte) => byte === 7);
    }),
    { numRuns: 60 },
  );
});

test('a zero chunk clears what was held of it', () => {
  const held = new Held({ size: 4 * MiB });
  held.split(0, MiB, Buffer.alloc(MiB, 9));
  held.split(4096, 4096, null);
  const { content } = held.regions[0] ?? assert.fail();
  assert.equal(content[4095], 9);
  assert.ok(content.subarray(4096, 8192).every((byte) => byte === 0));
  assert.equal(content[8192], 9);
});
