import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { failure } from '../../shared/failure.ts';
import type { SourceStream } from '../source/source.ts';
import { fixtures, withFixture } from './fixtures.ts';
import { streamQcow2 } from './stream.ts';
import {
  CollectingSink,
  compressed,
  copied,
  failureOf,
  handMade,
  randomBytes,
  skipWithoutQemu,
  streamOf,
} from './testing.ts';

const image = 'disk.qcow2';

for (const fixture of fixtures) {
  test(`An image with ${fixture.name} streams as qemu-img converts it`, {
    skip: skipWithoutQemu,
  }, async () => {
    await withFixture(fixture, async (file, raw) => {
      const sink = new CollectingSink();
      await streamQcow2(streamOf(await readFile(file)), file, sink);
      assert.ok(sink.disk.equals(raw));
      assert.ok(sink.complete, 'every byte was given');
    });
  });
}

const cluster = (seed: number) => randomBytes(65536, seed);

/** Clusters of 64 KiB: the table at `tableAt`, data clusters at `places`, in disk order. */
function spread(tableAt: number, places: readonly number[], totalClusters: number): Uint8Array {
  const table = new DataView(new ArrayBuffer(65536));
  places.forEach((place, index) => {
    table.setBigUint64(index * 8, copied | BigInt(place * 65536));
  });
  const clusters = Object.fromEntries(places.map((place) => [place, cluster(place)]));
  return handMade({
    clusterBits: 16,
    l1: [BigInt(tableAt)],
    virtualSize: BigInt(places.length * 65536),
    clusters: { ...clusters, [tableAt]: new Uint8Array(table.buffer) },
    totalClusters,
  });
}

test('A table behind its data is waited for, up to 64 MiB', async () => {
  const places = [3, 2, 200, 40, 300, 120, 121, 122];
  const sink = new CollectingSink();
  await streamQcow2(streamOf(spread(250, places, 301)), image, sink);
  assert.ok(sink.complete);
  assert.ok(sink.disk.equals(Buffer.concat(places.map(cluster))));
});

test('A table more than 64 MiB behind its data is not streamable, and says what to do', async () => {
  const head = spread(2, [3], 4).slice(0, 2 * 65536);
  new DataView(head.buffer).setBigUint64(65536, copied | (1n << 30n));
  let at = 0;
  let taken = 0;
  const source: SourceStream = {
    read: async (into) => {
      const part = head.subarray(at, at + into.length);
      into.fill(1);
      into.set(part);
      at += into.length;
      taken += into.length;
      return into.length;
    },
    close: async () => {},
  };
  const found = await failureOf(() => streamQcow2(source, image, new CollectingSink()));
  assert.equal(found.code, 'IMAGE_NOT_STREAMABLE');
  assert.match(found.message, /cannot be read as a qcow2 stream because more than 64 MiB/);
  assert.match(found.advice, /to a file first/);
  assert.ok(taken < 80 * 2 ** 20, 'it does not read on');
});

test('Packed clusters may share a cluster, cross clusters, and end where the file ends', async () => {
  const size = 4096;
  const disk = Buffer.alloc(1800 * size);
  const packed: Buffer[] = [];
  for (let index = 0; index < 1800; index++) {
    const content = disk.subarray(index * size, (index + 1) * size);
    content.set(randomBytes(1200 + (index % 700), index + 1));
    packed.push(deflateRawSync(content));
  }
  const tables = 4;
  let place = (2 + tables) * size;
  const entries = packed.map((bytes) => {
    const count = Math.floor(((place % 512) + bytes.length - 1) / 512);
    const entry = compressed | (BigInt(count) << 58n) | BigInt(place);
    place += bytes.length;
    return entry;
  });
  const file = handMade({
    clusterBits: 12,
    l1: Array.from({ length: tables }, (_, index) => BigInt(2 + index)),
    virtualSize: BigInt(disk.length),
    tables: Array.from({ length: tables }, (_, index) => entries.slice(index * 512, (index + 1) * 512)),
    clusters: { [2 + tables]: Buffer.concat(packed) },
    totalClusters: Math.ceil(place / size),
  }).subarray(0, place);
  const sink = new CollectingSink();
  await streamQcow2(streamOf(file), image, sink);
  assert.ok(sink.complete);
  assert.ok(sink.disk.equals(disk));
  const cut = await failureOf(() =>
    streamQcow2(streamOf(file.subarray(0, place - 20)), image, new CollectingSink()),
  );
  assert.equal(cut.code, 'IMAGE_TRUNCATED');
});

test('A stream that ends early is truncated, wherever it ends', async () => {
  const file = spread(2, [3, 5, 4, 6], 7);
  for (let length = 0; length < file.length - 65536 + 1; length += 13_000) {
    const found = await failureOf(() =>
      streamQcow2(streamOf(file.subarray(0, length)), image, new CollectingSink()),
    );
    assert.equal(found.code, 'IMAGE_TRUNCATED', `${length} bytes`);
  }
});

test('The end of the file within its last cluster reads as zeros', async () => {
  const file = spread(2, [4, 3], 5);
  const sink = new CollectingSink();
  await streamQcow2(streamOf(file.subarray(0, file.length - 1000)), image, sink);
  const expected = Buffer.concat([cluster(4).fill(0, 64_536), cluster(3)]);
  assert.ok(sink.disk.equals(expected));
});

test('What the sink and the source reject with ends the reading', async () => {
  const file = spread(2, [3, 4], 5);
  const small = failure('TARGET_TOO_SMALL', { target: 'disk', image, imageBytes: 2, targetBytes: 1 });
  class RefusingSink extends CollectingSink {
    override async begin(): Promise<void> {
      throw small;
    }
  }
  await assert.rejects(streamQcow2(streamOf(file), image, new RefusingSink()), small);
  const dropped = failure('SOURCE_DROPPED', { url: 'http://host/disk', offset: 5, problem: 'reset' });
  let left = 3;
  const inner = streamOf(file, 50_000);
  const failing: SourceStream = {
    ...inner,
    read: async (into) => {
      if (left-- === 0) throw dropped;
      return inner.read(into);
    },
  };
  await assert.rejects(streamQcow2(failing, image, new CollectingSink()), dropped);
});

test('An empty disk of any size is one stretch of zeros', async () => {
  const zeros: [number, number][] = [];
  await streamQcow2(streamOf(handMade({ clusterBits: 21, l1: [null, null], clusters: {} })), image, {
    begin: async () => {},
    data: async () => assert.fail('there is no data'),
    zero: async (offset, length) => {
      zeros.push([offset, length]);
    },
  });
  assert.deepEqual(zeros, [[0, 2 ** 40]]);
});
