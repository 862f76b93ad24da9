/** What the tests of the stick share: a built stick, copies of it, images on it. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { copyFile, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompressSync } from 'node:zlib';
import { imagesName } from '../../../agent/stick/identity.ts';
import { makeVolume, type VolumeFile } from '../../../agent/stick/volume.ts';
import { makeImage } from '../../../netboot/tests/pxe/image.ts';
import { mediumSeconds } from '../iso.ts';
import { starterFiles } from '../starter.ts';
import { missingTools } from '../tools.ts';
import { type BuiltStick, buildStick, stickTools } from '../usb.ts';
import { ovmf } from './machine.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '..', '..', '..');
export const all = process.env.BTY_MEDIA === 'all';

/** Why no stick can be built and booted here, false where it can. */
export function noStick(): string | false {
  if (!existsSync('/etc/debian_version')) return 'media are built from packages of Debian, on Debian';
  if (process.arch !== 'x64') return 'the stick is built on x86-64';
  const missing = missingTools([...stickTools, 'qemu-system-x86_64', 'sgdisk', 'fsck.exfat']);
  if (missing !== null) return missing;
  return existsSync(ovmf.code) ? false : 'ovmf is missing';
}

/** Builds the stick, packed in seconds, in `folder`. */
export function buildIn(folder: string): Promise<BuiltStick> {
  const cache = join(root, '.cache', 'live');
  return buildStick({ to: folder, cache, level: 1, firmware: false, say: () => {} });
}

let built: Promise<BuiltStick> | undefined;

/** The stick, built once for all tests of this process, which work on copies of it. */
export function builtOnce(): Promise<BuiltStick> {
  built ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bty-stick-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    return buildIn(folder);
  })();
  return built;
}

export async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-media-'));
  try {
    await use(folder);
  } finally {
    if (process.env.BTY_KEEP_LAB !== '1') await rm(folder, { recursive: true });
  }
}

export interface Extent {
  readonly start: number;
  readonly bytes: number;
}

/** Where the partition for images lies, as sgdisk(8) reads the table; it is checked on the way. */
export async function imagesOf(disk: string): Promise<Extent> {
  const { stdout: verified } = await execute('sgdisk', ['--verify', disk]);
  if (!verified.includes('No problems found')) throw new Error(verified);
  const { stdout } = await execute('sgdisk', ['--info=3', disk]);
  const [first, last] = [/First sector: (\d+)/, /Last sector: (\d+)/].map((what) =>
    Number(what.exec(stdout)?.[1]),
  );
  if (!stdout.includes(`'${imagesName}'`) || first === undefined || last === undefined)
    throw new Error(`partition 3 is another one: ${stdout}`);
  return { start: first * 512, bytes: (last - first + 1) * 512 };
}

/** Bytes of the partition for images, as a file of its own. */
export async function cutOut(disk: string, to: string): Promise<void> {
  const { start, bytes } = await imagesOf(disk);
  await execute('dd', [
    ...[`if=${disk}`, `of=${to}`, 'bs=1M', 'conv=sparse', 'status=none', 'iflag=skip_bytes,count_bytes'],
    ...[`skip=${start}`, `count=${bytes}`],
  ]);
}

/** Rejects unless fsck.exfat(8) finds nothing to mend; resolves what it says. */
export async function checkVolume(volume: string): Promise<string> {
  const { stdout } = await execute('fsck.exfat', ['-n', volume]);
  if (!/: clean\./.test(stdout)) throw new Error(stdout);
  return stdout;
}

/** A stick of `bytes` as somebody would have flashed it, with `files` beside those that it came with. */
export async function flashedStick(
  built: BuiltStick,
  to: string,
  bytes: number,
  files: readonly VolumeFile[],
): Promise<void> {
  await copyFile(built.image, to);
  if (files.length > 0) {
    const { start, bytes: room } = await imagesOf(to);
    const volume = makeVolume({
      label: imagesName,
      // A file of a person's goes before one of ours.
      files: [
        ...(await starterFiles('test')).filter(({ name }) => files.every((each) => each.name !== name)),
        ...files,
      ],
      bytes: room,
      partitionSector: start / 512,
      serial: 1,
      seconds: mediumSeconds,
    });
    const file = await open(to, 'r+');
    try {
      for (const piece of volume) await file.write(piece.bytes, 0, piece.bytes.length, start + piece.at);
    } finally {
      await file.close();
    }
  }
  await truncate(to, bytes);
}

export interface TestImage {
  readonly raw: Buffer;
  readonly packed: Buffer;
  readonly sha256: string;
}

/** A small disk image that can be told from any other. */
export async function testImage(folder: string, name: string): Promise<TestImage> {
  const { path } = await makeImage(join(folder, name), `BTY-MARKER ${name}`, 14);
  const raw = await readFile(path);
  const packed = zstdCompressSync(raw);
  return { raw, packed, sha256: createHash('sha256').update(packed).digest('hex') };
}

export async function emptyDisk(path: string, bytes: number): Promise<string> {
  await writeFile(path, '');
  await truncate(path, bytes);
  return path;
}
