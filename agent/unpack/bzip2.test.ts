import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import { bzip2Unpacker } from './bzip2.ts';
import {
  CollectingWriter,
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

const skip = missing('bzip2');
/** Unpacks in this thread, which is much quicker than to start workers for every few bytes. */
const unpack = (stored: Uint8Array, options?: UnpackOptions) => unpackWith(0, stored, options);
const unpackWith = (workers: number, stored: Uint8Array, options?: UnpackOptions) =>
  unpackAll(bzip2Unpacker('image.bz2', { workers }), stored, options);
const pack = (bytes: Uint8Array, level = 9) => run('bzip2', ['-c', `-${level}`], bytes);

for (const level of [1, 9]) {
  test(`what bzip2 -${level} packs is unpacked byte by byte`, { skip }, async () => {
    for (const size of sampleSizes) {
      for (const image of level === 9 ? [imageBytes(size, 5), randomBytes(size)] : [imageBytes(size, 5)]) {
        const unpacked = await unpack(pack(image, level), {
          chunk: [65536, 7, 1, 12345],
          slotSize: 4096 * 5,
        });
        assert.equal(digest(unpacked), digest(image));
      }
    }
  });
}

test('stored bytes may arrive one at a time and slots may be tiny', { skip }, async () => {
  const image = imageBytes(30_000);
  assert.equal(digest(await unpack(pack(image), { chunk: 1, slotSize: 1 })), digest(image));
});

test('workers give the same bytes and the same failures, however many there are', { skip }, async () => {
  const image = imageBytes(2_500_000, 9);
  const stored = pack(image, 1);
  for (const workers of [1, 3]) assert.equal(digest(await unpackWith(workers, stored)), digest(image));
  await failsWith(unpackWith(2, damaged(stored, stored.length >> 1)), 'IMAGE_CORRUPT');
  await failsWith(unpackWith(2, stored.subarray(0, stored.length - 9)), 'IMAGE_TRUNCATED');
});

const workersRun = () => process.getActiveResourcesInfo().includes('MessagePort');

test('an image of one block needs no worker', { skip }, async () => {
  const image = imageBytes(400_000);
  const unpacker = bzip2Unpacker('image.bz2', { workers: 2 });
  const out = new CollectingWriter();
  try {
    await unpacker.push(pack(image), out);
    await unpacker.finish(out);
    assert.ok(!workersRun());
  } finally {
    await unpacker.close();
  }
  assert.equal(digest(out.bytes()), digest(image));
});

test('workers end with the unpacker, also when it is closed halfway', { skip }, async () => {
  const unpacker = bzip2Unpacker('image.bz2', { workers: 2 });
  try {
    await unpacker.push(pack(imageBytes(1_500_000), 1), new CollectingWriter());
    assert.ok(workersRun());
  } finally {
    await unpacker.close();
  }
  assert.ok(!workersRun());
});

test('streams that follow one another are one image, empty ones too', { skip }, async () => {
  const parts = [imageBytes(300_000), Buffer.alloc(0), randomBytes(250_000), imageBytes(10), Buffer.alloc(0)];
  const stored = Buffer.concat(parts.map((part, index) => pack(part, 1 + (index % 9))));
  assert.equal(digest(await unpack(stored, { chunk: 1001 })), digest(Buffer.concat(parts)));
});

test('runs of every length around the limits of the coding come out right', { skip }, async () => {
  const lengths = [1, 2, 3, 4, 5, 6, 254, 255, 256, 258, 259, 260, 510, 1000, 70_000];
  const image = Buffer.concat(
    lengths.flatMap((length) => [Buffer.alloc(length, length), Buffer.from([length + 1])]),
  );
  assert.equal(digest(await unpack(pack(image), { slotSize: 100 })), digest(image));
});

test('a few stored bytes that hold many zeros are written in pieces', { skip }, async () => {
  const image = Buffer.alloc(60_000_000);
  const stored = pack(image);
  assert.ok(stored.length < 1000);
  assert.equal(digest(await unpack(stored)), digest(image));
});

test('an image cut off anywhere is truncated', { skip }, async () => {
  const stored = pack(imageBytes(600_000, 2), 1);
  const places = [0, 1, 3, 4, 5, 9, 10, 14, 20, 60, 1000, 50_000, stored.length >> 1, stored.length - 12];
  for (const length of [...places, stored.length - 7, stored.length - 4, stored.length - 1]) {
    const error = await failsWith(unpack(stored.subarray(0, length)), 'IMAGE_TRUNCATED');
    assert.deepEqual(error.details, { image: 'image.bz2', format: 'bz2', offset: length });
  }
  await failsWith(unpack(Buffer.concat([stored, stored.subarray(0, 3)])), 'IMAGE_TRUNCATED');
});

test('a flipped bit anywhere never passes for the image', { skip }, async () => {
  const image = imageBytes(250_000, 4);
  const stored = pack(image, 1);
  const step = Math.floor(stored.length / 60);
  const places = new Set([0, 1, 2, 4, 5, 9, 10, 13, 14, 17, 18, 19, 30, 40, 50]);
  for (let at = 60; at < stored.length - 20; at += step) places.add(at);
  for (let at = stored.length - 11; at < stored.length - 1; at++) places.add(at);
  for (const at of places) {
    await failsWith(
      unpack(damaged(stored, at, at % 7), { slotSize: 65536 }),
      'IMAGE_CORRUPT',
      'IMAGE_UNSUPPORTED',
    );
  }
});

test('damage is told with the block it is in', { skip }, async () => {
  const stored = pack(imageBytes(600_000, 2), 1);
  const error = await failsWith(unpack(damaged(stored, stored.length >> 1)), 'IMAGE_CORRUPT');
  const { offset } = error.details;
  assert.ok(typeof offset === 'number' && offset > 4 && offset < stored.length >> 1);
  const early = await failsWith(unpack(damaged(stored, 0)), 'IMAGE_CORRUPT');
  assert.match(early.message, /does not start with a stream/);
  const checksum = await failsWith(unpack(damaged(stored, 11)), 'IMAGE_CORRUPT');
  assert.match(checksum.message, /checksum differs/);
});

test('bytes after the last stream that are no stream are damage, zeros too', { skip }, async () => {
  const stored = pack(imageBytes(5000));
  for (const tail of [Buffer.alloc(512), Buffer.from('trailing'), Buffer.from('BZh0123456789')]) {
    await failsWith(unpack(Buffer.concat([stored, tail])), 'IMAGE_CORRUPT');
  }
});

test('randomised blocks are refused by name', { skip }, async () => {
  const stored = pack(imageBytes(5000));
  const error = await failsWith(unpack(damaged(stored, 14, 7)), 'IMAGE_UNSUPPORTED');
  assert.match(error.message, /randomised/);
});

test('a block that is larger than its stream announces is damage', { skip }, async () => {
  const stored = pack(randomBytes(500_000));
  stored[3] = 0x31;
  await failsWith(unpack(stored), 'IMAGE_CORRUPT');
});

const blockMagic = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
const endMagic = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90];

test('bits inside a block that look like the start or end of a block mislead nobody', { skip }, async () => {
  const noise = [...randomBytes(20_000, 7)].map((byte) => 2 + (byte % 250));
  for (const magics of [[blockMagic], [endMagic], [blockMagic, endMagic, blockMagic, blockMagic]]) {
    const symbols = magics.flatMap((magic, index) => [...noise.slice(index * 100), ...magic]);
    const stored = handMadeStream([symbols, noise, symbols]);
    const expected = run('bzip2', ['-dc'], stored);
    assert.ok(expected.length > symbols.length * 2);
    for (const chunk of [1 << 16, 997])
      assert.equal(digest(await unpack(stored, { chunk })), digest(expected));
  }
});

test('a block made of false magics is unpacked all the same', { skip }, async () => {
  const symbols = Array.from({ length: 60_000 }, (_, at) => blockMagic[at % 6] ?? 0);
  const stored = handMadeStream([symbols, symbols]);
  assert.equal(digest(await unpack(stored)), digest(run('bzip2', ['-dc'], stored)));
});

test('no stored bytes make the unpacker hang, crash or overflow', { skip }, async () => {
  const good = pack(imageBytes(3000));
  const start = fc.constantFrom(0, 3, 4, 10, 14, 18, 40, 100, good.length - 12);
  await fc.assert(
    fc.asyncProperty(start, fc.uint8Array({ maxLength: 200 }), async (length, tail) => {
      const stored = Buffer.concat([good.subarray(0, length), tail]);
      await unpack(stored, { limit: 1 << 27 }).catch((error: unknown) => {
        assert.ok(error instanceof Failure && error.code !== 'INTERNAL', String(error));
      });
    }),
    { numRuns: 60 },
  );
});

test('endless stored bytes without a magic are refused, not collected', { skip }, async () => {
  const stored = Buffer.concat([pack(imageBytes(3000)).subarray(0, 30), Buffer.alloc(9 << 20, 0x55)]);
  for (const workers of [0, 1])
    await failsWith(unpackWith(workers, stored, { chunk: 1 << 20 }), 'IMAGE_CORRUPT');
});

/** A stream of blocks that are given by their symbols, each coded in 8 bits, so that any bits can be placed. */
function handMadeStream(blocks: readonly (readonly number[])[]): Buffer {
  const bits: string[] = [];
  const put = (value: number, count: number) => bits.push(value.toString(2).padStart(count, '0'));
  const bytes = (values: readonly number[]) => {
    for (const value of values) put(value, 8);
  };
  bytes([0x42, 0x5a, 0x68, 0x39]);
  let combined = 0;
  for (const symbols of blocks) {
    const crc = crcOfSymbols(symbols);
    combined = (((combined << 1) | (combined >>> 31)) ^ crc) >>> 0;
    bytes(blockMagic);
    put(crc, 32);
    put(0, 1);
    put(0, 24);
    // Bytes 0 to 253 occur, which with two runs and the end makes 256 symbols.
    put(0xffff, 16);
    for (let range = 0; range < 15; range++) put(0xffff, 16);
    put(0xfffc, 16);
    const selectors = Math.ceil((symbols.length + 1) / 50);
    put(2, 3);
    put(selectors, 15);
    put(0, selectors);
    for (let table = 0; table < 2; table++) {
      put(8, 5);
      put(0, 256);
    }
    bytes(symbols);
    put(255, 8);
  }
  bytes(endMagic);
  put(combined, 32);
  const all = bits.join('');
  const padded = all.padEnd(Math.ceil(all.length / 8) * 8, '0');
  return Buffer.from(padded.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}

/** Checksum of what a block of `symbols` unpacks to, by the book and slowly. */
function crcOfSymbols(symbols: readonly number[]): number {
  const order = Array.from({ length: 254 }, (_, byte) => byte);
  const last: number[] = [];
  let weight = 1;
  for (const symbol of symbols) {
    if (symbol <= 1) {
      for (let more = weight << symbol; more > 0; more--) last.push(order[0] ?? 0);
      weight *= 2;
      continue;
    }
    weight = 1;
    const [byte = 0] = order.splice(symbol - 1, 1);
    order.unshift(byte);
    last.push(byte);
  }
  const sorted = last.map((byte, at) => ({ byte, at })).sort((a, b) => a.byte - b.byte || a.at - b.at);
  let crc = -1;
  const add = (byte: number) => {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
  };
  let place = 0;
  let before = -1;
  let equal = 0;
  for (let count = 0; count < sorted.length; count++) {
    const { byte, at } = sorted[place] ?? { byte: 0, at: 0 };
    place = at;
    if (equal === 4) {
      for (let more = byte; more > 0; more--) add(before);
      before = -1;
      equal = 0;
      continue;
    }
    equal = byte === before ? equal + 1 : 1;
    before = byte;
    add(byte);
  }
  return ~crc >>> 0;
}
