/** Images that tests build: disks as the systems lay them out, and superblocks that no tool here makes. */
import { open, truncate, writeFile } from 'node:fs/promises';
import { tool } from './testing.ts';

/** A superblock of UFS2 (FreeBSD, sys/ufs/ffs/fs.h): volume name at 680, identity at 144, magic at 1372. */
export function ufs2Superblock(name: string): Buffer {
  const block = Buffer.alloc(8192);
  block.writeUInt32LE(0x65c0ffee, 144);
  block.writeUInt32LE(0x00c0ffee, 148);
  block.write(name, 680);
  block.writeUInt32LE(0x19540119, 1372);
  // Block and fragment size, which blkid looks at.
  block.writeInt32LE(32768, 48);
  block.writeInt32LE(4096, 52);
  return block;
}

/** Name-value pairs of a ZFS label, in XDR (ZFS on-disk specification, section 1.3). */
export function zfsLabel(pool: string, guid: bigint): Buffer {
  const pairs = [
    pair('version', 8, wide(5000n)),
    pair('name', 9, text(pool)),
    pair('state', 8, wide(0n)),
    pair('pool_guid', 8, wide(guid)),
  ];
  const head = Buffer.from('010100000000000000000001', 'hex');
  return Buffer.concat([head, ...pairs, Buffer.alloc(8)]);
}

function pair(name: string, type: number, value: Buffer): Buffer {
  const body = Buffer.concat([text(name), number(type), number(1), value]);
  return Buffer.concat([number(body.length + 8), number(64), body]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([number(bytes.length), bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function wide(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** Creates a sparse file of `size` bytes. */
export async function sparseFile(path: string, size: number): Promise<void> {
  await writeFile(path, '');
  await truncate(path, size);
}

/** Copies the file at `part` into the disk image at `disk` from byte `offset` on; zeros stay holes. */
export async function place(part: string, disk: string, offset: number): Promise<void> {
  const from = await open(part, 'r');
  const into = await open(disk, 'r+');
  try {
    const buffer = Buffer.alloc(1024 * 1024);
    const zeros = Buffer.alloc(buffer.length);
    for (let at = 0; ; ) {
      const { bytesRead } = await from.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      const chunk = buffer.subarray(0, bytesRead);
      if (!chunk.equals(zeros.subarray(0, bytesRead))) await into.write(chunk, 0, bytesRead, offset + at);
      at += bytesRead;
    }
  } finally {
    await from.close();
    await into.close();
  }
}

/** A file system of `size` bytes made by `maker`, placed into `disk` at `offset`. */
export async function placeFilesystem(
  disk: string,
  offset: number,
  size: number,
  maker: string,
  args: readonly string[],
): Promise<void> {
  const part = `${disk}.part`;
  await sparseFile(part, size);
  tool(maker, [...args, part]);
  await place(part, disk, offset);
}

const MiB = 1024 * 1024;

/** A Linux disk as installers lay it out: ESP, ext4 and btrfs on a GPT. */
export async function linuxDisk(path: string): Promise<void> {
  await sparseFile(path, 160 * MiB);
  const script = [
    'label: gpt',
    'start=2048, size=8192, type=uefi, name="EFI System"',
    'start=10240, size=32768, type=linux, name=boot',
    'start=43008, size=278528, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root',
  ];
  tool('sfdisk', ['-q', path], script.join('\n'));
  await placeFilesystem(path, MiB, 4 * MiB, 'mkfs.vfat', ['-F', '12', '-n', 'EFI']);
  await placeFilesystem(path, 5 * MiB, 16 * MiB, 'mkfs.ext4', ['-q', '-F', '-L', 'boot']);
  await placeFilesystem(path, 21 * MiB, 136 * MiB, 'mkfs.btrfs', ['-q', '-f', '-L', 'root']);
}

/** A Windows disk: ESP, Microsoft reserved and NTFS on a GPT. */
export async function windowsDisk(path: string): Promise<void> {
  await sparseFile(path, 64 * MiB);
  const script = [
    'label: gpt',
    'start=2048, size=8192, type=uefi, name="EFI system partition"',
    'start=10240, size=32768, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE, name="Microsoft reserved partition"',
    'start=43008, size=65536, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name="Basic data partition"',
  ];
  tool('sfdisk', ['-q', path], script.join('\n'));
  await placeFilesystem(path, MiB, 4 * MiB, 'mkfs.vfat', ['-F', '12', '-n', 'SYSTEM']);
  await placeFilesystem(path, 21 * MiB, 32 * MiB, 'mkfs.ntfs', ['-q', '-F', '-Q', '-L', 'Windows']);
}

/** A FreeBSD disk: boot code, UFS2, ZFS and swap on a GPT, the volumes known by hand-built superblocks. */
export async function freebsdDisk(path: string): Promise<void> {
  await sparseFile(path, 32 * MiB);
  const type = (digits: string) => `516E7C${digits}-6ECF-11D6-8FF8-00022D09712B`;
  const script = [
    'label: gpt',
    'start=2048, size=2048, type=83BD6B9D-7F41-11DC-BE0B-001560B84F0F, name=gptboot0',
    `start=4096, size=16384, type=${type('B6')}, name=rootfs`,
    `start=20480, size=16384, type=${type('BA')}, name=zfs0`,
    `start=36864, size=4096, type=${type('B5')}, name=swap0`,
  ];
  tool('sfdisk', ['-q', path], script.join('\n'));
  const disk = await open(path, 'r+');
  try {
    const ufs = ufs2Superblock('rootfs');
    const zfs = zfsLabel('zroot', 1234567890123456789n);
    await disk.write(ufs, 0, ufs.length, 2 * MiB + 65536);
    await disk.write(zfs, 0, zfs.length, 10 * MiB + 16384);
  } finally {
    await disk.close();
  }
}
