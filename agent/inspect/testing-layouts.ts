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
    for (let at = 0; ; ) {
      const { bytesRead } = await from.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      const chunk = buffer.subarray(0, bytesRead);
      if (chunk.some((byte) => byte !== 0)) await into.write(chunk, 0, bytesRead, offset + at);
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
