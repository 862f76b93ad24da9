import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { inFolder } from '../disk/testing.ts';
import { diskAt, diskFile, flashImage } from '../flash/testing.ts';
import { imageBytes, missing } from '../unpack/testing.ts';

/** Every format, packed by its reference tool, at sizes where block and slot ends matter. */
const MiB = 1 << 20;
const diskBytes = 8 * MiB;
const old = 0x5a;
const sizes = [0, 1, 511, 512, 513, MiB - 1, MiB, 3_333_333, diskBytes + 1];

interface Format {
  readonly suffix: string;
  readonly tool: string;
  readonly debian: string;
  /** Packs the file `raw`, giving `packed`. */
  readonly pack: (raw: string, packed: string) => void;
  /** What the reference tool unpacks `packed` to; the raw bytes unless the format pads them. */
  readonly unpack?: (packed: string, raw: string) => void;
}

/** Runs `tool` and keeps what it prints as the file `packed`. */
function printed(packed: string, tool: string, args: readonly string[]): void {
  writeFileSync(packed, execFileSync(tool, args, { maxBuffer: 1 << 28 }));
}

const formats: readonly Format[] = [
  {
    suffix: 'img',
    tool: 'cp',
    debian: 'coreutils',
    pack: (raw, packed) => void execFileSync('cp', [raw, packed]),
  },
  {
    suffix: 'img.gz',
    tool: 'gzip',
    debian: 'gzip',
    pack: (raw, packed) => printed(packed, 'gzip', ['-c', raw]),
  },
  {
    suffix: 'img.zst',
    tool: 'zstd',
    debian: 'zstd',
    pack: (raw, packed) => void execFileSync('zstd', ['-q', raw, '-o', packed]),
  },
  {
    suffix: 'img.xz',
    tool: 'xz',
    debian: 'xz-utils',
    pack: (raw, packed) => printed(packed, 'xz', ['-c', '-1', raw]),
  },
  {
    suffix: 'img.bz2',
    tool: 'bzip2',
    debian: 'bzip2',
    pack: (raw, packed) => printed(packed, 'bzip2', ['-c', raw]),
  },
  {
    suffix: 'img.lz4',
    tool: 'lz4',
    debian: 'lz4',
    pack: (raw, packed) => void execFileSync('lz4', ['-q', raw, packed]),
  },
  {
    suffix: 'img.zip',
    tool: 'zip',
    debian: 'zip',
    pack: (raw, packed) => void execFileSync('zip', ['-q', '-j', packed, raw]),
  },
  {
    suffix: 'qcow2',
    tool: 'qemu-img',
    debian: 'qemu-utils',
    pack: (raw, packed) =>
      void execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, packed]),
    unpack: (packed, raw) => void execFileSync('qemu-img', ['convert', '-O', 'raw', packed, raw]),
  },
];

for (const { suffix, tool, debian, pack, unpack } of formats) {
  for (const size of sizes) {
    const name = `an image of ${size} bytes as .${suffix} arrives as its reference tool would unpack it`;
    test(name, { skip: missing(tool, debian) }, async () => {
      await inFolder(async (folder) => {
        const raw = join(folder, 'disk.img');
        const packed = join(folder, `packed.${suffix}`);
        await writeFile(raw, imageBytes(size, size + 1));
        pack(raw, packed);
        if (unpack) unpack(packed, raw);
        const expected = await readFile(raw);
        const path = await diskFile(folder, diskBytes, old);
        const flashing = flashImage({ image: packed }, [diskAt(path, diskBytes)]);
        if (size === 0) {
          await assert.rejects(
            flashing.then(({ results }) => Promise.reject(results[0]?.failure)),
            ({ code }: { code: string }) => code === 'IMAGE_EMPTY',
          );
          assert.ok(
            (await readFile(path)).every((byte) => byte === old),
            'the disk is untouched',
          );
          return;
        }
        const { outcome, results } = await flashing;
        const disk = await readFile(path);
        if (expected.length > diskBytes) {
          assert.equal(results[0]?.failure?.code, 'TARGET_TOO_SMALL');
          assert.ok(disk.subarray(0, MiB).every((byte) => byte === 0));
          return;
        }
        assert.equal(outcome, 'done', results[0]?.failure?.message ?? '');
        assert.equal(results[0]?.verified, true);
        assert.equal(Buffer.compare(disk.subarray(0, expected.length), expected), 0);
        const rest = disk.subarray(Math.max(MiB, expected.length), diskBytes - MiB);
        assert.ok(
          rest.every((byte) => byte === old),
          'the rest of the disk is untouched',
        );
      });
    });
  }
}
