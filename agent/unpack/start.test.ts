import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { unpackStart } from './start.ts';
import { imageBytes, missing, run } from './testing.ts';

const threads = (): number => readdirSync('/proc/self/task').length;
const skip = missing('bzip2') || (process.platform === 'linux' ? false : 'needs /proc');

test('the start of a bzip2 image is unpacked without threads, whatever follows it', { skip }, async () => {
  const raw = imageBytes(6_000_000);
  const packed = run('bzip2', ['-c'], raw);
  const before = threads();
  const pending = unpackStart({ packing: 'bz2' }, packed.subarray(0, 2 << 20), 'a.bz2');
  assert.equal(threads(), before);
  const start = await pending;
  assert.equal(threads(), before);
  assert.equal(Buffer.compare(start, raw.subarray(0, start.length)), 0);
  assert.equal(start.length, 1 << 17);
});
