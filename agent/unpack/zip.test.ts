import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import type { ZipEntry } from '../inspect/zipentry.ts';
import {
  damaged,
  digest,
  failsWith,
  imageBytes,
  randomBytes,
  sampleSizes,
  type UnpackOptions,
  unpackAll,
} from './testing.ts';
import { deflateUnpacker } from './zip.ts';

interface Packed {
  readonly entry: ZipEntry;
  readonly stored: Buffer;
}

function pack(image: Buffer, method: ZipEntry['method']): Packed {
  const stored = method === 'deflate' ? deflateRawSync(image) : image;
  const known = { name: 'disk.img', method, dataOffset: 0 };
  const entry = { ...known, compressedSize: stored.length, size: image.length, crc32: crc32(image) };
  return { entry, stored };
}

const unpack = ({ entry, stored }: Packed, options?: UnpackOptions) =>
  unpackAll(deflateUnpacker('image.zip', entry), stored, options);

for (const method of ['deflate', 'store'] as const) {
  test(`a ${method} entry is unpacked byte by byte`, async () => {
    for (const size of sampleSizes) {
      for (const image of [imageBytes(size), randomBytes(size)]) {
        const unpacked = await unpack(pack(image, method), {
          chunk: [7, 65536, 1, 12345],
          slotSize: 4096 * 5,
        });
        assert.equal(digest(unpacked), digest(image));
      }
    }
  });

  test(`a ${method} entry may arrive one byte at a time and into tiny slots`, async () => {
    const image = imageBytes(10_000);
    assert.equal(digest(await unpack(pack(image, method), { chunk: 1, slotSize: 3 })), digest(image));
  });

  test(`a ${method} entry cut off anywhere is truncated`, async () => {
    const { entry, stored } = pack(imageBytes(200_000), method);
    for (const length of [0, 1, 100, stored.length >> 1, stored.length - 1]) {
      await failsWith(unpack({ entry, stored: stored.subarray(0, length) }), 'IMAGE_TRUNCATED');
    }
  });

  test(`a flipped bit in a ${method} entry never passes for the image`, async () => {
    const { entry, stored } = pack(imageBytes(60_000), method);
    for (let at = 0; at < stored.length; at += Math.ceil(stored.length / 200)) {
      const packed = { entry, stored: damaged(stored, at, at % 8) };
      await failsWith(unpack(packed), 'IMAGE_CORRUPT', 'IMAGE_TRUNCATED');
    }
  });

  test(`a ${method} entry that holds more, less or other bytes than its directory says is refused`, async () => {
    const { entry, stored } = pack(imageBytes(5000), method);
    await failsWith(unpack({ entry: { ...entry, size: 4999 }, stored }), 'IMAGE_CORRUPT');
    await failsWith(unpack({ entry: { ...entry, size: 5001 }, stored }), 'IMAGE_TRUNCATED');
    const error = await failsWith(
      unpack({ entry: { ...entry, crc32: entry.crc32 ^ 1 }, stored }),
      'IMAGE_CORRUPT',
    );
    assert.match(error.message, /CRC-32/);
  });
}

test('an entry that unpacks to far more than it says is stopped at once', async () => {
  const { entry, stored } = pack(Buffer.alloc(40_000_000), 'deflate');
  await failsWith(unpack({ entry: { ...entry, size: 100 }, stored }, { limit: 100 }), 'IMAGE_CORRUPT');
});

test('no stored bytes make the unpacker hang, crash or overflow', async () => {
  const { entry, stored } = pack(imageBytes(3000), 'deflate');
  await fc.assert(
    fc.asyncProperty(fc.nat(200), fc.uint8Array({ maxLength: 200 }), async (length, tail) => {
      const packed = { entry, stored: Buffer.concat([stored.subarray(0, length), tail]) };
      await unpack(packed, { limit: entry.size }).catch((error: unknown) => {
        assert.ok(error instanceof Failure && error.code !== 'INTERNAL', String(error));
      });
    }),
    { numRuns: 200 },
  );
});
