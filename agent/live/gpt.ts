/** Fits a flashed partition table to the disk that it now lies on (UEFI specification 2.10, section 5.3). */
import { crc32 } from 'node:zlib';
import { type MbrSector, PROTECTIVE, parseMbr } from '../inspect/mbr.ts';

export interface Write {
  /** Byte position, a multiple of the sector size. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

export interface Fitted {
  /** In the order in which they are safe: at every point one copy of the table is whole. */
  readonly writes: readonly Write[];
  /** Sentences for a person about what was done or could not be. */
  readonly notes: readonly string[];
}

export interface FitOptions {
  readonly sectorSize: number;
  /** Bytes of the disk. */
  readonly diskBytes: number;
  /** Enlarge the last partition to the end. */
  readonly grow: boolean;
  /** Reads `length` bytes at `at`, both multiples of the sector size. */
  readonly read: (at: number, length: number) => Promise<Uint8Array>;
}

const signature = 'EFI PART';
const mostEntryBytes = 1 << 20;
/** Bytes of an entry at least; larger ones are multiples of it. */
const leastEntry = 128;
/** Sizes of a sector that disks have. */
const sectorSizes = [512, 4096];
/** Partitions end where a MiB does, as partitioning programs of today let them. */
const alignment = 1 << 20;

/** What has to be written so that the table fits the disk; nothing where it fits, or where there is none. */
export async function fitTable(options: FitOptions): Promise<Fitted> {
  const { sectorSize, diskBytes, read, grow } = options;
  const sectors = Math.floor(diskBytes / sectorSize);
  const start = await read(0, 2 * sectorSize);
  const header = view(start.slice(sectorSize));
  if (textAt(start, sectorSize, 8) !== signature) {
    const other = await otherSectors(options);
    if (other !== null)
      return nothing(
        `The partition table of the image is made for disks with sectors of ${other} bytes, and this one has ` +
          `sectors of ${sectorSize}: a system that starts from it does not find its partitions.`,
      );
    return grow ? growMbr(start, sectorSize, sectors) : nothing();
  }
  const length = header.getUint32(12, true);
  if (length < 92 || length > sectorSize || checksumOf(header, length) !== header.getUint32(16, true))
    return nothing('The primary GPT of the image is damaged; it was left as it is.');
  const alternate = Number(header.getBigUint64(32, true));
  const entrySize = header.getUint32(84, true);
  if (entrySize < leastEntry || entrySize % leastEntry !== 0)
    return nothing('The list of partitions of the image is damaged; it was left as it is.');
  const entryBytes = entrySize * header.getUint32(80, true);
  const entriesAt = Number(header.getBigUint64(72, true));
  const last = sectors - 1;
  if (entryBytes === 0 || entryBytes > mostEntryBytes || entriesAt < 2 || alternate > last)
    return nothing('The GPT of the image describes a larger disk; it was left as it is.');
  const entrySectors = Math.ceil(entryBytes / sectorSize);
  const entries = await read(entriesAt * sectorSize, entrySectors * sectorSize);
  if (crc32(entries.subarray(0, entryBytes)) !== header.getUint32(88, true))
    return nothing('The list of partitions of the image is damaged; it was left as it is.');

  const lastUsable = last - entrySectors - 1;
  const table = { entries, size: entrySize, total: entryBytes };
  if (lastOf(table).end > lastUsable)
    return nothing('The last partition leaves no room for the backup of the GPT; it was left as it is.');
  const mbr = parseMbr(start.subarray(0, 512));
  const isBackedUp = alternate === last && (await isSound(options, last, entries.subarray(0, entryBytes)));
  const grown = grow ? growLast(table, mbr, lastUsable, sectorSize) : null;
  if (isBackedUp && !grown?.changed) return nothing(...(grown?.notes ?? []));
  header.setBigUint64(48, BigInt(lastUsable), true);
  header.setUint32(88, crc32(entries.subarray(0, entryBytes)), true);
  const primary = sealed(header, length, { own: 1, alternate: last, entries: entriesAt });
  const backup = sealed(header, length, { own: last, alternate: 1, entries: last - entrySectors });
  const protective = start.slice(0, sectorSize);
  stretchProtective(protective, mbr, sectors);
  const writes: Write[] = [
    { at: (last - entrySectors) * sectorSize, bytes: entries },
    { at: last * sectorSize, bytes: backup },
    // From here on the backup at the end is whole, so a cut in between loses nothing.
    { at: entriesAt * sectorSize, bytes: entries },
    { at: sectorSize, bytes: primary },
    { at: 0, bytes: protective },
  ];
  const moved = isBackedUp
    ? []
    : alternate === last
      ? ['The backup of the partition table was missing or damaged; it was made anew.']
      : ['The backup of the partition table was moved to the end of the disk.'];
  return { writes, notes: [...moved, ...(grown?.notes ?? [])] };
}

/** Bytes of the sectors that the table of the image is made for, where these are not the disk's. */
async function otherSectors({ sectorSize, diskBytes, read }: FitOptions): Promise<number | null> {
  for (const other of sectorSizes) {
    const step = Math.max(other, sectorSize);
    if (other === sectorSize || diskBytes < 2 * step) continue;
    const bytes = await read(0, 2 * step);
    if (textAt(bytes, other, 8) === signature) return other;
  }
  return null;
}

/** Whether the copy of the header in the sector `at` and its list are whole, and are those of `entries`. */
async function isSound({ sectorSize, read }: FitOptions, at: number, entries: Uint8Array): Promise<boolean> {
  const backup = await read(at * sectorSize, sectorSize);
  const header = view(backup);
  const length = header.getUint32(12, true);
  if (textAt(backup, 0, 8) !== signature || length < 92 || length > sectorSize) return false;
  if (checksumOf(header, length) !== header.getUint32(16, true)) return false;
  if (header.getUint32(88, true) !== crc32(entries)) return false;
  const sectors = Math.ceil(entries.length / sectorSize);
  const own = Number(header.getBigUint64(72, true));
  if (own < 2 || own + sectors > at) return false;
  const list = await read(own * sectorSize, sectors * sectorSize);
  return crc32(list.subarray(0, entries.length)) === crc32(entries);
}

const nothing = (...notes: readonly string[]): Fitted => ({ writes: [], notes });

interface Entries {
  readonly entries: Uint8Array;
  /** Bytes of an entry, and of all of them. */
  readonly size: number;
  readonly total: number;
}

/** Where the entry of the partition that ends last stands, -1 for none, and its first and last sector. */
function lastOf({ entries, size, total }: Entries): { at: number; first: number; end: number } {
  const table = view(entries);
  let found = { at: -1, first: 0, end: 0 };
  for (let at = 0; at + size <= total; at += size) {
    if (!entries.subarray(at, at + 16).some((byte) => byte !== 0)) continue;
    const end = Number(table.getBigUint64(at + 40, true));
    if (end > found.end) found = { at, first: Number(table.getBigUint64(at + 32, true)), end };
  }
  return found;
}

/** Changes the entries: the partition that ends last gets all up to `lastUsable`. */
function growLast(
  table: Entries,
  mbr: MbrSector | null,
  lastUsable: number,
  sectorSize: number,
): { readonly changed: boolean; readonly notes: readonly string[] } {
  const { at, first, end } = lastOf(table);
  if (at < 0) return { changed: false, notes: ['There is no partition to enlarge.'] };
  const number = at / table.size + 1;
  const isTwice = mbr?.entries.some((entry) => entry?.start === first && entry.type !== PROTECTIVE) ?? false;
  if (isTwice)
    return {
      changed: false,
      notes: [`Partition ${number} stands in the master boot record, too (hybrid); it was not enlarged.`],
    };
  const perMiB = alignment / sectorSize;
  const wanted = Math.floor((lastUsable + 1) / perMiB) * perMiB - 1;
  if (wanted <= end) return { changed: false, notes: [] };
  view(table.entries).setBigUint64(at + 40, BigInt(wanted), true);
  const added = ((wanted - end) * sectorSize) / 1e6;
  return { changed: true, notes: [`Partition ${number} was enlarged by ${added.toFixed(1)} MB.`] };
}

/** Boot sectors of file systems without a partition table have the signature of one, and code in its place. */
function isFileSystem(start: Uint8Array): boolean {
  const names = [textAt(start, 54, 3), textAt(start, 82, 3), textAt(start, 3, 4), textAt(start, 3, 5)];
  return names.some((name) => ['FAT', 'NTFS', 'EXFAT'].includes(name));
}

const extended: readonly number[] = [0x05, 0x0f, 0x85];

/** The same for a master boot record: its last primary partition, unless it is an extended one. */
function growMbr(start: Uint8Array, sectorSize: number, sectors: number): Fitted {
  const found = parseMbr(start.subarray(0, 512));
  if (found === null || isFileSystem(start))
    return nothing('There is no partition table to enlarge anything in.');
  const used = found.entries
    .flatMap((entry, index) => (entry === null ? [] : [{ ...entry, at: 446 + 16 * index }]))
    .sort((one, other) => other.start + other.count - (one.start + one.count));
  const [last, ...others] = used;
  if (last === undefined) return nothing('There is no partition to enlarge.');
  const { at, type } = last;
  if (used.some((entry) => entry.type === PROTECTIVE))
    return nothing('The image has no sound GPT, though it announces one; it was left as it is.');
  if (extended.includes(type)) return nothing('The last partition is an extended one; it was left as it is.');
  // As those of a hybrid ISO, whose first partition is the whole image.
  const overlaps = last.start === 0 || others.some((other) => other.start + other.count > last.start);
  if (overlaps || last.start + last.count > sectors)
    return nothing('The partitions of the image overlap or leave the disk; they were left as they are.');
  const perMiB = alignment / sectorSize;
  const end = Math.min(Math.floor(sectors / perMiB) * perMiB, 0xffff_ffff);
  const added = end - (last.start + last.count);
  if (added <= 0) return nothing();
  const table = view(start.slice(0, sectorSize));
  table.setUint32(at + 12, end - last.start, true);
  const number = (at - 446) / 16 + 1;
  const note = `Partition ${number} was enlarged by ${((added * sectorSize) / 1e6).toFixed(1)} MB.`;
  return { writes: [{ at: 0, bytes: new Uint8Array(table.buffer) }], notes: [note] };
}

/** A copy of the header for one of its two places, with its checksum. */
function sealed(
  header: DataView,
  length: number,
  places: { readonly own: number; readonly alternate: number; readonly entries: number },
): Uint8Array {
  const copy = view(new Uint8Array(header.buffer.slice(0)));
  copy.setBigUint64(24, BigInt(places.own), true);
  copy.setBigUint64(32, BigInt(places.alternate), true);
  copy.setBigUint64(72, BigInt(places.entries), true);
  copy.setUint32(16, checksumOf(copy, length), true);
  return new Uint8Array(copy.buffer);
}

function checksumOf(header: DataView, length: number): number {
  const bytes = new Uint8Array(header.buffer.slice(0, length));
  bytes.fill(0, 16, 20);
  return crc32(bytes);
}

/**
 * The partition of type EEh covers the disk, or as much of it as 32 bits say (section 5.2.3). Beside others, in a hybrid
 * record, it covers what they leave, and stays as it is.
 */
function stretchProtective(sector: Uint8Array, mbr: MbrSector | null, sectors: number): void {
  const used = mbr?.entries.flatMap((entry, index) => (entry === null ? [] : [{ ...entry, index }])) ?? [];
  const [only, ...others] = used;
  if (only?.type !== PROTECTIVE || others.length > 0) return;
  const table = view(sector);
  table.setUint32(446 + 16 * only.index + 12, Math.min(sectors - only.start, 0xffff_ffff), true);
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const textAt = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));
