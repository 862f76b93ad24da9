/** Partition tables of the media that are built here (UEFI specification 2.10, section 5.3). */
import { crc32 } from 'node:zlib';
import { guidBytes } from '../../agent/stick/identity.ts';

const sector = 512;
const entries = 128;
const entryBytes = 128;
/** Sectors of one copy's list of partitions. */
const listSectors = (entries * entryBytes) / sector;
/** Sectors that a table takes at the start of the disk, protective record included, and at its end. */
export const headSectors = 2 + listSectors;
export const tailSectors = 1 + listSectors;

export const partitionTypes = {
  biosBoot: '21686148-6449-6E6F-744E-656564454649',
  efiSystem: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  basicData: 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7',
  linux: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
} as const;

export interface NewPartition {
  readonly type: string;
  readonly guid: string;
  readonly name: string;
  /** First and last sector. */
  readonly first: number;
  readonly last: number;
}

export interface Table {
  /** Sectors 0 (without boot code) to 33. */
  readonly head: Uint8Array;
  /** The last 33 sectors. */
  readonly tail: Uint8Array;
}

/** Both copies of a table for a disk of `sectors`. */
export function makeTable(disk: string, sectors: number, partitions: readonly NewPartition[]): Table {
  const list = Buffer.alloc(entries * entryBytes);
  for (const [index, { type, guid, name, first, last }] of partitions.entries()) {
    if (first < headSectors || last < first || last >= sectors - tailSectors)
      throw new Error(`partition ${name} does not fit: sectors ${first} to ${last} of ${sectors}`);
    const at = index * entryBytes;
    list.set(guidBytes(type), at);
    list.set(guidBytes(guid), at + 16);
    list.writeBigUInt64LE(BigInt(first), at + 32);
    list.writeBigUInt64LE(BigInt(last), at + 40);
    list.write(name.slice(0, 36), at + 56, 'utf16le');
  }
  const header = (own: number, alternate: number, listAt: number): Buffer => {
    const bytes = Buffer.alloc(sector);
    bytes.write('EFI PART', 0, 'latin1');
    bytes.writeUInt32LE(0x0001_0000, 8);
    bytes.writeUInt32LE(92, 12);
    bytes.writeBigUInt64LE(BigInt(own), 24);
    bytes.writeBigUInt64LE(BigInt(alternate), 32);
    bytes.writeBigUInt64LE(BigInt(headSectors), 40);
    bytes.writeBigUInt64LE(BigInt(sectors - tailSectors - 1), 48);
    bytes.set(guidBytes(disk), 56);
    bytes.writeBigUInt64LE(BigInt(listAt), 72);
    bytes.writeUInt32LE(entries, 80);
    bytes.writeUInt32LE(entryBytes, 84);
    bytes.writeUInt32LE(crc32(list), 88);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 92)), 16);
    return bytes;
  };
  const last = sectors - 1;
  return {
    head: Buffer.concat([protective(sectors), header(1, last, 2), list]),
    tail: Buffer.concat([list, header(last, 1, last - listSectors)]),
  };
}

/** Some firmware boots a disk by BIOS only when a partition of its record is active (section 5.2.3 forbids none). */
function protective(sectors: number): Buffer {
  const bytes = Buffer.alloc(sector);
  const at = 446;
  bytes.set([0x80, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], at);
  bytes.writeUInt32LE(1, at + 8);
  bytes.writeUInt32LE(Math.min(sectors - 1, 0xffff_ffff), at + 12);
  bytes.writeUInt16LE(0xaa55, 510);
  return bytes;
}
