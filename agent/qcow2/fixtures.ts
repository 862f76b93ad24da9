/** Images as QEMU's tools make them, of every kind that bty reads, each with the raw disk that qemu-img sees. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { qemuImg, qemuIo, sampleDisk } from './testing.ts';

export interface Fixture {
  readonly name: string;
  /** Makes `image` from the raw disk in `raw`. */
  readonly make: (raw: string, image: string) => Promise<void>;
  /** Bytes of the raw disk; qemu's images are whole sectors. */
  readonly size: number;
  /** True where tables come behind what they describe by more than is kept. */
  readonly unordered?: true;
}

const mebibyte = 2 ** 20;
/** A multiple neither of any cluster over 512 bytes nor of 1 MiB. */
const odd = 3 * mebibyte + 7 * 512;

function converted(name: string, options: string, size: number, ...more: readonly string[]): Fixture {
  return {
    name,
    size,
    make: (raw, image) => qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...more, '-o', options, raw, image),
  };
}

function changed(name: string, options: string, size: number, ...commands: readonly string[]): Fixture {
  return {
    name,
    size,
    make: async (raw, image) => {
      await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', options, raw, image);
      await qemuIo(image, ...commands);
    },
  };
}

const holes = [
  'write -z 0 64k',
  'write -z -u 256k 512k',
  'discard 1M 300k',
  'write -P 7 1100k 1k',
  'write -z 1100k 512',
  'write -P 9 2M 100k',
];

export const fixtures: readonly Fixture[] = [
  converted('version 2', 'compat=0.10', odd),
  converted('version 3', 'compat=1.1', odd),
  converted('clusters of 512 bytes', 'cluster_size=512', odd),
  converted('clusters of 4 KiB', 'cluster_size=4k', 5 * mebibyte + 512),
  converted('clusters of 1 MiB', 'cluster_size=1M', odd),
  converted('clusters of 2 MiB', 'cluster_size=2M', 5 * mebibyte - 512),
  converted('one sector', 'cluster_size=64k', 512),
  converted('no disk at all', 'cluster_size=64k', 0),
  converted('preallocated metadata', 'preallocation=metadata,cluster_size=4k', odd),
  converted('full preallocation', 'preallocation=full', odd),
  converted('lazy reference counts', 'lazy_refcounts=on', odd),
  converted('zlib', 'cluster_size=64k', odd, '-c'),
  converted('zlib, version 2', 'compat=0.10', odd, '-c'),
  converted('zlib in clusters of 512 bytes', 'cluster_size=512', mebibyte / 2 + 512, '-c'),
  converted('zlib in clusters of 4 KiB', 'cluster_size=4k', odd, '-c'),
  converted('zlib in clusters of 2 MiB', 'cluster_size=2M', odd, '-c'),
  converted('zlib in no order', 'cluster_size=4k', odd, '-c', '-W', '-m', '16'),
  converted('zstd', 'compression_type=zstd', odd, '-c'),
  converted('zstd in clusters of 4 KiB', 'compression_type=zstd,cluster_size=4k', odd, '-c'),
  converted('zstd in clusters of 2 MiB', 'compression_type=zstd,cluster_size=2M', odd, '-c'),
  converted('clusters in no order', 'cluster_size=4k', odd, '-W', '-m', '16'),
  converted('subclusters', 'extended_l2=on', odd),
  converted('subclusters in clusters of 16 KiB', 'extended_l2=on,cluster_size=16k', odd),
  converted('subclusters and zlib', 'extended_l2=on,cluster_size=32k', odd, '-c'),
  changed('zero clusters', 'cluster_size=4k', odd, ...holes),
  changed('zero clusters in clusters of 64 KiB', 'cluster_size=64k', odd, ...holes),
  changed('discarded clusters, version 2', 'compat=0.10,cluster_size=4k', odd, ...holes),
  changed('zero subclusters', 'extended_l2=on,cluster_size=64k', odd, ...holes),
  {
    name: 'internal snapshots',
    size: odd,
    make: async (raw, image) => {
      await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', 'cluster_size=4k', raw, image);
      await qemuImg('snapshot', '-c', 'one', image);
      await qemuIo(image, 'write -P 5 100k 500k', 'write -z 2M 100k');
      await qemuImg('snapshot', '-c', 'two', image);
      await qemuIo(image, 'write -P 6 300k 1M');
    },
  },
  {
    name: 'written in no order',
    size: odd,
    make: async (_raw, image) => {
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', image, String(odd));
      await qemuIo(
        image,
        'write -P 1 2900k 50k',
        'write -P 2 5k 300k',
        'write -P 3 1M 1M',
        'write -P 4 0 1k',
      );
    },
  },
  {
    name: 'left dirty by a crash',
    size: odd,
    make: async (raw, image) => {
      await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', 'lazy_refcounts=on', raw, image);
      // The signal ends qemu-io before it can mark the image clean.
      await qemuIo(image, 'write -P 5 1M 200k', 'flush', 'sigraise 9').catch(() => {});
    },
  },
];

/** Makes the fixture's image in a folder of its own, for as long as `use` runs. */
export async function withFixture(
  { make, size }: Fixture,
  use: (image: string, raw: Buffer) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const [source, image, raw] = ['source.raw', 'image.qcow2', 'raw'].map((name) => join(folder, name));
    if (source === undefined || image === undefined || raw === undefined) return;
    await writeFile(source, sampleDisk(size, size));
    await make(source, image);
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', image, raw);
    await use(image, await readFile(raw));
  });
}

export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-qcow2-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
