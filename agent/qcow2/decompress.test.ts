import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { decompressCluster, zstdFrameLength } from './decompress.ts';
import { parseHeader } from './header.ts';
import { failureOf, handMade, randomBytes } from './testing.ts';

const zlibHeader = parseHeader(handMade({ clusterBits: 16, l1: [null] }), 'disk.qcow2');
const zstdHeader = parseHeader(
  handMade({ clusterBits: 16, features: 8n, compressionType: 1, l1: [null] }),
  'disk.qcow2',
);
const cluster = Buffer.concat([Buffer.alloc(40_000, 'packs well '), randomBytes(25_536, 3)]);
const kinds = [
  { name: 'zlib', header: zlibHeader, pack: (bytes: Uint8Array): Buffer => deflateRawSync(bytes) },
  { name: 'zstd', header: zstdHeader, pack: (bytes: Uint8Array): Buffer => zstdCompressSync(bytes) },
];
const padded = (bytes: Uint8Array, padding: Uint8Array) => Buffer.concat([bytes, padding]);

for (const { name, header, pack } of kinds) {
  const unpack = (bytes: Uint8Array, cut = false) =>
    decompressCluster(bytes, header, 'disk.qcow2', 12_345, cut);

  test(`A ${name} cluster unpacks whatever follows it in its last sector`, async () => {
    const packed = pack(cluster);
    for (const padding of [new Uint8Array(0), new Uint8Array(511), randomBytes(300, 9), packed])
      assert.ok(cluster.equals(await unpack(padded(packed, padding))));
  });

  test(`A ${name} cluster that ends early is corrupt, or truncated where the file was cut`, async () => {
    const packed = pack(cluster);
    for (const length of [0, 1, 4, 7, 100, packed.length - 1]) {
      const part = packed.subarray(0, length);
      const corrupt = await failureOf(() => unpack(part));
      assert.equal(corrupt.code, 'IMAGE_CORRUPT');
      assert.equal(corrupt.details.offset, 12_345);
      assert.equal((await failureOf(() => unpack(part, true))).code, 'IMAGE_TRUNCATED');
    }
  });

  test(`A ${name} cluster of another size is corrupt, and not unpacked beyond a cluster`, async () => {
    const short = await failureOf(() => unpack(pack(cluster.subarray(1))));
    assert.match(short.message, /holds 65535 bytes instead of 65536/);
    const long = await failureOf(() => unpack(pack(Buffer.alloc(1 << 26))));
    assert.match(long.message, /holds more than 65536 bytes/);
  });

  test(`Bytes that are no ${name} are corrupt`, async () => {
    for (const bytes of [randomBytes(2000, 5), new Uint8Array(512).fill(0xff)])
      assert.equal((await failureOf(() => unpack(bytes))).code, 'IMAGE_CORRUPT');
  });
}

test('The end of a zstd frame is found for all frames that zstd writes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 3000 }),
      fc.nat({ max: 200 }),
      fc.record({ checksum: fc.boolean(), size: fc.boolean(), level: fc.integer({ min: -5, max: 19 }) }),
      fc.uint8Array({ maxLength: 40 }),
      (bytes, repeat, { checksum, size, level }, tail) => {
        const content = Buffer.concat(Array.from({ length: repeat + 1 }, () => bytes));
        const frame = zstdCompressSync(content, {
          params: {
            [constants.ZSTD_c_checksumFlag]: Number(checksum),
            [constants.ZSTD_c_contentSizeFlag]: Number(size),
            [constants.ZSTD_c_compressionLevel]: level,
          },
        });
        assert.equal(zstdFrameLength(padded(frame, tail)), frame.length);
        const cut = zstdFrameLength(frame.subarray(0, frame.length - 1));
        assert.ok(cut !== null && cut > frame.length - 1);
      },
    ),
    { numRuns: 200 },
  );
});

test('The walk over a zstd frame ends on any bytes', () => {
  const start = zstdCompressSync(cluster.subarray(0, 100)).subarray(0, 4);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const length = zstdFrameLength(padded(start, bytes));
      assert.ok(length !== null && length > 0);
    }),
    { numRuns: 1000 },
  );
});
