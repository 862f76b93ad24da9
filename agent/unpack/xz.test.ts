import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digest, imageBytes, missing, randomBytes, run, sampleSizes, unpackAll } from './testing.ts';
import { xzUnpacker } from './xz.ts';

const needsXz = missing('xz', 'xz-utils');
const pack = (raw: Uint8Array, ...options: string[]): Buffer => run('xz', ['-c', '-1', ...options], raw);

test('every sample size is unpacked as it was', { skip: needsXz }, async () => {
  for (const size of sampleSizes) {
    for (const raw of [imageBytes(size), randomBytes(size)]) {
      assert.equal(digest(await unpackAll(xzUnpacker('a.xz'), pack(raw))), digest(raw));
    }
  }
});
