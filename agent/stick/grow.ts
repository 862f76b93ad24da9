/** Enlarges an exFAT volume that was made with room for it. Nothing that holds a file is touched. */
import {
  endOfChain,
  firstCluster,
  type Geometry,
  readRegion,
  regionSectors,
  resized,
  sectorBytes,
  view,
} from './exfat.ts';

export interface GrowOptions {
  /** Bytes of the partition. */
  readonly bytes: number;
  /** Reads bytes of the partition; both numbers are multiples of 512. */
  readonly read: (at: number, length: number) => Promise<Uint8Array>;
}

export type Grown =
  | {
      readonly kind: 'grows';
      /** In this order the volume can be mounted at every point. */
      readonly writes: readonly { readonly at: number; readonly bytes: Uint8Array }[];
      readonly from: number;
      readonly to: number;
    }
  /** It fills its partition already, or its tables have no room for more. */
  | { readonly kind: 'full' }
  /** `problem` continues a sentence that begins with the file system. */
  | { readonly kind: 'other'; readonly problem: string };

const piece = 1 << 20;
const regionBytes = regionSectors * sectorBytes;
/** Directory entries that are looked at for the bitmap's: it is among the first. */
const mostClusters = 16;

/** What has to be written so that the volume fills `bytes`. */
export async function growVolume({ bytes, read }: GrowOptions): Promise<Grown> {
  const region = await read(0, regionBytes);
  const found = readRegion(region);
  if (found.kind === 'other') return found;
  const old = found.geometry;
  const bitmap = await findBitmap(old, read);
  if (bitmap === null) return { kind: 'other', problem: 'has no allocation bitmap in its root directory' };
  const clusterBytes = old.clusterSectors * sectorBytes;
  const sectors = Math.floor(bytes / sectorBytes);
  const clusters = Math.min(
    Math.floor((sectors - old.heapOffset) / old.clusterSectors),
    (old.fatSectors * sectorBytes) / 4 - firstCluster,
    bitmap.clusters * clusterBytes * 8,
    0xffff_fff5,
  );
  if (clusters <= old.clusters) return { kind: 'full' };
  // Longer than needed is what a cut between two writes leaves.
  if (bitmap.length < Math.ceil(old.clusters / 8))
    return { kind: 'other', problem: 'has too small an allocation bitmap' };

  const writes = [
    ...(await clearFat(old, clusters, read)),
    ...(await clearBitmap(old, bitmap, clusters, read)),
  ];
  const directory = await read(bitmap.sector * sectorBytes, sectorBytes);
  view(directory).setBigUint64(bitmap.offset + 24, BigInt(Math.ceil(clusters / 8)), true);
  const volumeSectors = Math.min(sectors, old.heapOffset + clusters * old.clusterSectors);
  const larger = resized(region, volumeSectors, clusters);
  return {
    kind: 'grows',
    writes: [
      ...writes,
      // A bitmap that is longer than needed is allowed, a shorter one is not.
      { at: bitmap.sector * sectorBytes, bytes: directory },
      { at: regionBytes, bytes: larger },
      { at: 0, bytes: larger },
    ],
    from: old.clusters * clusterBytes,
    to: clusters * clusterBytes,
  };
}

type Read = GrowOptions['read'];

interface Bitmap {
  /** Sector of the directory entry, and where in it the entry begins. */
  readonly sector: number;
  readonly offset: number;
  readonly first: number;
  /** Clusters of its chain, as far as they follow one another. */
  readonly clusters: number;
  /** Bytes, as its entry states. */
  readonly length: number;
}

const sectorOf = (geometry: Geometry, cluster: number): number =>
  geometry.heapOffset + (cluster - firstCluster) * geometry.clusterSectors;

async function findBitmap(geometry: Geometry, read: Read): Promise<Bitmap | null> {
  let cluster: number | null = geometry.root;
  for (let each = 0; each < mostClusters && cluster !== null; each++) {
    const start = sectorOf(geometry, cluster);
    for (let index = 0; index < geometry.clusterSectors; index++) {
      const entries = await read((start + index) * sectorBytes, sectorBytes);
      for (let offset = 0; offset < sectorBytes; offset += 32) {
        const kind = entries[offset];
        if (kind === 0) return null; // the end of the directory
        if (kind !== 0x81) continue;
        const first = view(entries).getUint32(offset + 20, true);
        const length = Number(view(entries).getBigUint64(offset + 24, true));
        const end = geometry.clusters + firstCluster;
        if (first < firstCluster || first >= end) return null;
        const clusters = await runOf(geometry, first, read);
        return { sector: start + index, offset, first, clusters, length };
      }
    }
    cluster = await nextOf(geometry, cluster, read);
  }
  return null;
}

/** How many clusters from `first` on follow one another in their chain. */
async function runOf(geometry: Geometry, first: number, read: Read): Promise<number> {
  let count = 1;
  for (let at = first; count < mostClusters; at++, count++) {
    if ((await nextOf(geometry, at, read)) !== at + 1) break;
  }
  return count;
}

async function nextOf(geometry: Geometry, cluster: number, read: Read): Promise<number | null> {
  const at = cluster * 4;
  const sector = geometry.fatOffset + Math.floor(at / sectorBytes);
  const next = view(await read(sector * sectorBytes, sectorBytes)).getUint32(at % sectorBytes, true);
  const isCluster = next >= firstCluster && next < geometry.clusters + firstCluster && next !== endOfChain;
  return isCluster ? next : null;
}

/** New clusters are free: their entries are zero. Only what is not zero already is written. */
async function clearFat(geometry: Geometry, clusters: number, read: Read): Promise<Write[]> {
  const start = geometry.fatOffset * sectorBytes;
  const from = start + (geometry.clusters + firstCluster) * 4;
  return clear(from, start + (clusters + firstCluster) * 4, read);
}

async function clearBitmap(
  geometry: Geometry,
  bitmap: Bitmap,
  clusters: number,
  read: Read,
): Promise<Write[]> {
  const start = sectorOf(geometry, bitmap.first) * sectorBytes;
  const writes = await clear(start + Math.ceil(geometry.clusters / 8), start + Math.ceil(clusters / 8), read);
  const rest = geometry.clusters % 8;
  if (rest === 0) return writes;
  // The last byte of the old bitmap: its upper bits spoke of clusters that did not exist.
  const at = start + Math.floor(geometry.clusters / 8);
  const sector = at - (at % sectorBytes);
  const known = writes.find((write) => write.at === sector);
  const bytes = known?.bytes ?? (await read(sector, sectorBytes));
  const old = bytes[at - sector] ?? 0;
  const clean = old & ((1 << rest) - 1);
  if (clean === old) return writes;
  bytes[at - sector] = clean;
  return known ? writes : [{ at: sector, bytes }, ...writes];
}

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** What has to be written so that the bytes from `from` to `to` are zero, in whole sectors of their own. */
async function clear(from: number, to: number, read: Read): Promise<Write[]> {
  const writes: Write[] = [];
  const end = Math.ceil(to / sectorBytes) * sectorBytes;
  let at = from - (from % sectorBytes);
  while (at < end) {
    const bytes = (await read(at, Math.min(piece, end - at))).slice();
    const [first, last] = [Math.max(from - at, 0), Math.min(to - at, bytes.length)];
    for (let sector = 0; sector < bytes.length; sector += sectorBytes) {
      const part = bytes.subarray(Math.max(sector, first), Math.min(sector + sectorBytes, last));
      if (part.every((byte) => byte === 0)) continue;
      part.fill(0);
      writes.push({ at: at + sector, bytes: bytes.slice(sector, sector + sectorBytes) });
    }
    at += bytes.length;
  }
  return writes;
}
