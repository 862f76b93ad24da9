import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { letGo } from './letgo.ts';
import { openQcow2 } from './qcow2.ts';
import { streamQcow2 } from './stream.ts';
import { BytesReader, compressed, handMade, randomBytes, streamOf, tablesFrom } from './testing.ts';

const image = 'disk.qcow2';
const MiB = 1 << 20;
const size = 65_536;

test('Memory is freed at once, and only by who has it alone', () => {
  const own = new Uint8Array(2 * size);
  letGo(own);
  assert.ok(own.buffer.detached);
  letGo(own);
  const pooled = Buffer.from('a part of the pool of all Buffers');
  letGo(pooled);
  assert.equal(pooled.toString(), 'a part of the pool of all Buffers');
  const shared = new Uint8Array(new SharedArrayBuffer(size)).fill(7);
  letGo(shared);
  assert.equal(shared[size - 1], 7);
});

/** 64 MiB of disk in two packed clusters, by turns: each must be read and unpacked anew. */
const clusters = [1, 2].map((seed) =>
  Buffer.concat([randomBytes(60_000, seed), Buffer.alloc(size - 60_000)]),
);
const entries = 1024;
const packedImage = handMade({
  clusterBits: 16,
  l1: [BigInt(tablesFrom)],
  virtualSize: BigInt(entries * size),
  tables: [
    Array.from({ length: entries }, (_, index) => {
      const host = (tablesFrom + 1 + (index % 2)) * size;
      return compressed | (BigInt(size / 512 - 1) << 54n) | BigInt(host);
    }),
  ],
  clusters: Object.fromEntries(
    clusters.map((cluster, index) => [tablesFrom + 1 + index, deflateRawSync(cluster)]),
  ),
  totalClusters: tablesFrom + 3,
});

/** What is under way at one time takes about 5 MiB; with garbage it is 16 and more. */
const limit = 10 * MiB;

/** Says how much memory buffers take more than before. */
function growth(): () => number {
  const before = process.memoryUsage().arrayBuffers;
  return () => process.memoryUsage().arrayBuffers - before;
}

test('Unpacking clusters leaves no memory to the garbage collector, read in any order', async () => {
  const disk = await openQcow2(new BytesReader(packedImage), image);
  const into = new Uint8Array(4 * MiB);
  const grown = growth();
  for (let offset = 0; offset < disk.size; offset += into.length) {
    await disk.read(into, offset);
    for (const [index, cluster] of clusters.entries())
      assert.ok(cluster.equals(into.subarray(index * size, (index + 1) * size)));
    assert.ok(grown() < limit, `${grown()} bytes after ${offset} of the disk`);
  }
});

test('Unpacking clusters leaves no memory to the garbage collector, as a stream', async () => {
  const grown = growth();
  let given = 0;
  await streamQcow2(streamOf(packedImage), image, {
    begin: async () => {},
    data: async (offset, bytes) => {
      const cluster = clusters[(offset / size) % 2];
      assert.ok(cluster?.equals(bytes), `the cluster at ${offset}`);
      given += bytes.length;
      assert.ok(grown() < limit, `${grown()} bytes after ${given} of the disk`);
    },
    zero: async () => {},
  });
  assert.equal(given, entries * size);
});
