import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { gzipUnpacker } from './gzip.ts';
import { digest, failsWith, imageBytes, unpackAll } from './testing.ts';

const unpack = (stored: Uint8Array) => unpackAll(gzipUnpacker('a.gz'), stored);
const image = imageBytes(700_000);
const packed = gzipSync(image);

test('members behind one another are one image, and zeros behind the last are padding', async () => {
  const two = Buffer.concat([packed, gzipSync(image.subarray(0, 1000)), Buffer.alloc(700)]);
  assert.equal(digest(await unpack(two)), digest(Buffer.concat([image, image.subarray(0, 1000)])));
});

test('other data behind the image is told as such', async () => {
  for (const text of ['hello world', 'a text\n'.repeat(1000)]) {
    const found = await failsWith(unpack(Buffer.concat([packed, Buffer.from(text)])), 'IMAGE_CORRUPT');
    assert.match(found.message, /other data follows its end/);
    assert.doesNotMatch(found.message, /byte 0/);
  }
});

test('an image that is cut anywhere is never taken for whole', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: packed.length - 1 }), async (length) => {
      await failsWith(unpack(packed.subarray(0, length)), 'IMAGE_TRUNCATED');
    }),
    { numRuns: 30 },
  );
});
