import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import { lz4Unpacker } from './lz4.ts';
import {
  damaged,
  digest,
  failsWith,
  imageBytes,
  missing,
  randomBytes,
  run,
  sampleSizes,
  type UnpackOptions,
  unpackAll,
} from './testing.ts';
import { xxHash32 } from './xxhash32.ts';

const skip = missing('lz4');
const unpack = (stored: Uint8Array, options?: UnpackOptions) =>
  unpackAll(lz4Unpacker('image.lz4'), stored, options);
const pack = (bytes: Uint8Array, ...args: string[]) => run('lz4', ['-c', ...args], bytes);

/** A frame made by hand: descriptor flags, block code and already encoded blocks. */
function frame(flags: number, blockCode: number, fields: Uint8Array, ...blocks: Uint8Array[]): Buffer {
  const descriptor = Buffer.concat([Buffer.from([flags, blockCode << 4]), fields]);
  const checksum = (xxHash32(descriptor) >>> 8) & 0xff;
  const magic = Buffer.from([0x04, 0x22, 0x4d, 0x18]);
  return Buffer.concat([magic, descriptor, Buffer.from([checksum]), ...blocks, Buffer.alloc(4)]);
}

function block(bytes: readonly number[], stored = false): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(bytes.length + (stored ? 0x80000000 : 0));
  return Buffer.concat([header, Buffer.from(bytes)]);
}

const none = new Uint8Array(0);

for (const [name, args] of [
  ['independent 4 MiB blocks', ['-B7']],
  ['linked 64 KiB blocks, all checksums and the size', ['-B4', '-BD', '-BX', '--content-size']],
  ['high compression, linked blocks of 256 KiB', ['-9', '-BD', '-B5']],
  ['no checksum', ['--no-frame-crc']],
] as const) {
  test(`what lz4 packs with ${name} is unpacked byte by byte`, { skip }, async () => {
    for (const size of sampleSizes) {
      for (const image of [imageBytes(size, 3), randomBytes(size)]) {
        const unpacked = await unpack(pack(image, ...args), {
          chunk: [7, 65536, 1, 999],
          slotSize: 4096 * 5,
        });
        assert.equal(digest(unpacked), digest(image));
      }
    }
  });
}

test('stored bytes may arrive one at a time and slots may be tiny', { skip }, async () => {
  const image = imageBytes(40_000);
  assert.equal(digest(await unpack(pack(image, '-BX'), { chunk: 1, slotSize: 1 })), digest(image));
});

test('frames that follow one another are one image, and skippable frames are left out', {
  skip,
}, async () => {
  const first = imageBytes(300_000);
  const second = randomBytes(100_000);
  const skippable = Buffer.concat([Buffer.from([0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from('12345')]);
  const empty = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
  const stored = Buffer.concat([skippable, pack(first, '-B7'), empty, skippable, pack(second, '-B4', '-BD')]);
  assert.equal(digest(await unpack(stored, { chunk: 13 })), digest(Buffer.concat([first, second])));
});

test('a long run is one match that overlaps its own copy', { skip }, async () => {
  for (const pattern of [
    '\0',
    'ab',
    'abc',
    'abcdefg',
    'abcdefgh',
    'abcdefghijklmnopqrstuvwxyz012345678901234567',
  ]) {
    const image = Buffer.alloc(200_001, pattern);
    assert.equal(digest(await unpack(pack(image))), digest(image));
  }
});

test('a frame cut off anywhere is truncated', { skip }, async () => {
  const stored = pack(imageBytes(200_000), '-B4', '-BX', '--content-size');
  for (const length of [0, 1, 4, 6, 10, 18, 20, 5000, stored.length - 5, stored.length - 1]) {
    const error = await failsWith(unpack(stored.subarray(0, length)), 'IMAGE_TRUNCATED');
    assert.deepEqual(error.details, { image: 'image.lz4', format: 'lz4', offset: length });
  }
});

test('a flipped bit anywhere never passes for the image', { skip }, async () => {
  const image = imageBytes(70_000);
  for (const args of [
    ['-BX', '--content-size'],
    ['-B4', '-BD'],
  ]) {
    const stored = pack(image, ...args);
    for (let at = 0; at < stored.length; at += at < 30 ? 1 : 611) {
      const codes = ['IMAGE_CORRUPT', 'IMAGE_TRUNCATED', 'IMAGE_UNSUPPORTED'] as const;
      const error = await failsWith(unpack(damaged(stored, at, at % 8)), ...codes);
      if (at >= 30 && args[0] === '-BX' && at < stored.length - 100)
        assert.equal(error.code, 'IMAGE_CORRUPT');
    }
  }
});

test('a damaged content checksum is told with its place', { skip }, async () => {
  const stored = pack(imageBytes(1000));
  const error = await failsWith(unpack(damaged(stored, stored.length - 1)), 'IMAGE_CORRUPT');
  assert.match(error.message, /content checksum differs/);
  assert.equal(error.details.offset, stored.length - 4);
});

test('legacy frames and frames that need a dictionary are refused by name', { skip }, async () => {
  const legacy = await failsWith(unpack(pack(imageBytes(1000), '-l')), 'IMAGE_UNSUPPORTED');
  assert.match(legacy.message, /legacy/);
  const dictionary = frame(0x61, 4, Buffer.from([1, 2, 3, 4]));
  assert.match((await failsWith(unpack(dictionary), 'IMAGE_UNSUPPORTED')).message, /dictionary/);
});

test('bytes after the last frame that are no frame are damage, zeros too', { skip }, async () => {
  for (const tail of [Buffer.alloc(512), Buffer.from('trailing')]) {
    await failsWith(unpack(Buffer.concat([pack(imageBytes(1000)), tail])), 'IMAGE_CORRUPT');
  }
});

test('a content size that does not fit is damage whether it is too small or too large', async () => {
  const size = (bytes: number) => {
    const field = Buffer.alloc(8);
    field.writeBigUInt64LE(BigInt(bytes));
    return field;
  };
  const data = block([0x41, 0x42, 0x43], true);
  assert.equal((await unpack(frame(0x68, 4, size(3), data))).toString(), 'ABC');
  await failsWith(unpack(frame(0x68, 4, size(2), data)), 'IMAGE_CORRUPT');
  await failsWith(unpack(frame(0x68, 4, size(4), data)), 'IMAGE_CORRUPT');
});

test('blocks may be empty', async () => {
  const stored = frame(0x60, 4, none, block([], true), block([0x00]), block([0x41], true));
  assert.equal((await unpack(stored)).toString(), 'A');
});

test('hostile blocks are damage and nothing else', async () => {
  const cases: Record<string, Buffer> = {
    'match before the start of the frame': block([0x10, 0x41, 0x02, 0x00, 0x00]),
    'match at distance zero': block([0x10, 0x41, 0x00, 0x00, 0x00]),
    'literals beyond the stored bytes': block([0xf0, 0xff, 0xff, 0x00, 0x41]),
    'length bytes without an end': block([0xf0, 0xff, 0xff]),
    'match larger than the block may be': block([0x1f, 0x41, 0x01, 0x00, ...new Array(300).fill(255), 0, 0]),
    'no offset': block([0x10, 0x41, 0x01]),
    'end after a match': block([0x10, 0x41, 0x01, 0x00]),
  };
  for (const [name, data] of Object.entries(cases)) {
    for (const flags of [0x60, 0x40]) {
      await assert.doesNotReject(failsWith(unpack(frame(flags, 4, none, data)), 'IMAGE_CORRUPT'), name);
    }
  }
  const tooLarge = Buffer.from([0xff, 0xff, 0xff, 0x7f]);
  await failsWith(unpack(frame(0x60, 4, none, tooLarge)), 'IMAGE_CORRUPT');
});

test('a match may not reach into another independent block or another frame', async () => {
  const data = block([0x41, 0x42, 0x43], true);
  const reaching = block([0x00, 0x02, 0x00, 0x10, 0x44]);
  assert.equal((await unpack(frame(0x40, 4, none, data, reaching))).toString(), 'ABCBCBCD');
  await failsWith(unpack(frame(0x60, 4, none, data, reaching)), 'IMAGE_CORRUPT');
  const twoFrames = Buffer.concat([frame(0x40, 4, none, data), frame(0x40, 4, none, reaching)]);
  await failsWith(unpack(twoFrames), 'IMAGE_CORRUPT');
});

test('no stored bytes make the unpacker hang, crash or overflow', async () => {
  const starts = [none, Buffer.from([0x04, 0x22, 0x4d, 0x18]), frame(0x60, 4, none).subarray(0, 7)];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 300 }), async (start, tail) => {
      await unpack(Buffer.concat([start, tail]), { chunk: 11, limit: 1 << 26 }).catch((error: unknown) => {
        assert.ok(error instanceof Failure, String(error));
      });
    }),
    { numRuns: 500 },
  );
});
