/** Partitions and file systems of an unpacked disk, or of the first bytes of one. */

import { type RandomReader, readFully } from '../source/source.ts';
import { hasText } from './bytes.ts';
import { type Filesystem, identifyFilesystem } from './filesystems.ts';
import { readGpt } from './gpt.ts';
import { isContainer, type MbrSector, PROTECTIVE, parseMbr, readMbr } from './mbr.ts';
import type { Extent, Found, Partition } from './table.ts';

export type { Filesystem } from './filesystems.ts';
export type { Partition } from './table.ts';

export interface PartitionTable extends Found {
  readonly scheme: 'gpt' | 'mbr' | 'none';
  /** A GPT beside an MBR that lists partitions too. */
  readonly hybrid: boolean;
  /** An ISO 9660 image that is also a disk. */
  readonly isohybrid: boolean;
  /** File system that spans the whole image: without a partition table, or an ISO 9660. */
  readonly filesystem: Filesystem | null;
}

export interface PartitionOptions {
  /** Size of the disk when `reader` holds only its beginning; null when unknown. */
  readonly diskBytes?: number | null;
}

/**
 * Reads the partition table of what `reader` holds, and looks for a file system in each partition as far as its
 * bytes are there. Damage is told in `problems`. Reads are bounded whatever the bytes are: 1 MiB of GPT entries twice,
 * 128 links of logical partitions, 256 partitions of about 140 KiB. Rejects only when `reader` does.
 */
export async function readPartitionTable(
  reader: RandomReader,
  options: PartitionOptions = {},
): Promise<PartitionTable> {
  const diskBytes = options.diskBytes === undefined ? reader.size : options.diskBytes;
  const extent: Extent = { reachable: reader.size, diskBytes };
  const mbr = parseMbr(await readFully(reader, 0, 512));
  const whole = await identifyFilesystem(reader, 0, diskBytes ?? reader.size);
  const isIso = whole?.kind === 'iso9660' || hasText(await readFully(reader, 32769, 5), 0, 'CD001');
  const { scheme, found, hybrid } = await readScheme(reader, extent, mbr, whole);
  const partitions: Partition[] = [];
  for (const partition of found.partitions) {
    partitions.push({ ...partition, filesystem: await filesystemIn(reader, partition) });
  }
  return {
    ...found,
    scheme,
    hybrid,
    isohybrid: isIso && scheme !== 'none',
    filesystem: scheme === 'none' || whole?.kind === 'iso9660' ? whole : null,
    partitions,
  };
}

interface Scheme {
  readonly scheme: PartitionTable['scheme'];
  readonly found: Found;
  readonly hybrid: boolean;
}

async function readScheme(
  reader: RandomReader,
  extent: Extent,
  mbr: MbrSector | null,
  whole: Filesystem | null,
): Promise<Scheme> {
  const entries = mbr?.entries.filter((entry) => entry !== null) ?? [];
  const protective = entries.some(({ type }) => type === PROTECTIVE);
  // Without an MBR, a backup GPT is what a wiped or half-written disk has left.
  const gpt = await readGpt(reader, extent, protective || (mbr === null && whole === null));
  if (gpt) return { scheme: 'gpt', found: gpt, hybrid: entries.some(({ type }) => type !== PROTECTIVE) };
  const none: Found = { sectorSize: 512, id: null, partitions: [], problems: [], complete: true };
  // A file system's boot sector has the signature of an MBR and an empty table.
  if (mbr === null || (entries.length === 0 && whole !== null))
    return { scheme: 'none', found: none, hybrid: false };
  const found = await readMbr(reader, extent, mbr);
  const problem = 'The MBR announces a GPT, but there is none.';
  const problems = protective ? [problem, ...found.problems] : found.problems;
  return { scheme: 'mbr', found: { ...found, problems }, hybrid: false };
}

async function filesystemIn(reader: RandomReader, partition: Partition): Promise<Filesystem | null> {
  // An isohybrid's first partition starts at byte 0 and is the ISO itself.
  if (isContainer(partition) || partition.type === '0xee') return null;
  return await identifyFilesystem(reader, partition.start, partition.size);
}
