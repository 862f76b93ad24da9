/** Master boot record with logical partitions in chained extended boot records (UEFI specification, section 5.2). */

import { type RandomReader, readFully } from '../source/source.ts';
import { hasBytes, isZero, u8, u32le } from './bytes.ts';
import { mbrTypeName } from './parttypes.ts';
import { type Extent, type Found, misplaced, type Partition } from './table.ts';

export const PROTECTIVE = 0xee;
const EXTENDED: readonly number[] = [0x05, 0x0f, 0x85];
const MOST_LOGICAL = 128;
const FIRST_LOGICAL = 5;

interface Entry {
  readonly type: number;
  readonly active: boolean;
  /** Sectors. */
  readonly start: number;
  readonly count: number;
}

export interface MbrSector {
  /** The four entries, null where one is unused. */
  readonly entries: readonly (Entry | null)[];
  /** Disk signature at byte 440. */
  readonly signature: string | null;
}

/**
 * The table in the first sector; null when there is no signature or the entries are none: a boot sector of a file
 * system has the same signature, and code or text in the place of the table.
 */
export function parseMbr(sector: Uint8Array): MbrSector | null {
  if (!hasBytes(sector, 510, '55aa')) return null;
  const entries = parseEntries(sector);
  if (entries === null) return null;
  const signature = u32le(sector, 440);
  return {
    entries,
    signature: signature === 0 ? null : `0x${signature.toString(16).padStart(8, '0')}`,
  };
}

/** Four entries, null when a status byte is neither active nor inactive. */
function parseEntries(sector: Uint8Array): (Entry | null)[] | null {
  const entries: (Entry | null)[] = [];
  for (let at = 446; at < 510; at += 16) {
    if (isZero(sector, at, 16)) {
      entries.push(null);
      continue;
    }
    const status = u8(sector, at);
    if (status !== 0 && status !== 0x80) return null;
    const entry = {
      type: u8(sector, at + 4),
      active: status === 0x80,
      start: u32le(sector, at + 8),
      count: u32le(sector, at + 12),
    };
    // Debian's hybrid ISOs have an active partition of type 0.
    entries.push(entry.count > 0 && (entry.type !== 0 || entry.active) ? entry : null);
  }
  return entries;
}

/** Lists the partitions of `mbr`, with the logical ones. Rejects only when `reader` does. */
export async function readMbr(
  reader: RandomReader,
  extent: Extent,
  mbr: MbrSector,
  sectorSize = 512,
): Promise<Found> {
  const partitions: Partition[] = [];
  const problems: string[] = [];
  const containers: Entry[] = [];
  for (const [index, entry] of mbr.entries.entries()) {
    if (entry === null) continue;
    partitions.push(partitionOf(entry, index + 1, entry.start, sectorSize));
    if (EXTENDED.includes(entry.type)) containers.push(entry);
  }
  const primaries = [...partitions];
  const logical: Partition[] = [];
  let complete = true;
  for (const container of containers) {
    const chain = new Chain(reader, container, sectorSize, FIRST_LOGICAL + logical.length);
    complete = (await chain.walk(extent)) && complete;
    logical.push(...chain.partitions);
    problems.push(...chain.problems);
  }
  problems.push(...misplaced(primaries, extent), ...misplaced(logical, { ...extent, diskBytes: null }));
  return { sectorSize, id: mbr.signature, partitions: [...partitions, ...logical], problems, complete };
}

/** The chain of extended boot records in one extended partition. */
class Chain {
  readonly partitions: Partition[] = [];
  readonly problems: string[] = [];
  readonly #reader: RandomReader;
  readonly #container: Entry;
  readonly #sectorSize: number;
  readonly #firstNumber: number;

  constructor(reader: RandomReader, container: Entry, sectorSize: number, firstNumber: number) {
    this.#reader = reader;
    this.#container = container;
    this.#sectorSize = sectorSize;
    this.#firstNumber = firstNumber;
  }

  /** False when the chain leaves the bytes at hand. */
  async walk(extent: Extent): Promise<boolean> {
    const container = this.#container;
    const seen = new Set<number>();
    for (let sector = container.start; ; ) {
      if (seen.has(sector)) return this.#broken('it leads back to itself');
      if (seen.size >= MOST_LOGICAL) return this.#broken(`it has more than ${MOST_LOGICAL} links`);
      seen.add(sector);
      const start = sector * this.#sectorSize;
      if (start + 512 > extent.reachable) {
        if (extent.diskBytes === null || start + 512 <= extent.diskBytes) return false;
        return this.#broken('it leads beyond the end of the image');
      }
      const record = await readFully(this.#reader, start, 512);
      const entries = hasBytes(record, 510, '55aa') ? parseEntries(record) : null;
      if (entries === null) return this.#broken('a link of it is no boot record');
      const [own, link] = entries;
      if (own && !EXTENDED.includes(own.type)) {
        const number = this.#firstNumber + this.partitions.length;
        this.partitions.push(partitionOf(own, number, sector + own.start, this.#sectorSize));
      }
      const next = own && EXTENDED.includes(own.type) ? own : link;
      if (!next || !EXTENDED.includes(next.type)) return true;
      // Links count from the start of the extended partition, logical partitions from their own record.
      sector = container.start + next.start;
      if (next.start >= container.count) return this.#broken('it leads out of the extended partition');
    }
  }

  #broken(reason: string): true {
    this.problems.push(`The chain of logical partitions is broken: ${reason}.`);
    return true;
  }
}

function partitionOf(entry: Entry, number: number, sector: number, sectorSize: number): Partition {
  return {
    number,
    start: sector * sectorSize,
    size: entry.count * sectorSize,
    type: `0x${entry.type.toString(16).padStart(2, '0')}`,
    typeName: mbrTypeName(entry.type),
    name: null,
    uuid: null,
    bootable: entry.active,
    filesystem: null,
  };
}

/** True for the partitions that only hold others. */
export function isContainer(partition: Partition): boolean {
  return EXTENDED.some((type) => partition.type === `0x${type.toString(16).padStart(2, '0')}`);
}
