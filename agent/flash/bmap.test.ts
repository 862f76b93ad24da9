import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { VerifyMode } from '../../shared/flash/event.ts';
import { createBmap } from '../bmap/create.ts';
import { renderBmap } from '../bmap/render.ts';
import { sparseFile, temporaryDirectory } from '../bmap/testing.ts';
import { MemoryDisk } from '../disk/memory.ts';
import { missing, tool } from '../inspect/testing.ts';
import { listen } from '../source/http-testing.ts';
import { noise, sha256 } from '../source/testing.ts';
import { prepareFlash } from './prepare.ts';
import { diskAt, diskFile, flashImage, neverEnding, plain, type Ran } from './testing.ts';

const MiB = 1 << 20;
const diskSize = 8 * MiB;
const old = 0xa5;

/** Mapped ranges of the image in bytes: its start, a long stretch, short ones that touch, its end. */
const mapped: readonly (readonly [number, number])[] = [
  [0, 8192],
  [MiB + 4096, 3 * MiB + 8192],
  [3 * MiB + 8192, 3 * MiB + 12288],
  [5 * MiB, 5 * MiB + 4096],
  [6 * MiB, 6 * MiB + 777],
];
/** Every byte is noise, so that a byte that was written wrongly is seen. */
const image = noise(6 * MiB + 777, 7);

interface Case {
  readonly stored?: Uint8Array | undefined;
  readonly name?: string;
  readonly map?: string;
  readonly request?: Partial<typeof plain>;
}

function mapOf(bytes: Uint8Array, ranges = mapped, blockSize = 4096): string {
  return renderBmap({
    imageSize: bytes.length,
    blockSize,
    ranges: ranges.map(([start, end]) => ({
      first: start / blockSize,
      last: Math.ceil(end / blockSize) - 1,
      sha256: sha256(bytes.subarray(start, end)),
    })),
  });
}

/** Flashes `stored` by `map` onto a disk that is full of old data. */
async function flashed(context: TestContext, given: Case = {}): Promise<{ ran: Ran; disk: Buffer }> {
  const folder = await temporaryDirectory(context);
  const path = join(folder, given.name ?? 'disk.img');
  await writeFile(path, given.stored ?? image);
  const bmap = join(folder, 'map');
  await writeFile(bmap, given.map ?? mapOf(image));
  const disk = await diskFile(folder, diskSize, old);
  const ran = await flashImage({ image: path, bmap, ...given.request }, [diskAt(disk, diskSize)]);
  return { ran, disk: await readFile(disk) };
}

function arrived({ ran, disk }: { ran: Ran; disk: Uint8Array }, verified = true, ranges = mapped): void {
  const [result] = ran.results;
  assert.equal(result?.failure, null);
  assert.equal(ran.outcome, 'done');
  assert.equal(result?.verified, verified);
  // The first and the last MiB of the disk are written as a whole.
  const inImage = [...ranges, [0, MiB], [diskSize - MiB, diskSize]].map(([start = 0, end = 0]) => [
    Math.min(start, image.length),
    Math.min(end, image.length),
  ]);
  const touched = new Uint8Array(image.length);
  for (const [start, end] of inImage) touched.fill(1, start, end);
  const written = touched.reduce((sum, byte) => sum + byte, 0);
  assert.deepEqual(result?.account, { written, zeroed: 0, skipped: image.length - written });
  // What the map leaves out stays as it was, but for the ends, which are cleared before anything else.
  const expected = new Uint8Array(disk.length).fill(old);
  expected.fill(0, 0, MiB).fill(0, -MiB);
  for (const [start, end] of ranges) expected.set(image.subarray(start, end), start);
  assert.equal(Buffer.compare(disk, expected), 0);
}

function refused({ ran, disk }: { ran: Ran; disk: Uint8Array }, problem: RegExp): void {
  const [result] = ran.results;
  assert.equal(ran.outcome, 'failed');
  assert.equal(result?.failure?.code, 'BMAP_MISMATCH');
  assert.match(result?.failure?.message ?? '', problem);
  assert.equal(result?.verified, false);
  const blank = [disk.subarray(0, MiB), disk.subarray(-MiB)];
  assert.ok(
    blank.every((end) => end.every((byte) => byte === 0)),
    'the disk looks blank',
  );
}

const forms: Readonly<Record<string, Uint8Array>> = {
  'disk.img': image,
  'disk.img.zst': zstdCompressSync(image),
  'disk.img.gz': gzipSync(image, { level: 1 }),
};
const modes: readonly VerifyMode[] = ['full', 'none'];

for (const [name, stored] of Object.entries(forms)) {
  test(`of ${name} only what the map names is written, and the rest of the disk stays as it was`, async (context) => {
    const done = await flashed(context, { stored, name });
    arrived(done);
    // A raw image is read only where it is mapped, so that its digest is not known.
    const raw = name === 'disk.img';
    assert.equal(done.ran.sha256, raw ? null : sha256(stored));
  });

  for (const verify of modes) {
    test(`a range of ${name} with other bytes than the map says fails the flash, verify ${verify}`, async (context) => {
      const other = Uint8Array.from(image);
      other.fill(0, 5 * MiB, 5 * MiB + 1);
      const map = mapOf(other);
      const request = { verify, computeSha256: verify === 'full' };
      const failed = await flashed(context, { stored, name, map, request });
      refused(failed, /bytes 5242880 to 5246975 have sha256 [0-9a-f]{64}, the map says [0-9a-f]{64}/);
    });
  }

  test(`an expected digest of ${name} is checked although not all of it is written`, async (context) => {
    const right = await flashed(context, { stored, name, request: { sha256: sha256(stored) } });
    arrived(right);
    assert.equal(right.ran.sha256, sha256(stored));
    const wrong = await flashed(context, { stored, name, request: { sha256: 'ab'.repeat(32) } });
    assert.equal(wrong.ran.results[0]?.failure?.code, 'DIGEST_MISMATCH');
  });

  test(`a map for an image of another size than ${name} is refused`, async (context) => {
    for (const size of [image.length - 1, image.length + 1, 3 * image.length]) {
      const map = mapOf(noise(size, 7), [[0, 4096]]);
      // A gzip file ends with its size, modulo 4 GiB, so that more may come.
      if (name === 'disk.img.gz' && size > image.length) {
        const failed = await flashed(context, { stored, name, map });
        refused(failed, new RegExp(`for an image of ${size} bytes, this one has`));
        continue;
      }
      const folder = await temporaryDirectory(context);
      const path = join(folder, name);
      await writeFile(path, stored);
      const bmap = join(folder, 'map');
      await writeFile(bmap, map);
      const disk = await diskFile(folder, diskSize, old);
      await assert.rejects(flashImage({ image: path, bmap }, [diskAt(disk, diskSize)]), {
        code: 'BMAP_MISMATCH',
        message: new RegExp(`for an image of ${size} bytes, this one has (at least )?${image.length}`),
      });
      assert.ok(
        (await readFile(disk)).every((byte) => byte === old),
        'nothing was written',
      );
    }
  });
}

test('without read-back and digest the map is still checked and only its ranges are written', async (context) => {
  for (const name of Object.keys(forms)) {
    const request = { verify: 'none', computeSha256: false } as const;
    arrived(await flashed(context, { stored: forms[name], name, request }), false);
  }
});

test('a map without checksums of its ranges serves too', async (context) => {
  const plainMap = renderBmap({
    imageSize: image.length,
    blockSize: 4096,
    ranges: mapped.map(([start, end]) => ({
      first: start / 4096,
      last: Math.ceil(end / 4096) - 1,
      sha256: '',
    })),
  });
  const text = plainMap.replaceAll(' chksum=""', '');
  const zeroed = text.replace(/[0-9a-f]{64}/, '0'.repeat(64));
  const map = zeroed.replace('0'.repeat(64), createHash('sha256').update(zeroed).digest('hex'));
  arrived(await flashed(context, { map }));
  arrived(await flashed(context, { map, stored: forms['disk.img.zst'], name: 'disk.img.zst' }));
});

test('over the network the whole image is read, digested, and written where it is mapped', async (context) => {
  const folder = await temporaryDirectory(context);
  const address = await listen(context, (request, response) => {
    if (request.url === '/disk.img') response.end(image);
    else if (request.url === '/disk.img.bmap') response.end(mapOf(image));
    else response.writeHead(404).end();
  });
  const disk = await diskFile(folder, diskSize, old);
  const ran = await flashImage({ image: `${address}/disk.img`, bmap: 'auto' }, [diskAt(disk, diskSize)]);
  arrived({ ran, disk: await readFile(disk) });
  assert.equal(ran.sha256, sha256(image));
});

test('a map whose size only the end of the image can contradict fails the flash there', async (context) => {
  const address = await listen(context, (_request, response) => {
    response.write(image);
    response.end();
  });
  for (const size of [image.length - 3 * MiB, image.length + MiB]) {
    const folder = await temporaryDirectory(context);
    const bmap = join(folder, 'map');
    await writeFile(bmap, mapOf(noise(size, 7), [[0, 4096]]));
    const disk = await diskFile(folder, diskSize, old);
    const ran = await flashImage({ image: `${address}/disk.img`, bmap }, [diskAt(disk, diskSize)]);
    refused({ ran, disk: await readFile(disk) }, new RegExp(`for an image of ${size} bytes`));
  }
});

test('a map is found beside the image, and its absence is told', async (context) => {
  const folder = await temporaryDirectory(context);
  const path = join(folder, 'disk.img');
  await writeFile(path, image);
  const request = { ...plain, image: path, bmap: 'auto' };
  const without = await prepareFlash(request, neverEnding.signal);
  await without.close();
  assert.equal(without.plan.blockMap, null);
  assert.match(without.notes.join(), /No block map was found beside the image/);
  await writeFile(`${path}.bmap`, mapOf(image));
  await writeFile(`${path}.bmap.asc`, 'x');
  const found = await prepareFlash(request, neverEnding.signal);
  await found.close();
  assert.equal(found.plan.blockMap?.ranges.length, mapped.length);
  assert.match(found.notes.join(), /carries a signature \(disk\.img\.bmap\.asc\), which was not checked/);
});

for (const blockSize of [512, 4096]) {
  for (const unit of [512, 1000]) {
    test(`blocks of ${unit} bytes fit a disk with sectors of ${blockSize}`, async (context) => {
      const ranges = [
        [unit, 3 * unit],
        [1049 * unit, 5 * 1049 * unit],
        [5300 * unit, 5301 * unit],
        [5301 * unit, 5302 * unit],
        [5303 * unit, 5310 * unit],
      ] as const;
      for (const [name, stored] of Object.entries(forms)) {
        const folder = await temporaryDirectory(context);
        const path = join(folder, name);
        await writeFile(path, stored);
        const bmap = join(folder, 'map');
        await writeFile(bmap, mapOf(image, ranges, unit));
        const disk = new MemoryDisk(diskSize, { blockSize, fill: old });
        const target = { target: 'memory', size: diskSize, open: async () => disk };
        const ran = await flashImage({ image: path, bmap }, [target]);
        arrived({ ran, disk: disk.bytes }, true, ranges);
      }
    });
  }
}

test('a map of an image with holes is made, then flashed by', async (context) => {
  const folder = await temporaryDirectory(context);
  const path = join(folder, 'disk.img');
  await sparseFile(path, 6 * MiB, [
    { offset: 0, bytes: noise(5000) },
    { offset: 2 * MiB + 1, bytes: noise(MiB) },
  ]);
  await writeFile(`${path}.bmap`, await createBmap(path));
  const disk = await diskFile(folder, diskSize, 0);
  const ran = await flashImage({ image: path, bmap: 'auto' }, [diskAt(disk, diskSize)]);
  assert.equal(ran.outcome, 'done');
  assert.ok((ran.results[0]?.account.skipped ?? 0) > 3 * MiB);
  const content = await readFile(disk);
  assert.equal(Buffer.compare(content.subarray(0, 6 * MiB), await readFile(path)), 0);
});

test('an image that changes while its mapped ranges are read fails the flash', async (context) => {
  const folder = await temporaryDirectory(context);
  const path = join(folder, 'disk.img');
  await writeFile(path, image);
  const bmap = join(folder, 'map');
  await writeFile(bmap, mapOf(image));
  const disk = await diskFile(folder, diskSize, old);
  const change = ({ kind }: { kind: string }) => {
    if (kind === 'started') appendFileSync(path, 'more');
  };
  const ran = await flashImage({ image: path, bmap }, [diskAt(disk, diskSize)], neverEnding, {}, change);
  assert.equal(ran.results[0]?.failure?.code, 'IMAGE_CHANGED');
});

test('two disks take the same ranges', async (context) => {
  const folder = await temporaryDirectory(context);
  const path = join(folder, 'disk.img.zst');
  await writeFile(path, zstdCompressSync(image));
  const bmap = join(folder, 'map');
  await writeFile(bmap, mapOf(image));
  const disks = [await diskFile(folder, diskSize, old, 'one'), await diskFile(folder, diskSize, old, 'two')];
  const ran = await flashImage(
    { image: path, bmap },
    disks.map((disk) => diskAt(disk, diskSize)),
  );
  for (const [index, disk] of disks.entries()) {
    const results = ran.results.slice(index, index + 1);
    arrived({ ran: { ...ran, results }, disk: await readFile(disk) });
  }
});

test('zeros within mapped ranges may be zeroed instead of written', async (context) => {
  const folder = await temporaryDirectory(context);
  const bytes = Buffer.alloc(7 * MiB);
  bytes.set(noise(4096), 2 * MiB);
  const ranges = [[MiB, 6 * MiB]] as const;
  const path = join(folder, 'disk.img.zst');
  await writeFile(path, zstdCompressSync(bytes));
  const bmap = join(folder, 'map');
  await writeFile(bmap, mapOf(bytes, ranges));
  const disk = new MemoryDisk(diskSize, { fill: old });
  const target = { target: 'memory', size: diskSize, open: async () => disk };
  const ran = await flashImage({ image: path, bmap, sparse: true }, [target]);
  const { written = 0, zeroed = 0, skipped } = ran.results[0]?.account ?? {};
  // The first MiB of the disk is written as a whole, though the map does not name it.
  assert.deepEqual([written + zeroed, skipped], [6 * MiB, MiB]);
  assert.ok(zeroed >= MiB, 'most zeros are not transferred');
  assert.equal(ran.results[0]?.verified, true);
  assert.equal(Buffer.compare(disk.bytes.subarray(MiB, 6 * MiB), bytes.subarray(MiB, 6 * MiB)), 0);
  assert.ok(disk.bytes.subarray(6 * MiB, 7 * MiB).every((byte) => byte === old));
});

test('a map that maps nothing is refused, as there is nothing to write', async (context) => {
  const folder = await temporaryDirectory(context);
  const path = join(folder, 'disk.img');
  await sparseFile(path, MiB, []);
  await writeFile(`${path}.bmap`, await createBmap(path));
  await assert.rejects(prepareFlash({ ...plain, image: path, bmap: 'auto' }, neverEnding.signal), {
    code: 'BMAP_INVALID',
    message: /maps no block/,
  });
});

test('a qcow2 image tells by itself what it holds, and takes no block map', {
  skip: missing('qemu-img', 'qemu-utils'),
}, async (context) => {
  const folder = await temporaryDirectory(context);
  const raw = join(folder, 'disk.img');
  await writeFile(raw, image.subarray(0, 4 * MiB));
  const path = join(folder, 'disk.qcow2');
  tool('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, path]);
  await writeFile(join(folder, 'disk.bmap'), mapOf(image.subarray(0, 4 * MiB), [[0, 4096]]));
  const request = { ...plain, image: path };
  await assert.rejects(prepareFlash({ ...request, bmap: join(folder, 'disk.bmap') }, neverEnding.signal), {
    code: 'IMAGE_UNSUPPORTED',
    message: /a qcow2 image with a block map beside it/,
  });
  const { plan, notes, close } = await prepareFlash({ ...request, bmap: 'auto' }, neverEnding.signal);
  await close();
  assert.equal(plan.blockMap, null);
  assert.match(notes.join(), /qcow2 image tells by itself/);
});
