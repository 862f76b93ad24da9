/** How the live stick is known: by numbers that its builder writes and its first boot reads. */
import { crc32 } from 'node:zlib';
import { view } from './exfat.ts';

/** Word on the kernel's command line: GUID of the partition that the system was read from. */
export const commandLineWord = 'bty.stick';
/** GUID of the whole disk as it leaves the builder. A first boot gives the stick one of its own. */
export const shippedDisk = 'B7E5717C-0B70-4B17-8A5E-000000000001';
/** Name of the partition for images, and label of its file system. */
export const imagesName = 'BTY_IMAGES';

/** The header of a partition table (UEFI specification 2.10, 5.3.2) with another GUID of the disk. */
export function withDiskGuid(header: Uint8Array, guid: Uint8Array): Uint8Array {
  const copy = header.slice();
  const table = view(copy);
  copy.set(guid, 56);
  table.setUint32(16, 0, true);
  table.setUint32(16, crc32(copy.subarray(0, table.getUint32(12, true))), true);
  return copy;
}

/** The bytes of a GUID as a partition table stores it: three numbers little endian, the rest as it reads. */
export function guidBytes(text: string): Uint8Array {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  if (bytes.length !== 16) throw new Error(`"${text}" is no GUID`);
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return new Uint8Array(bytes);
}
