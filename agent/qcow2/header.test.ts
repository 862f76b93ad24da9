import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Failure, type FailureCode } from '../../shared/failure.ts';
import { isQcow2, parseHeader } from './header.ts';
import { damage, failureOf, type HandMade, handMade } from './testing.ts';

const image = 'disk.qcow2';
const parse = (made: HandMade) => parseHeader(handMade(made), image);

test('A version 3 header tells size, tables, compression and subclusters', () => {
  const header = parse({
    clusterBits: 16,
    features: (1n << 3n) | (1n << 4n),
    compressionType: 1,
    l1: [null, null],
    virtualSize: 500n << 20n,
  });
  assert.deepEqual(header, {
    version: 3,
    virtualSize: 500 * 2 ** 20,
    clusterSize: 65536,
    clusterBits: 16,
    entrySize: 16,
    subclusters: true,
    compression: 'zstd',
    l1Offset: 65536,
    l1Entries: 2,
    tableSpan: 256 * 2 ** 20,
    snapshots: 0,
    notes: [],
  });
});

test('A version 2 header has no features, whatever follows it', () => {
  const header = parse({ version: 2, l1: [null], edit: (view) => view.setBigUint64(72, ~0n) });
  assert.equal(header.version, 2);
  assert.equal(header.compression, 'zlib');
  assert.equal(header.virtualSize, 512 * 64);
});

test('First-level entries beyond the disk, which hold saved states, are not counted', () => {
  assert.equal(parse({ l1: [null, null, null], virtualSize: 512n * 65n }).l1Entries, 2);
});

test('The magic number alone is what makes bytes a qcow2 image', () => {
  assert.equal(isQcow2(Uint8Array.of(0x51, 0x46, 0x49, 0xfb)), true);
  assert.equal(isQcow2(Uint8Array.of(0x51, 0x46, 0x49)), false);
  assert.equal(isQcow2(Uint8Array.of(0x51, 0x46, 0x49, 0xfa)), false);
});

test('A dirty image and one with snapshots are read, with a note for each', () => {
  const header = parse({ features: 1n, l1: [null], edit: (view) => view.setUint32(60, 2) });
  assert.match(header.notes[0] ?? '', /not closed cleanly/);
  assert.match(header.notes[1] ?? '', /2 internal snapshots/);
});

const ascii = (text: string) => new TextEncoder().encode(text);
const names = new Uint8Array(96);
names.set([0, 5, ...ascii('time travel')]);
names.set([1, 6, ...ascii('compatible, another bitmap')], 48);

const refusals: readonly [string, HandMade, FailureCode, RegExp][] = [
  [
    'a backing file, by its name',
    {
      clusterBits: 12,
      l1: [null],
      edit: (view) => {
        view.setBigUint64(8, 1024n);
        view.setUint32(16, 9);
        [...'base\u001b.raw'].forEach((letter, at) => {
          view.setUint8(1024 + at, letter.charCodeAt(0));
        });
      },
    },
    'IMAGE_UNSUPPORTED',
    /a backing file \(base\ufffd\.raw\)/,
  ],
  [
    'a backing file whose name lies elsewhere',
    { l1: [null], edit: (view) => view.setBigUint64(8, 1n << 62n) },
    'IMAGE_UNSUPPORTED',
    /with a backing file,/,
  ],
  [
    'an external data file, by its name',
    { features: 4n, l1: [null], extensions: [{ type: 0x44415441, data: ascii('disk.data') }] },
    'IMAGE_UNSUPPORTED',
    /an external data file \(disk\.data\)/,
  ],
  [
    'an unknown feature, by its name',
    { features: 32n, l1: [null], extensions: [{ type: 0x6803f857, data: names }] },
    'IMAGE_UNSUPPORTED',
    /the unknown feature "time travel" \(bit 5\)/,
  ],
  [
    'an unknown feature without a name',
    { features: 64n, l1: [null], extensions: [{ type: 0x6803f857, data: names }] },
    'IMAGE_UNSUPPORTED',
    /the unknown feature bit 6/,
  ],
  [
    'AES encryption',
    { l1: [null], edit: (view) => view.setUint32(32, 1) },
    'IMAGE_UNSUPPORTED',
    /AES encryption/,
  ],
  [
    'LUKS encryption',
    { l1: [null], edit: (view) => view.setUint32(32, 2) },
    'IMAGE_UNSUPPORTED',
    /LUKS encryption/,
  ],
  [
    'unknown encryption',
    { l1: [null], edit: (view) => view.setUint32(32, 3) },
    'IMAGE_UNSUPPORTED',
    /unknown encryption \(method 3\)/,
  ],
  ['version 1', { version: 1, l1: [null] }, 'IMAGE_UNSUPPORTED', /format version 1/],
  ['version 4', { version: 4, l1: [null] }, 'IMAGE_UNSUPPORTED', /format version 4/],
  ['an image marked as corrupt', { features: 2n, l1: [null] }, 'IMAGE_CORRUPT', /marks it as corrupt/],
  [
    'unknown compression',
    { features: 8n, compressionType: 2, l1: [null] },
    'IMAGE_UNSUPPORTED',
    /unknown compression \(type 2\)/,
  ],
  [
    'a compression type without its feature bit',
    { compressionType: 1, l1: [null] },
    'IMAGE_CORRUPT',
    /contradicts/,
  ],
  ['a compression bit without a type', { features: 8n, l1: [null] }, 'IMAGE_CORRUPT', /contradicts/],
  [
    'clusters of 256 bytes',
    { l1: [null], edit: (view) => view.setUint32(20, 8) },
    'IMAGE_CORRUPT',
    /cluster size is 2\^8/,
  ],
  [
    'clusters of 4 MiB',
    { l1: [null], edit: (view) => view.setUint32(20, 22) },
    'IMAGE_CORRUPT',
    /cluster size is 2\^22/,
  ],
  [
    'subclusters in clusters under 16 KiB',
    { clusterBits: 13, features: 16n, l1: [null] },
    'IMAGE_CORRUPT',
    /too small for subclusters/,
  ],
  [
    'a virtual size that no disk has',
    { l1: [null], virtualSize: 1n << 62n },
    'IMAGE_UNSUPPORTED',
    /a virtual size of 4611686018427387904 bytes/,
  ],
  [
    'a first-level table that is too small',
    { l1: [null], virtualSize: 512n * 65n },
    'IMAGE_CORRUPT',
    /has 1 entries, the disk needs 2/,
  ],
  [
    'a first-level table over 32 MiB',
    { l1: [null], edit: (view) => view.setUint32(36, 2 ** 22 + 1) },
    'IMAGE_UNSUPPORTED',
    /first-level table of 4194305 entries/,
  ],
  [
    'a first-level table off its boundary',
    { l1: [null], edit: (view) => view.setBigUint64(40, 513n) },
    'IMAGE_CORRUPT',
    /lies at byte 513/,
  ],
  [
    'a first-level table over the header',
    { l1: [null], edit: (view) => view.setBigUint64(40, 0n) },
    'IMAGE_CORRUPT',
    /lies at byte 0/,
  ],
  ['a header of odd length', { l1: [null], headerLength: 105 }, 'IMAGE_CORRUPT', /claims 105 bytes/],
  ['a header that is too short', { l1: [null], headerLength: 72 }, 'IMAGE_CORRUPT', /claims 72 bytes/],
  [
    'a header longer than its cluster',
    { l1: [null], edit: (view) => view.setUint32(100, 1024) },
    'IMAGE_CORRUPT',
    /header takes 1024/,
  ],
  [
    'reference counts of 128 bits',
    { l1: [null], edit: (view) => view.setUint32(96, 7) },
    'IMAGE_CORRUPT',
    /refcount/,
  ],
  ['other bytes', { edit: (view) => view.setUint8(0, 0) }, 'IMAGE_CORRUPT', /magic/],
];

for (const [what, made, code, sentence] of refusals) {
  test(`The header refuses ${what}`, async () => {
    const found = await failureOf(() => parse(made));
    assert.equal(found.code, code);
    assert.match(found.message, sentence);
  });
}

test('A header that ends early is a truncated image, at every length', async () => {
  for (const version of [2, 3]) {
    const bytes = handMade({ version, l1: [null] });
    for (let length = 0; length < (version === 2 ? 72 : 112); length++) {
      const found = await failureOf(() => parseHeader(bytes.subarray(0, length), image));
      assert.equal(found.code, 'IMAGE_TRUNCATED', `${length} bytes`);
    }
  }
});

test('Hostile headers give a Failure or bounded numbers, never anything else', () => {
  const base = handMade({
    clusterBits: 10,
    l1: [null],
    extensions: [
      { type: 0x6803f857, data: names },
      { type: 0x44415441, data: ascii('disk.data') },
    ],
  });
  const edit = fc.record({
    at: fc.oneof(fc.nat({ max: 111 }), fc.nat({ max: base.length - 1 })),
    value: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 0xff)),
  });
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 12 }), fc.nat({ max: base.length }), (edits, cut) => {
      const bytes = base.slice(0, edits.length % 3 === 0 ? cut : base.length);
      for (const { at, value } of edits) if (at < bytes.length) bytes[at] = value;
      try {
        const header = parseHeader(bytes, image);
        assert.ok(header.clusterSize >= 512 && header.clusterSize <= 2 ** 21);
        assert.ok(header.l1Entries * 8 <= 2 ** 25);
        assert.ok(Number.isSafeInteger(header.virtualSize) && header.virtualSize >= 0);
        assert.ok(header.l1Entries * header.tableSpan >= header.virtualSize);
      } catch (error) {
        assert.ok(error instanceof Failure, String(error));
        assert.ok(damage.includes(error.code), error.code);
      }
    }),
    { numRuns: 3000 },
  );
});
