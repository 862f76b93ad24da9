/** Builds the live stick: one image that boots by BIOS and UEFI, from a USB disk and as a CD, into the terminal UI. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import {
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { commandLineWord, imagesName, shippedDisk } from '../../agent/stick/identity.ts';
import { makeVolume } from '../../agent/stick/volume.ts';
import { buildLive, megabytes } from '../live/build.ts';
import { headSectors, makeTable, partitionTypes, tailSectors } from './gpt.ts';
import { copyNotices, fetchLoaders, type Loaders, layEfi } from './grub.ts';
import { findMedium, isoFirstSector, makeIso, mediumSeconds, pointAtEsp, run } from './iso.ts';
import { starterFiles } from './starter.ts';

const MiB = 1 << 20;
const sector = 512;
const perMiB = MiB / sector;
const espBytes = 8 * MiB;
const imagesBytes = 40 * MiB;
const recipe = join(import.meta.dirname, '..', '..', 'netboot', 'live');

export interface StickOptions {
  /** Folder for the image, its packed form and its checksum. */
  readonly to: string;
  readonly cache: string;
  readonly layers?: string;
  /** Level of zstd for the live system, and for the image around it. */
  readonly level: number;
  readonly firmware: boolean;
  /** Words for the kernel's command line, besides those that every stick has. */
  readonly words?: readonly string[];
  readonly say: (text: string) => void;
}

export interface BuiltStick {
  readonly image: string;
  readonly packed: string;
  readonly bytes: number;
  readonly packedBytes: number;
  /** Of the packed image. */
  readonly sha256: string;
}

export const stickTools = [
  ...[
    'apt-get',
    'dpkg-deb',
    'depmod',
    'strip',
    'readelf',
    'xz',
    'xorriso',
    'grub-mkimage',
    'mkfs.vfat',
    'mcopy',
  ],
];

/** Builds `bty-usb-x86_64.img` and its packed form in `to`. */
export async function buildStick(options: StickOptions): Promise<BuiltStick> {
  const { to, say } = options;
  await mkdir(to, { recursive: true });
  const work = await mkdtemp(join(to, '.work-'));
  try {
    const live = join(work, 'live');
    const manifest = await buildLive({
      ...options,
      to: live,
      architecture: 'amd64',
      kernelSuite: undefined,
      stick: true,
    });
    const loaders = await fetchLoaders({
      ...options,
      architecture: 'amd64',
      firmware: false,
      kernelSuite: undefined,
    });
    say('Putting the medium together ...');
    const image = join(work, 'stick.img');
    await assemble({ image, live, loaders, work, version: manifest.bty_version, words: options.words ?? [] });
    const name = 'bty-usb-x86_64.img';
    say('Packing ...');
    const sha256 = await packTo(image, join(work, `${name}.zst`), options.level);
    await writeFile(join(work, `${name}.zst.sha256`), `${sha256}  ${name}.zst\n`);
    await rename(image, join(to, name));
    for (const each of [`${name}.zst`, `${name}.zst.sha256`]) await rename(join(work, each), join(to, each));
    return {
      image: join(to, name),
      packed: join(to, `${name}.zst`),
      bytes: (await stat(join(to, name))).size,
      packedBytes: (await stat(join(to, `${name}.zst`))).size,
      sha256,
    };
  } finally {
    await rm(work, { recursive: true });
  }
}

interface Parts {
  readonly image: string;
  readonly live: string;
  readonly loaders: Loaders;
  readonly work: string;
  readonly version: string;
  readonly words: readonly string[];
}

async function assemble({ image, live, loaders, work, version, words }: Parts): Promise<void> {
  const template = await readFile(join(recipe, 'stick.grub'), 'utf8');
  const hash = createHash('sha256');
  for (const part of [
    await readFile(join(live, 'vmlinuz')),
    await readFile(join(live, 'initrd')),
    template,
    words.join(' '),
    ...loaders.packages.map(({ sha256 }) => sha256),
  ])
    hash.update(part);
  const digest = hash.digest();
  const guid = guidOf(digest);
  const mark = `/bty/${guid}`;

  const tree = join(work, 'tree');
  for (const folder of ['bty', 'boot/grub', 'EFI/debian'])
    await mkdir(join(tree, folder), { recursive: true });
  for (const name of ['vmlinuz', 'initrd', 'manifest.json'])
    await cp(join(live, name), join(tree, 'bty', name));
  await writeFile(join(tree, mark), '');
  await cp(join(live, 'licences'), join(tree, 'bty/licences'), { recursive: true });
  await copyNotices(loaders.packages, join(tree, 'bty/licences'));
  const line = [`${commandLineWord}=${guid}`, ...words].join(' ');
  await writeFile(join(tree, 'boot/grub/grub.cfg'), template.replaceAll('@WORDS@', line));
  await writeFile(join(tree, 'boot/grub/placeholder'), Buffer.alloc(2048));
  // A GRUB that UEFI started from a CD looks for its configuration on the CD, else on the system partition.
  await writeFile(join(tree, 'EFI/debian/grub.cfg'), findMedium(mark));
  await steady(tree);
  const iso = join(work, 'stick.iso');
  await makeIso({
    loaders,
    tree,
    volume: `BTY_${digest.toString('hex', 0, 4).toUpperCase()}`,
    mark,
    work,
    to: iso,
  });

  const isoSectors = (await stat(iso)).size / sector;
  const espFirst = Math.ceil(isoSectors / perMiB) * perMiB;
  const imagesFirst = espFirst + espBytes / sector;
  const sectors = Math.ceil((imagesFirst + imagesBytes / sector + tailSectors) / perMiB) * perMiB;
  const esp = join(work, 'esp.img');
  await makeEsp(loaders, esp, mark, work, digest.readUInt32LE(4));

  await rename(iso, image);
  await truncate(image, sectors * sector);
  await pointAtEsp(image, espFirst);
  const part = (index: number) => guidOf(createHash('sha256').update(digest).update(String(index)).digest());
  const table = makeTable(shippedDisk, sectors, [
    { type: partitionTypes.basicData, guid, name: 'bty', first: isoFirstSector, last: espFirst - 1 },
    { type: partitionTypes.efiSystem, guid: part(2), name: 'EFI', first: espFirst, last: imagesFirst - 1 },
    {
      type: partitionTypes.basicData,
      guid: part(3),
      name: imagesName,
      first: imagesFirst,
      last: imagesFirst + imagesBytes / sector - 1,
    },
  ]);
  const file = await open(image, 'r+');
  try {
    // The first 440 bytes are the code that BIOS starts.
    await file.write(table.head, 440, table.head.length - 440, 440);
    if (table.head.length !== headSectors * sector) throw new Error('the partition table has another size');
    await file.write(await readFile(esp), 0, espBytes, espFirst * sector);
    const pieces = makeVolume({
      label: imagesName,
      files: await starterFiles(version),
      bytes: imagesBytes,
      partitionSector: imagesFirst,
      serial: digest.readUInt32LE(8),
      seconds: mediumSeconds,
    });
    for (const { at, bytes } of pieces) await file.write(bytes, 0, bytes.length, imagesFirst * sector + at);
    await file.write(table.tail, 0, table.tail.length, (sectors - tailSectors) * sector);
  } finally {
    await file.close();
  }
}

async function makeEsp(loaders: Loaders, to: string, mark: string, work: string, id: number): Promise<void> {
  const tree = join(work, 'esp');
  await layEfi(loaders, tree);
  await mkdir(join(tree, 'EFI/debian'), { recursive: true });
  await writeFile(join(tree, 'EFI/debian/grub.cfg'), findMedium(mark));
  await steady(tree);
  await writeFile(to, '');
  await truncate(to, espBytes);
  const serial = id.toString(16).padStart(8, '0');
  await run('mkfs.vfat', ['--invariant', '-F', '16', '-s', '1', '-i', serial, '-n', 'BTY_EFI', to]);
  await run('mcopy', ['-i', to, '-s', '-m', '-Q', join(tree, 'EFI'), '::']);
}

/** Gives every file and folder under `folder` the same time. */
export async function steady(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true }))
    await utimes(join(folder, name), mediumSeconds, mediumSeconds);
  await utimes(folder, mediumSeconds, mediumSeconds);
}

/** A GUID that follows from `digest`, marked as one that its maker defined (RFC 9562, version 8). */
function guidOf(digest: Uint8Array): string {
  const bytes = Buffer.from(digest.subarray(0, 16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex').toUpperCase();
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Packs a file by zstd; resolves the SHA-256 of the result. */
export async function packTo(from: string, to: string, level: number): Promise<string> {
  const hash = createHash('sha256');
  const { size } = await stat(from);
  await pipeline(
    createReadStream(from, { highWaterMark: MiB }),
    createZstdCompress({
      chunkSize: MiB,
      // The size stands in the frame, so that a writer knows it before it begins.
      pledgedSrcSize: size,
      params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
    }),
    async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        hash.update(piece);
        yield piece;
      }
    },
    createWriteStream(to),
  );
  return hash.digest('hex');
}

export { megabytes };
