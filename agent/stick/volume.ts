/** Makes an exFAT volume that can grow in place: room for the tables of a larger one is kept from the start. */
import {
  endOfChain,
  firstCluster,
  type Geometry,
  makeRegion,
  regionSectors,
  rotated,
  rotated16,
  sectorBytes,
  view,
} from './exfat.ts';

/** One cluster is 512 KiB: images are large, and one cluster of bitmap then speaks for 2 TiB. */
const clusterSectors = 1024;
export const clusterBytes = clusterSectors * sectorBytes;
/** Sectors before the FAT: its place is on a MiB. */
const fatOffset = 2048;
/** Most clusters that one cluster of bitmap speaks for. */
const mostClusters = clusterBytes * 8;
const fatSectors = (mostClusters * 4) / sectorBytes;
const heapOffset = fatOffset + fatSectors;

export interface VolumeFile {
  /** At most 255 UTF-16 units. */
  readonly name: string;
  readonly content: Uint8Array;
}

export interface VolumeOptions {
  readonly label: string;
  readonly files: readonly VolumeFile[];
  /** Bytes of the partition. */
  readonly bytes: number;
  /** Sector of the disk where the partition begins. */
  readonly partitionSector: number;
  readonly serial: number;
  /** Seconds since 1970 that all files carry. */
  readonly seconds: number;
}

/** Bytes of the volume that are not zero, by where they begin, in order. */
export interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** What has to be written onto zeros for the volume. Throws where `bytes` hold less than the files need. */
export function makeVolume(options: VolumeOptions): readonly Piece[] {
  const { label, files, bytes, partitionSector, serial, seconds } = options;
  const volumeSectors = Math.floor(bytes / sectorBytes);
  const clusters = Math.min(Math.floor((volumeSectors - heapOffset) / clusterSectors), mostClusters - 2);
  const upcase = upcaseTable();
  const [bitmapAt, upcaseAt, root] = [firstCluster, firstCluster + 1, firstCluster + 2];
  let next = root + 1;
  const placed = files.map((file) => {
    const first = next;
    next += Math.ceil(file.content.length / clusterBytes);
    return { ...file, first };
  });
  const used = next - firstCluster;
  if (used > clusters) throw new Error(`the files need ${used} clusters, the volume has ${clusters}`);

  const geometry: Geometry = {
    volumeSectors,
    fatOffset,
    fatSectors,
    heapOffset,
    clusters,
    clusterSectors,
    root,
  };
  const region = makeRegion({ ...geometry, partitionSector, serial });
  const directory = Buffer.concat([
    labelEntry(label),
    tableEntry(0x81, bitmapAt, Math.ceil(clusters / 8), 0),
    tableEntry(0x82, upcaseAt, upcase.length, rotated(upcase)),
    ...placed.map((file) => fileEntries(file, file.first, seconds)),
  ]);
  if (directory.length > clusterBytes) throw new Error('the root directory has no room for so many files');
  const at = (cluster: number) => (heapOffset + (cluster - firstCluster) * clusterSectors) * sectorBytes;
  return [
    { at: 0, bytes: region },
    { at: regionSectors * sectorBytes, bytes: region },
    { at: fatOffset * sectorBytes, bytes: fat(root) },
    { at: at(bitmapAt), bytes: bits(used) },
    { at: at(upcaseAt), bytes: upcase },
    { at: at(root), bytes: directory },
    ...placed.flatMap(({ first, content }) =>
      content.length > 0 ? [{ at: at(first), bytes: content }] : [],
    ),
  ];
}

/** Files lie in one piece and need no chain (section 6.3.4.2); bitmap, letters and root are chains of one. */
function fat(root: number): Uint8Array {
  const bytes = new Uint8Array(4 * (root + 1));
  const table = view(bytes);
  table.setUint32(0, 0xffff_fff8, true);
  for (let entry = 1; entry <= root; entry++) table.setUint32(4 * entry, endOfChain, true);
  return bytes;
}

/** The first `count` bits set. */
function bits(count: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(count / 8)).fill(0xff);
  if (count % 8 !== 0) bytes[bytes.length - 1] = (1 << (count % 8)) - 1;
  return bytes;
}

function labelEntry(label: string): Uint8Array {
  const entry = new Uint8Array(32);
  entry[0] = 0x83;
  entry[1] = label.length;
  entry.set(utf16(label).subarray(0, 22), 2);
  return entry;
}

function tableEntry(kind: number, cluster: number, length: number, checksum: number): Uint8Array {
  const entry = new Uint8Array(32);
  const table = view(entry);
  entry[0] = kind;
  table.setUint32(4, checksum, true);
  table.setUint32(20, cluster, true);
  table.setBigUint64(24, BigInt(length), true);
  return entry;
}

function fileEntries({ name, content }: VolumeFile, first: number, seconds: number): Uint8Array {
  const letters = Math.ceil(name.length / 15);
  const set = new Uint8Array(32 * (2 + letters));
  const table = view(set);
  set[0] = 0x85;
  set[1] = 1 + letters;
  table.setUint16(4, 0x20, true); // archive
  for (const at of [8, 12, 16]) table.setUint32(at, timestamp(seconds), true);
  set.fill(0x80, 22, 25); // all three times are UTC
  const hasContent = content.length > 0;
  set.set([0xc0, hasContent ? 0x03 : 0x01, 0, name.length], 32);
  table.setUint16(36, rotated16(utf16(upper(name))), true);
  table.setBigUint64(40, BigInt(content.length), true);
  table.setUint32(52, hasContent ? first : 0, true);
  table.setBigUint64(56, BigInt(content.length), true);
  for (let each = 0; each < letters; each++) {
    const at = 64 + 32 * each;
    set[at] = 0xc1;
    set.set(utf16(name.slice(15 * each, 15 * each + 15)), at + 2);
  }
  table.setUint16(2, rotated16(set, [2, 3]), true);
  return set;
}

/** Section 7.4.8: two seconds are the least. */
function timestamp(seconds: number): number {
  const time = new Date(seconds * 1000);
  const date = ((time.getUTCFullYear() - 1980) << 9) | ((time.getUTCMonth() + 1) << 5) | time.getUTCDate();
  const clock = (time.getUTCHours() << 11) | (time.getUTCMinutes() << 5) | (time.getUTCSeconds() >> 1);
  return ((date << 16) | clock) >>> 0;
}

/** The capital of each letter of the basic plane, runs without one packed (section 7.2.5.1). */
export function upcaseTable(): Uint8Array {
  const units: number[] = [];
  let plain = 0;
  const flush = () => {
    // A run of one or two costs as much packed as written out.
    if (plain > 2) units.push(0xffff, plain);
    else for (let each = plain; each > 0; each--) units.push(position - each);
    plain = 0;
  };
  let position = 0;
  for (; position <= 0xffff; position++) {
    const capital = upperUnit(position);
    if (capital === position) {
      plain++;
      continue;
    }
    flush();
    units.push(capital);
  }
  flush();
  const bytes = new Uint8Array(2 * units.length);
  for (const [at, unit] of units.entries()) view(bytes).setUint16(2 * at, unit, true);
  return bytes;
}

function upperUnit(unit: number): number {
  if (unit >= 0xd800 && unit <= 0xdfff) return unit;
  const capital = String.fromCharCode(unit).toUpperCase();
  return capital.length === 1 ? capital.charCodeAt(0) : unit;
}

const upper = (name: string): string =>
  [...Array(name.length).keys()].map((at) => String.fromCharCode(upperUnit(name.charCodeAt(at)))).join('');

const utf16 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf16le'));
