import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { growVolume } from './grow.ts';
import { clusterBytes, makeVolume, type VolumeFile } from './volume.ts';

const MiB = 1 << 20;
const fsck = ['/usr/sbin/fsck.exfat', '/sbin/fsck.exfat'].find(existsSync);
const skip = fsck === undefined ? 'needs fsck.exfat (exfatprogs)' : false;

/** A disk in memory of which only what was written exists. */
class Sparse {
  readonly pages = new Map<number, Uint8Array>();

  readonly read = async (at: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; done++) bytes[done] = this.byte(at + done);
    return bytes;
  };

  write(at: number, bytes: Uint8Array): void {
    for (const [index, byte] of bytes.entries()) {
      const page = Math.floor((at + index) / 512);
      const known = this.pages.get(page) ?? new Uint8Array(512);
      known[(at + index) % 512] = byte;
      this.pages.set(page, known);
    }
  }

  byte(at: number): number {
    return this.pages.get(Math.floor(at / 512))?.[at % 512] ?? 0;
  }
}

const volumeOf = (files: readonly VolumeFile[], bytes: number) =>
  makeVolume({ label: 'BTY_IMAGES', files, bytes, partitionSector: 2048, serial: 7, seconds: 1_577_836_800 });

async function onDisk(
  bytes: number,
  use: (file: string, write: (at: number, bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-exfat-'));
  const path = join(folder, 'volume');
  const file = await open(path, 'wx+');
  try {
    await file.truncate(bytes);
    await use(path, async (at, piece) => {
      await file.write(piece, 0, piece.length, at);
    });
  } finally {
    await file.close();
    await rm(folder, { recursive: true });
  }
}

function judged(path: string): string {
  return execFileSync(fsck ?? '', ['-n', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

const names = fc
  .stringMatching(/^[A-Za-z0-9äöüßéñЖ漢 ._-]{1,60}$/)
  .filter((name) => name.trim() === name && !name.endsWith('.'));
const files = fc.uniqueArray(
  fc.record({ name: names, content: fc.uint8Array({ maxLength: 3000 }), more: fc.boolean() }),
  { maxLength: 6, selector: ({ name }) => name.toUpperCase() },
);

test(
  'a volume of any files is clean for fsck.exfat, before and after it grew, and its files keep their bytes',
  {
    skip,
  },
  () =>
    fc.assert(
      fc.asyncProperty(
        files,
        fc.integer({ min: 30, max: 64 }),
        fc.integer({ min: 0, max: 4000 }),
        async (made, from, more) => {
          const all = made.map(({ name, content, more: large }) => ({
            name,
            content: large ? Buffer.concat([content, Buffer.alloc(clusterBytes, 0xab)]) : content,
          }));
          const [small, large] = [from * MiB - 512, (from + more) * MiB];
          const pieces = volumeOf(all, small);
          await onDisk(large, async (path, write) => {
            // What lay on the stick before is no zeros behind the end of the small volume.
            for (let at = small; at < Math.min(large, small + 2 * MiB); at += MiB)
              await write(at, new Uint8Array(Math.min(MiB, large - at)).fill(0x5a));
            for (const { at, bytes } of pieces) await write(at, bytes);
            const file = await open(path, 'r');
            const read = async (at: number, length: number) =>
              new Uint8Array((await file.read(Buffer.alloc(length), 0, length, at)).buffer);
            try {
              const grown = await growVolume({ bytes: large, read });
              if (grown.kind === 'grows') for (const { at, bytes } of grown.writes) await write(at, bytes);
              else assert.equal(grown.kind, 'full');
              assert.match(judged(path), new RegExp(`: clean\\. directories 1, files ${all.length}`));
              for (const { at, bytes } of pieces.slice(6))
                assert.deepEqual(Buffer.from(await read(at, bytes.length)), Buffer.from(bytes));
              const again = await growVolume({ bytes: large, read });
              assert.equal(again.kind, 'full');
            } finally {
              await file.close();
            }
          });
        },
      ),
      { numRuns: 25 },
    ),
);

test('at every point of growing a whole volume can be mounted', { skip }, async () => {
  const content = new Uint8Array(700_000).fill(7);
  await onDisk(600 * MiB, async (path, write) => {
    for (const { at, bytes } of volumeOf([{ name: 'image.img', content }], 40 * MiB)) await write(at, bytes);
    const file = await open(path, 'r');
    try {
      const grown = await growVolume({
        bytes: 600 * MiB,
        read: async (at, length) =>
          new Uint8Array((await file.read(Buffer.alloc(length), 0, length, at)).buffer),
      });
      assert.equal(grown.kind, 'grows');
      // The first write makes the bitmap longer than it has to be, which the kernel bears and fsck.exfat tells.
      for (const [index, { at, bytes }] of grown.writes.entries()) {
        await write(at, bytes);
        if (index > 0) assert.match(judged(path), /: clean\./);
      }
    } finally {
      await file.close();
    }
  });
});

test('garbage in the room that was kept is cleared, and nothing else is written', async () => {
  const disk = new Sparse();
  for (const { at, bytes } of volumeOf([], 40 * MiB)) disk.write(at, bytes);
  // Entry 200 of the FAT speaks of a cluster that the small volume does not have.
  disk.write(MiB + 4 * 200, new Uint8Array([1, 2, 3, 4]));
  const grown = await growVolume({ bytes: 400 * MiB, read: disk.read });
  assert.equal(grown.kind, 'grows');
  assert.deepEqual(
    grown.writes.map(({ at }) => at),
    [MiB + 512, 17 * MiB + 2 * clusterBytes, 12 * 512, 0],
  );
  for (const { at, bytes } of grown.writes) disk.write(at, bytes);
  assert.deepEqual(await disk.read(MiB + 4 * 200, 4), new Uint8Array(4));
});

test('a stick of 4 TB grows as far as its tables reach', async () => {
  const disk = new Sparse();
  for (const { at, bytes } of volumeOf([], 40 * MiB)) disk.write(at, bytes);
  // The FAT is 16 MiB of zeros, which are looked at in pieces.
  const read = async (at: number, length: number) =>
    length > 4096 && at >= 2 * MiB ? new Uint8Array(length) : disk.read(at, length);
  const grown = await growVolume({ bytes: 4e12, read });
  assert.equal(grown.kind === 'grows' && grown.to, (clusterBytes * 8 - 2) * clusterBytes);
});

test('no bytes make it crash or write outside of the tables', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ at: fc.integer({ min: 0, max: 6143 }), byte: fc.nat(255) }), { maxLength: 8 }),
      fc.boolean(),
      async (changes, seal) => {
        const disk = new Sparse();
        for (const { at, bytes } of volumeOf([], 40 * MiB)) disk.write(at, bytes);
        for (const { at, byte } of changes) disk.write(at, new Uint8Array([byte]));
        if (seal) {
          const { resized } = await import('./exfat.ts');
          const region = await disk.read(0, 6144);
          const view = new DataView(region.buffer);
          disk.write(0, resized(region, Number(view.getBigUint64(72, true)), view.getUint32(92, true)));
        }
        let reads = 0;
        const read = async (at: number, length: number) => {
          assert.ok(++reads < 10_000, 'it ends');
          return length > 4096 ? new Uint8Array(length) : disk.read(at, length);
        };
        const grown = await growVolume({ bytes: 80 * MiB, read }).catch((error: unknown) => error);
        if (grown instanceof Error) throw grown;
      },
    ),
    { numRuns: 60 },
  ));
