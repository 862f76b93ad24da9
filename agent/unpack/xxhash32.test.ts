import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import xxhashWasm from 'xxhash-wasm';
import { XxHash32, xxHash32 } from './xxhash32.ts';

const text = (words: string) => new TextEncoder().encode(words);

test('XXH32 gives the digests that other implementations publish', () => {
  assert.equal(xxHash32(text('')), 0x02cc5d05);
  assert.equal(xxHash32(text(''), 0x9e3779b1), 0x36b78ae7);
  assert.equal(xxHash32(text('a')), 0x550d7456);
  assert.equal(xxHash32(text('abc')), 0x32d153ff);
  assert.equal(xxHash32(text('Nobody inspects the spammish repetition')), 0xe2293b2f);
});

test('XXH32 agrees with an independent implementation however the input is cut', async () => {
  const other = await xxhashWasm();
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 8 }), fc.nat(), (parts, seed) => {
      const hash = new XxHash32(seed);
      for (const part of parts) hash.update(part);
      assert.equal(hash.digest(), other.h32Raw(Buffer.concat(parts), seed));
    }),
  );
});
