import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkImageList } from './imagelist.ts';

test('rows without a name or an address are left out, and the others taken as far as they make sense', () => {
  const sha256 = 'a'.repeat(64);
  const checked = checkImageList([
    { name: 'a.img', url: 'http://h/a', format: 'img', size_bytes: 7, virtual_size_bytes: 9, sha256 },
    { name: 'old.img.gz', url: '/images/old', format: '', size_bytes: 0, ref: null, cached: true },
    { name: 'no address' },
    { url: 'http://h/no-name' },
    { name: 'odd', url: 'u', size_bytes: -1, sha256: 'XYZ', virtual_size_bytes: 1.5 },
    null,
  ]);
  assert.ok(checked.kind === 'valid');
  const unknown = { format: null, storedBytes: null, virtualBytes: null, sha256: null };
  assert.deepEqual(checked.value, [
    { name: 'a.img', url: 'http://h/a', format: 'img', storedBytes: 7, virtualBytes: 9, sha256 },
    { name: 'old.img.gz', url: '/images/old', ...unknown },
    { name: 'odd', url: 'u', ...unknown },
  ]);
});

test('what is no list is refused, and nothing makes the check throw', () => {
  assert.equal(checkImageList({ images: [] }).kind, 'invalid');
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const { kind } = checkImageList(value);
      assert.equal(kind === 'valid', Array.isArray(value));
    }),
  );
});
