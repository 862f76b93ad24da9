import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { Failure, type FailureCode } from '../../shared/failure.ts';
import { openQcow2 } from './qcow2.ts';
import { streamQcow2 } from './stream.ts';
import {
  BytesReader,
  CollectingSink,
  compressed,
  copied,
  damage,
  type Entry,
  failureOf,
  type HandMade,
  handMade,
  randomBytes,
  readAll,
  streamOf,
} from './testing.ts';

const image = 'disk.qcow2';
const filled = (value: number, size = 512) => new Uint8Array(size).fill(value);
const one = (entry: Entry, more: HandMade = {}): HandMade => ({
  l1: [2n],
  tables: [[entry]],
  clusters: { 3: filled(1) },
  ...more,
});
const wide = (entry: readonly [bigint, bigint]): HandMade =>
  one(entry, { clusterBits: 14, features: 16n, clusters: { 3: filled(1, 1 << 14) } });

const cases: readonly [string, HandMade, FailureCode][] = [
  ['a first-level entry with reserved low bits', { l1: [2n], edit: set(512, 1024n | 1n) }, 'IMAGE_CORRUPT'],
  ['a first-level entry with reserved high bits', { l1: [2n], edit: set(512, 1n << 58n) }, 'IMAGE_CORRUPT'],
  [
    'a second-level table off its boundary',
    { clusterBits: 10, l1: [2n], edit: set(1024, 2560n), totalClusters: 6 },
    'IMAGE_CORRUPT',
  ],
  ['a first-level table that is its own second-level table', { l1: [1n] }, 'IMAGE_CORRUPT'],
  ['two first-level entries with one table', { l1: [2n, 2n], tables: [[]] }, 'IMAGE_CORRUPT'],
  ['a second-level table beyond the file', { l1: [99n] }, 'IMAGE_TRUNCATED'],
  ['a second-level table at 2^55', { l1: [1n << 46n] }, 'IMAGE_TRUNCATED'],
  [
    'a first-level table beyond the file',
    { l1: [null], edit: (view) => view.setBigUint64(40, 1n << 40n) },
    'IMAGE_TRUNCATED',
  ],
  [
    'a first-level table that claims 8 MiB',
    {
      l1: [null],
      edit: (view) => {
        view.setUint32(36, 2 ** 20);
        view.setBigUint64(24, 1n << 35n);
      },
    },
    'IMAGE_TRUNCATED',
  ],
  ['a cluster with reserved low bits', one(1536n | 2n), 'IMAGE_CORRUPT'],
  ['a cluster with reserved high bits', one(1536n | (1n << 60n)), 'IMAGE_CORRUPT'],
  [
    'a cluster off its boundary',
    { clusterBits: 10, l1: [2n], tables: [[copied | 3584n]], totalClusters: 9 },
    'IMAGE_CORRUPT',
  ],
  ['a cluster beyond the file', one(copied | 2048n), 'IMAGE_TRUNCATED'],
  ['a cluster at 2^55', one(copied | (1n << 55n)), 'IMAGE_TRUNCATED'],
  ['a zero cluster in version 2', one(1n, { version: 2 }), 'IMAGE_CORRUPT'],
  ['a compressed cluster over the header', one(compressed), 'IMAGE_CORRUPT'],
  ['a compressed cluster beyond the file', one(compressed | 2048n), 'IMAGE_TRUNCATED'],
  ['a compressed cluster at 2^60', one(compressed | (1n << 60n)), 'IMAGE_TRUNCATED'],
  ['a subcluster that is both data and zeros', wide([3n << 14n, (1n << 32n) | 1n]), 'IMAGE_CORRUPT'],
  ['a subcluster with data and no place', wide([0n, 1n]), 'IMAGE_CORRUPT'],
  ['a zero cluster bit beside subclusters', wide([(3n << 14n) | 1n, 1n]), 'IMAGE_CORRUPT'],
];

function set(at: number, value: bigint): (view: DataView) => void {
  return (view) => view.setBigUint64(at, value);
}

const ignoring = { begin: async () => {}, data: async () => {}, zero: async () => {} };

for (const [what, made, code] of cases) {
  test(`Tables with ${what} are ${code === 'IMAGE_CORRUPT' ? 'corrupt' : 'truncated'}`, async () => {
    const bytes = handMade(made);
    const reader = new BytesReader(bytes);
    const read = async () => {
      const opened = await openQcow2(reader, image);
      for await (const _extent of opened.extents());
    };
    assert.equal((await failureOf(read)).code, code);
    assert.ok(reader.largest <= 2 ** 15, 'nothing large was asked for');
    const streamed = await failureOf(() => streamQcow2(streamOf(bytes), image, ignoring));
    assert.equal(streamed.code, code);
  });
}

test('A table that names itself as data is read as the bytes it has', async () => {
  const bytes = handMade({ l1: [2n], tables: [[copied | 1024n, copied | 512n, copied | 1024n]] });
  const disk = await readAll(await openQcow2(new BytesReader(bytes), image));
  assert.ok(disk.subarray(0, 512).equals(bytes.subarray(1024, 1536)));
  assert.ok(disk.subarray(512, 1024).equals(bytes.subarray(512, 1024)));
  assert.ok(disk.subarray(1024, 1536).equals(bytes.subarray(1024, 1536)));
});

test('A compressed cluster that holds rubbish is named by its place', async () => {
  const bytes = handMade(one(compressed | 1536n, { clusters: { 3: filled(0xff) } }));
  const opened = await openQcow2(new BytesReader(bytes), image);
  const found = await failureOf(() => readAll(opened));
  assert.equal(found.code, 'IMAGE_CORRUPT');
  assert.equal(found.details.offset, 1536);
});

/** An image with everything: data, zeros, holes, packed clusters that share sectors, two tables. */
function base(clusterBits: number, subclusters: boolean): Uint8Array {
  const size = 2 ** clusterBits;
  const packed = [deflateRawSync(filled(7, size)), deflateRawSync(randomBytes(size, 3).fill(5, 200))];
  const shared = Buffer.concat(packed);
  const countAt = BigInt(62 - (clusterBits - 8));
  const firstPacked = BigInt(9 * size);
  const secondPacked = firstPacked + BigInt(packed[0]?.length ?? 0);
  const extra = BigInt(Math.floor((Number(secondPacked % 512n) + (packed[1]?.length ?? 0) - 1) / 512));
  const place = (cluster: number) => copied | BigInt(cluster * size);
  const entry = (plain: bigint, bitmap: bigint): Entry => (subclusters ? [plain, bitmap] : plain);
  const table = [
    entry(place(5), 0xffffffffn),
    entry(place(4), 0x5555_0000_0000_aaaan),
    entry(subclusters ? 0n : 1n, 0n),
    entry(0n, 0xffff_0000_0000_0000n),
    entry(compressed | firstPacked, 0n),
    entry(compressed | (extra << countAt) | secondPacked, 0n),
    entry(place(6), 0xffffffffn),
  ];
  return handMade({
    clusterBits,
    features: subclusters ? 16n : 0n,
    l1: [2n, null, 3n],
    tables: [table, [entry(place(7), 0xffff0000n), entry(place(8), 0x0000ffffn)]],
    clusters: {
      4: randomBytes(size, 4),
      5: randomBytes(size, 5),
      6: randomBytes(size, 6),
      7: randomBytes(size, 7),
      8: randomBytes(size, 8),
      9: shared,
    },
    totalClusters: 12,
  });
}

const bases = [base(9, false), base(12, false), base(14, true)];

test('The images that are mutated below are sound, and stream as they are read', async () => {
  for (const bytes of bases) {
    const disk = await readAll(await openQcow2(new BytesReader(bytes), image));
    const sink = new CollectingSink();
    await streamQcow2(streamOf(bytes, 777), image, sink);
    assert.ok(sink.complete);
    assert.ok(sink.disk.equals(disk));
    assert.ok(disk.includes(Buffer.alloc(400, 7)), 'the packed cluster is there');
  }
});

const mutation = fc.record({
  bytes: fc.constantFrom(...bases),
  edits: fc.array(
    fc.record({
      // Header, first-level table and second-level tables of each base.
      at: fc.oneof(fc.nat({ max: 112 }), fc.nat({ max: 600 }), fc.double({ min: 0, max: 0.35, noNaN: true })),
      value: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 0x40, 0x80, 0xc0, 0xff)),
    }),
    { maxLength: 6 },
  ),
  keep: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
});

function mutate({ bytes, edits, keep }: typeof mutation extends fc.Arbitrary<infer Value> ? Value : never) {
  const changed = bytes.slice(0, Math.ceil(bytes.length * keep));
  for (const { at, value } of edits) {
    const place = Number.isInteger(at) ? at : Math.floor(at * bytes.length);
    if (place < changed.length) changed[place] = value;
  }
  return changed;
}

function expectDamage(error: unknown, more: readonly FailureCode[] = []): void {
  assert.ok(error instanceof Failure, error instanceof Error ? error.stack : String(error));
  assert.ok([...damage, ...more].includes(error.code), error.code);
}

const readLimit = 2 ** 23;

/** The disk, or null when the image is damaged or too large to compare. */
async function readMutated(bytes: Uint8Array): Promise<Buffer | null> {
  const reader = new BytesReader(bytes);
  try {
    const opened = await openQcow2(reader, image);
    let count = 0;
    for await (const extent of opened.extents()) {
      if (++count > 5000) break;
      await opened.read(new Uint8Array(Math.min(extent.length, 5000)), extent.offset);
    }
    return opened.size <= readLimit ? await readAll(opened) : null;
  } catch (error) {
    expectDamage(error);
    return null;
  } finally {
    assert.ok(reader.largest <= 2 ** 22, `asked for ${reader.largest} bytes at once`);
  }
}

test('Mutated and cut images read by seek give a Failure or a disk, never anything else', async () => {
  await fc.assert(
    fc.asyncProperty(mutation, async (mutated) => {
      await readMutated(mutate(mutated));
    }),
    { numRuns: 1500 },
  );
});

class LimitedSink extends CollectingSink {
  override async begin(header: { readonly virtualSize: number }): Promise<void> {
    if (header.virtualSize > readLimit) throw new Failure('CANCELLED', {});
    await super.begin(header);
  }
}

test('Mutated and cut images give as a stream what they give by seek, or a Failure', async () => {
  await fc.assert(
    fc.asyncProperty(mutation, fc.integer({ min: 1, max: 20_000 }), async (mutated, chunk) => {
      const bytes = mutate(mutated);
      const sink = new LimitedSink();
      try {
        await streamQcow2(streamOf(bytes, chunk), image, sink);
      } catch (error) {
        expectDamage(error, ['IMAGE_NOT_STREAMABLE', 'CANCELLED']);
        return;
      }
      assert.ok(sink.complete);
      const disk = await readMutated(bytes);
      assert.ok(disk !== null && sink.disk.equals(disk));
    }),
    { numRuns: 700 },
  );
});
