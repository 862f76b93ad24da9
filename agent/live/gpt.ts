/** Fits a flashed partition table to the disk that it now lies on (UEFI specification 2.10, section 5.3). */
import { crc32 } from 'node:zlib';

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
/** Partitions end where a MiB does, as partitioning programs of today let them. */
const alignment = 1 << 20;

/** What has to be written so that the table fits the disk; nothing where it fits, or where there is none. */
export async function fitTable(options: FitOptions): Promise<Fitted> {
  const { sectorSize, diskBytes, read, grow } = options;
  const sectors = Math.floor(diskBytes / sectorSize);
  const start = await read(0, 2 * sectorSize);
  const header = view(start.slice(sectorSize));
  if (textAt(start, sectorSize, 8) !== signature)
    return grow ? growMbr(start, sectorSize, sectors) : nothing();
  const length = header.getUint32(12, true);
  if (length < 92 || length > sectorSize || checksumOf(header, length) !== header.getUint32(16, true))
    return nothing('The primary GPT of the image is damaged; it was left as it is.');
  const alternate = Number(header.getBigUint64(32, true));
  const entryBytes = header.getUint32(84, true) * header.getUint32(80, true);
  const entriesAt = Number(header.getBigUint64(72, true));
  const last = sectors - 1;
  if (entryBytes === 0 || entryBytes > mostEntryBytes || entriesAt < 2 || alternate > last)
    return nothing('The GPT of the image describes a larger disk; it was left as it is.');
  const entrySectors = Math.ceil(entryBytes / sectorSize);
  const entries = await read(entriesAt * sectorSize, entrySectors * sectorSize);
  if (crc32(entries.subarray(0, entryBytes)) !== header.getUint32(88, true))
    return nothing('The list of partitions of the image is damaged; it was left as it is.');

  const lastUsable = last - entrySectors - 1;
  const grown = grow
    ? growLast(entries, header.getUint32(84, true), entryBytes, lastUsable, sectorSize)
    : null;
  if (alternate === last && !grown?.changed) return nothing(...(grown?.notes ?? []));
  header.setBigUint64(48, BigInt(lastUsable), true);
  header.setUint32(88, crc32(entries.subarray(0, entryBytes)), true);
  const primary = sealed(header, length, { own: 1, alternate: last, entries: entriesAt });
  const backup = sealed(header, length, { own: last, alternate: 1, entries: last - entrySectors });
  const protective = start.slice(0, sectorSize);
  stretchProtective(protective, sectors);
  const writes: Write[] = [
    { at: (last - entrySectors) * sectorSize, bytes: entries },
    { at: last * sectorSize, bytes: backup },
    // From here on the backup at the end is whole, so a cut in between loses nothing.
    { at: entriesAt * sectorSize, bytes: entries },
    { at: sectorSize, bytes: primary },
    { at: 0, bytes: protective },
  ];
  const moved =
    alternate === last ? [] : ['The backup of the partition table was moved to the end of the disk.'];
  return { writes, notes: [...moved, ...(grown?.notes ?? [])] };
}

const nothing = (...notes: readonly string[]): Fitted => ({ writes: [], notes });

/** Changes `entries`: the partition that ends last gets all up to `lastUsable`. */
function growLast(
  entries: Uint8Array,
  size: number,
  total: number,
  lastUsable: number,
  sectorSize: number,
): { readonly changed: boolean; readonly notes: readonly string[] } {
  const table = view(entries);
  let at = -1;
  let end = 0;
  for (let each = 0; each + size <= total; each += size) {
    const isUsed = entries.subarray(each, each + 16).some((byte) => byte !== 0);
    const ends = Number(table.getBigUint64(each + 40, true));
    if (isUsed && ends > end) [at, end] = [each, ends];
  }
  if (at < 0) return { changed: false, notes: ['There is no partition to enlarge.'] };
  const perMiB = alignment / sectorSize;
  const wanted = Math.floor((lastUsable + 1) / perMiB) * perMiB - 1;
  if (wanted <= end) return { changed: false, notes: [] };
  table.setBigUint64(at + 40, BigInt(wanted), true);
  const added = ((wanted - end) * sectorSize) / 1e6;
  return { changed: true, notes: [`Partition ${at / size + 1} was enlarged by ${added.toFixed(1)} MB.`] };
}

/** The same for a master boot record: its last primary partition, unless it is an extended one. */
function growMbr(start: Uint8Array, sectorSize: number, sectors: number): Fitted {
  const table = view(start.slice(0, sectorSize));
  if (table.getUint16(510, true) !== 0xaa55)
    return nothing('There is no partition table to enlarge anything in.');
  const used = [446, 462, 478, 494].filter((at) => table.getUint8(at + 4) !== 0);
  const endOf = (at: number) => table.getUint32(at + 8, true) + table.getUint32(at + 12, true);
  const at = used.sort((one, other) => endOf(other) - endOf(one))[0];
  if (at === undefined) return nothing('There is no partition to enlarge.');
  const kind = table.getUint8(at + 4);
  if ([0x05, 0x0f, 0x85, 0xee].includes(kind))
    return nothing('The last partition is an extended one; it was left as it is.');
  const first = table.getUint32(at + 8, true);
  const perMiB = alignment / sectorSize;
  const end = Math.min(Math.floor(sectors / perMiB) * perMiB, 0xffff_ffff);
  const added = end - endOf(at);
  if (added <= 0) return nothing();
  table.setUint32(at + 12, end - first, true);
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

/** The partition of type EEh covers the disk, or as much of it as 32 bits say (section 5.2.3). */
function stretchProtective(sector: Uint8Array, sectors: number): void {
  const table = view(sector);
  for (const at of [446, 462, 478, 494]) {
    if (table.getUint8(at + 4) !== 0xee) continue;
    const first = table.getUint32(at + 8, true);
    table.setUint32(at + 12, Math.min(sectors - first, 0xffff_ffff), true);
  }
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const textAt = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));
