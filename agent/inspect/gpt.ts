/** GUID partition table (UEFI specification 2.10, section 5.3). */

import { crc32 } from 'node:zlib';
import { type RandomReader, readFully } from '../source/source.ts';
import { guidText, hasBytes, hasText, isZero, label, u8, u32le, u64le } from './bytes.ts';
import { guidTypeName } from './parttypes.ts';
import { type Extent, type Found, misplaced, type Partition } from './table.ts';

const SECTOR_SIZES = [512, 4096];
const MOST_ENTRY_BYTES = 1024 * 1024;
const MOST_PARTITIONS = 256;

interface Header {
  readonly sectorSize: number;
  /** Sector of this header and of the other one. */
  readonly own: number;
  readonly alternate: number;
  readonly guid: string;
  readonly entriesSector: number;
  readonly entryCount: number;
  readonly entryBytes: number;
  readonly entriesChecksum: number;
}

type HeaderState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'damaged'; readonly reason: string }
  | { readonly kind: 'sound'; readonly header: Header };

type EntriesState =
  | {
      readonly kind: 'sound';
      readonly partitions: readonly Partition[];
      readonly problems: readonly string[];
    }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'unreachable' };

/**
 * Reads the table from its primary copy, or from the backup where that is damaged; null when there is none.
 * `announced` says that a protective MBR promises one. Rejects only when `reader` does.
 */
export async function readGpt(
  reader: RandomReader,
  extent: Extent,
  announced: boolean,
): Promise<Found | null> {
  const primary = await readPrimary(reader);
  if (primary.kind === 'sound') return await fromPrimary(reader, extent, primary.header);
  if (primary.kind === 'absent' && !announced) return null;
  const backup = await readLast(reader, extent);
  const reason = primary.kind === 'damaged' ? `is damaged (${primary.reason})` : 'is missing';
  const entries = backup && (await readEntries(reader, backup));
  if (backup && entries?.kind === 'sound') {
    const problems = [
      `The primary GPT ${reason}; the backup at the end was read instead.`,
      ...entries.problems,
      ...misplaced(entries.partitions, extent),
    ];
    return { ...found(backup, entries.partitions), problems };
  }
  if (primary.kind === 'absent') return null;
  const complete = isWhole(extent);
  const problem = `The primary GPT ${reason}${complete ? ', and there is no sound backup' : ''}.`;
  return { sectorSize: 512, id: null, partitions: [], problems: [problem], complete };
}

function found(header: Header, partitions: readonly Partition[]): Omit<Found, 'problems'> {
  return { sectorSize: header.sectorSize, id: header.guid, partitions, complete: true };
}

async function readPrimary(reader: RandomReader): Promise<HeaderState> {
  let worst: HeaderState = { kind: 'absent' };
  for (const sectorSize of SECTOR_SIZES) {
    const state = parseHeader(await readFully(reader, sectorSize, sectorSize), 1, sectorSize);
    if (state.kind === 'sound') return state;
    if (state.kind === 'damaged') worst = state;
  }
  return worst;
}

/** The backup header in the last sector, for a disk whose primary says nothing. */
async function readLast(reader: RandomReader, extent: Extent): Promise<Header | null> {
  if (!isWhole(extent)) return null;
  for (const sectorSize of SECTOR_SIZES) {
    const sector = Math.floor(extent.reachable / sectorSize) - 1;
    if (sector < 2) continue;
    const state = parseHeader(await readFully(reader, sector * sectorSize, sectorSize), sector, sectorSize);
    if (state.kind === 'sound') return state.header;
  }
  return null;
}

function isWhole({ reachable, diskBytes }: Extent): boolean {
  return diskBytes !== null && reachable >= diskBytes;
}

async function fromPrimary(reader: RandomReader, extent: Extent, header: Header): Promise<Found> {
  const problems: string[] = [];
  const entries = await readEntries(reader, header);
  const backup = await readBackup(reader, extent, header, problems);
  if (entries.kind === 'unreachable') return { ...found(header, []), problems, complete: false };
  if (entries.kind === 'sound') {
    if (backup && backup.entriesChecksum !== header.entriesChecksum) {
      problems.push('The primary GPT and its backup list different partitions; the primary was read.');
    }
    problems.push(...entries.problems, ...misplaced(entries.partitions, extent));
    return { ...found(header, entries.partitions), problems };
  }
  const spare = backup && (await readEntries(reader, backup));
  if (spare?.kind !== 'sound') {
    problems.push('The list of partitions in the GPT is damaged (checksum).');
    return { ...found(header, []), problems, complete: isWhole(extent) };
  }
  problems.push(
    'The list of partitions in the primary GPT is damaged (checksum); the backup was read instead.',
  );
  problems.push(...spare.problems, ...misplaced(spare.partitions, extent));
  return { ...found(header, spare.partitions), problems };
}

/** The backup that `header` names, if it lies within the bytes at hand and is sound. */
async function readBackup(
  reader: RandomReader,
  extent: Extent,
  header: Header,
  problems: string[],
): Promise<Header | null> {
  const { sectorSize, alternate } = header;
  const start = alternate * sectorSize;
  const described = start + sectorSize;
  const { diskBytes } = extent;
  if (diskBytes !== null && described > diskBytes) {
    problems.push(
      `The GPT describes a disk of ${described} bytes, and the image has ${diskBytes}: it is cut short.`,
    );
    return null;
  }
  if (!isWhole(extent)) return null;
  if (diskBytes !== null && Math.floor(diskBytes / sectorSize) - 1 !== alternate) {
    problems.push(
      `The backup GPT is not at the end of the image: it ends at byte ${described} of ${diskBytes}.`,
    );
  }
  const state = parseHeader(await readFully(reader, start, sectorSize), alternate, sectorSize);
  if (state.kind === 'sound') return state.header;
  problems.push(
    state.kind === 'absent' ? 'The backup GPT is missing.' : `The backup GPT is damaged (${state.reason}).`,
  );
  return null;
}

function parseHeader(bytes: Uint8Array, sector: number, sectorSize: number): HeaderState {
  if (!hasText(bytes, 0, 'EFI PART')) return { kind: 'absent' };
  const damaged = (reason: string): HeaderState => ({ kind: 'damaged', reason });
  const length = u32le(bytes, 12);
  if (length < 92 || length > sectorSize || bytes.length < sectorSize) return damaged('header size');
  const checked = bytes.slice(0, length);
  checked.fill(0, 16, 20);
  if (crc32(checked) !== u32le(bytes, 16)) return damaged('checksum');
  const header: Header = {
    sectorSize,
    own: u64le(bytes, 24),
    alternate: u64le(bytes, 32),
    guid: guidText(bytes, 56),
    entriesSector: u64le(bytes, 72),
    entryCount: u32le(bytes, 80),
    entryBytes: u32le(bytes, 84),
    entriesChecksum: u32le(bytes, 88),
  };
  if (header.own !== sector) return damaged('it is not where it says');
  const positions = [header.alternate, header.entriesSector].map((each) => (each + 1) * sectorSize);
  if (!positions.every(Number.isSafeInteger)) return damaged('absurd positions');
  const { entryCount, entryBytes } = header;
  const sane = entryBytes >= 128 && entryBytes % 8 === 0 && entryCount * entryBytes <= MOST_ENTRY_BYTES;
  return sane ? { kind: 'sound', header } : damaged('absurd number or size of entries');
}

async function readEntries(reader: RandomReader, header: Header): Promise<EntriesState> {
  const { sectorSize, entryBytes, entryCount } = header;
  const start = header.entriesSector * sectorSize;
  const length = entryBytes * entryCount;
  if (start + length > reader.size) return { kind: 'unreachable' };
  const bytes = await readFully(reader, start, length);
  if (bytes.length < length || crc32(bytes) !== header.entriesChecksum) return { kind: 'damaged' };
  const partitions: Partition[] = [];
  const problems: string[] = [];
  for (let index = 0; index < entryCount; index++) {
    const at = index * entryBytes;
    if (isZero(bytes, at, 16)) continue;
    const first = u64le(bytes, at + 32) * sectorSize;
    const size = (u64le(bytes, at + 40) + 1) * sectorSize - first;
    if (!Number.isSafeInteger(first + size) || !(size > 0)) {
      problems.push(`Partition ${index + 1} has an absurd position and is left out.`);
      continue;
    }
    if (partitions.length === MOST_PARTITIONS) {
      problems.push(`There are more than ${MOST_PARTITIONS} partitions; the rest is left out.`);
      break;
    }
    partitions.push(partitionOf(bytes.subarray(at, at + entryBytes), index + 1, first, size));
  }
  return { kind: 'sound', partitions, problems };
}

function partitionOf(entry: Uint8Array, number: number, start: number, size: number): Partition {
  const type = guidText(entry, 0);
  return {
    number,
    start,
    size,
    type,
    typeName: guidTypeName(type),
    name: label(entry, 56, 72, 'utf-16le'),
    uuid: hasBytes(entry, 16, '00'.repeat(16)) ? null : guidText(entry, 16),
    // Attribute bit 2: legacy BIOS bootable (section 5.3.3).
    bootable: (u8(entry, 48) & 0x04) !== 0,
    filesystem: null,
  };
}
