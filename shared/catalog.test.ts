import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkCatalog } from './catalog.ts';

const sha256 = 'aB'.repeat(32);
const image = { name: 'disk.img.xz', src: 'http://host/disk.img.xz', sha256 };

function problemOf(value: unknown): string {
  const checked = checkCatalog(value);
  return checked.kind === 'invalid' ? checked.problem : 'valid';
}

test('a catalog lists images with what is known of them', () => {
  const qcow2 = { ...image, name: 'b', format: 'qcow2', size_bytes: 5, description: 'x', later: 1 };
  assert.deepEqual(checkCatalog({ version: 1, images: [image, qcow2], more: {} }), {
    kind: 'valid',
    value: [
      {
        name: 'disk.img.xz',
        src: 'http://host/disk.img.xz',
        sha256: 'ab'.repeat(32),
        format: 'img.xz',
        sizeBytes: null,
        description: null,
      },
      {
        name: 'b',
        src: 'http://host/disk.img.xz',
        sha256: 'ab'.repeat(32),
        format: 'qcow2',
        sizeBytes: 5,
        description: 'x',
      },
    ],
  });
  assert.deepEqual(checkCatalog({ version: 1 }), { kind: 'valid', value: [] });
});

test('the first fault of a catalog is told by entry and key', () => {
  const faults: readonly (readonly [unknown, string])[] = [
    [null, 'it is not a table'],
    [[], 'it is not a table'],
    [{}, '"version" is missing'],
    [{ version: 2 }, '"version" must be 1'],
    [{ version: '1' }, '"version" must be 1'],
    [{ version: 1, images: image }, '"images" must be a list of tables, [[images]]'],
    [{ version: 1, images: ['x'] }, 'image 1: it is not a table'],
    [{ version: 1, images: [image, { src: 'x' }] }, 'image 2: "name" is missing'],
    [
      { version: 1, images: [{ ...image, sha256: 'x' }] },
      'image 1 ("disk.img.xz"): "sha256" must be 64 hexadecimal digits',
    ],
    [
      { version: 1, images: [{ ...image, src: '' }] },
      'image 1 ("disk.img.xz"): "src" must be text that is not empty',
    ],
    [
      { version: 1, images: [{ ...image, size_bytes: -1 }] },
      'image 1 ("disk.img.xz"): "size_bytes" must be a whole number of bytes',
    ],
    [
      { version: 1, images: [image, { ...image, name: 'b' }, image] },
      'images 1 and 3 have the same name "disk.img.xz"',
    ],
  ];
  for (const [value, problem] of faults) assert.equal(problemOf(value), problem);
});

test('whatever a catalog holds, it is valid or has a problem', () => {
  const keys = fc.constantFrom(
    'name',
    'src',
    'sha256',
    'format',
    'size_bytes',
    'description',
    '__proto__',
    'toString',
  );
  const images = fc.array(fc.oneof(fc.anything(), fc.dictionary(keys, fc.anything()), fc.constant(image)));
  fc.assert(fc.property(fc.anything(), (value) => void checkCatalog(value)));
  fc.assert(fc.property(images, (list) => void checkCatalog({ version: 1, images: list })));
});
