/** Partition tables as the boot loader of the Raspberry Pi wants them: it skips disks whose first record says GPT. */

const sector = 512;

export interface RecordPartition {
  /** 0x0c: FAT32; 0x83: Linux. */
  readonly type: number;
  readonly active: boolean;
  readonly first: number;
  readonly sectors: number;
}

/** The first sector of a disk, with up to four partitions; `signature` names the disk. */
export function makeRecord(signature: number, partitions: readonly RecordPartition[]): Uint8Array {
  if (partitions.length > 4) throw new Error('a master boot record has four partitions');
  const bytes = Buffer.alloc(sector);
  bytes.writeUInt32LE(signature, 440);
  for (const [index, { type, active, first, sectors }] of partitions.entries()) {
    const at = 446 + 16 * index;
    bytes[at] = active ? 0x80 : 0;
    // Cylinders are said to be beyond what can be told, so that everybody reads the numbers of sectors.
    bytes.set([0xfe, 0xff, 0xff, type, 0xfe, 0xff, 0xff], at + 1);
    bytes.writeUInt32LE(first, at + 8);
    bytes.writeUInt32LE(sectors, at + 12);
  }
  bytes.writeUInt16LE(0xaa55, 510);
  return bytes;
}
