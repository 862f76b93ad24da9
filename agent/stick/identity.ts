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
  copy.set(guid, 56);
  return sealed(copy);
}

/** The header that belongs at the start of the disk, made from the backup at its end. */
export function primaryOf(backup: Uint8Array): Uint8Array {
  const copy = backup.slice();
  const table = view(copy);
  const last = table.getBigUint64(24, true);
  table.setBigUint64(24, 1n, true);
  table.setBigUint64(32, last, true);
  table.setBigUint64(72, 2n, true);
  return sealed(copy);
}

/** Whether header and list of partitions have the checksums that they state. */
export function isWhole(header: Uint8Array, list: Uint8Array): boolean {
  const table = view(header);
  const length = table.getUint32(12, true);
  if (String.fromCharCode(...header.subarray(0, 8)) !== 'EFI PART' || length < 92 || length > header.length)
    return false;
  const bytes = table.getUint32(80, true) * table.getUint32(84, true);
  const isSealed = view(sealed(header.slice())).getUint32(16, true) === table.getUint32(16, true);
  return isSealed && bytes <= list.length && crc32(list.subarray(0, bytes)) === table.getUint32(88, true);
}

function sealed(header: Uint8Array): Uint8Array {
  const table = view(header);
  table.setUint32(16, 0, true);
  table.setUint32(16, crc32(header.subarray(0, table.getUint32(12, true))), true);
  return header;
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
