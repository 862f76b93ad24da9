/** exFAT (exFAT file system specification 1.00, Microsoft): its boot region, directory entries and checksums. */

export const sectorBytes = 512;
/** Sectors of one boot region; a second one, the backup, follows it (section 2). */
export const regionSectors = 12;
export const firstCluster = 2;
export const endOfChain = 0xffff_ffff;

export interface Geometry {
  /** Sectors of the partition that the file system uses. */
  readonly volumeSectors: number;
  readonly fatOffset: number;
  /** Sectors that the FAT has; more than the clusters need where room for more of them is kept. */
  readonly fatSectors: number;
  /** Sector of cluster 2. */
  readonly heapOffset: number;
  readonly clusters: number;
  readonly clusterSectors: number;
  /** First cluster of the root directory. */
  readonly root: number;
}

export type ReadGeometry =
  | { readonly kind: 'sound'; readonly geometry: Geometry }
  /** `problem` continues a sentence that begins with the file system. */
  | { readonly kind: 'other'; readonly problem: string };

/** Reads a boot region of twelve sectors, or says why it is none that this program changes. */
export function readRegion(region: Uint8Array): ReadGeometry {
  const other = (problem: string): ReadGeometry => ({ kind: 'other', problem });
  const table = view(region);
  const name = String.fromCharCode(...region.subarray(3, 11));
  if (name !== 'EXFAT   ' || table.getUint16(510, true) !== 0xaa55) return other('is not exFAT');
  const stated = regionSectors - 1;
  if (regionChecksum(region) !== table.getUint32(stated * sectorBytes, true))
    return other('has a damaged boot region');
  if (region[108] !== 9 || region[110] !== 1) return other('was made by another program');
  const shift = region[109] ?? 0;
  const geometry: Geometry = {
    volumeSectors: Number(table.getBigUint64(72, true)),
    fatOffset: table.getUint32(80, true),
    fatSectors: table.getUint32(84, true),
    heapOffset: table.getUint32(88, true),
    clusters: table.getUint32(92, true),
    clusterSectors: 2 ** shift,
    root: table.getUint32(96, true),
  };
  const fatEnd = geometry.fatOffset + geometry.fatSectors;
  const heapEnd = geometry.heapOffset + geometry.clusters * geometry.clusterSectors;
  const isWhole =
    shift <= 16 &&
    geometry.fatOffset >= 2 * regionSectors &&
    fatEnd <= geometry.heapOffset &&
    heapEnd <= geometry.volumeSectors &&
    geometry.clusters >= 1 &&
    (geometry.clusters + firstCluster) * 4 <= geometry.fatSectors * sectorBytes &&
    geometry.root >= firstCluster &&
    geometry.root < geometry.clusters + firstCluster;
  return isWhole ? { kind: 'sound', geometry } : other('contradicts itself');
}

/** `region` with another size, and its checksum. */
export function resized(region: Uint8Array, volumeSectors: number, clusters: number): Uint8Array {
  const copy = region.slice();
  const table = view(copy);
  table.setBigUint64(72, BigInt(volumeSectors), true);
  table.setUint32(92, clusters, true);
  // How much is in use is not known any more (section 3.1.18).
  copy[112] = 0xff;
  return sealRegion(copy);
}

export interface NewRegion extends Geometry {
  /** Sector of the disk where the partition begins. */
  readonly partitionSector: number;
  readonly serial: number;
}

/** The boot region of a new volume. */
export function makeRegion(made: NewRegion): Uint8Array {
  const region = new Uint8Array(regionSectors * sectorBytes);
  const table = view(region);
  region.set([0xeb, 0x76, 0x90]);
  region.set(new TextEncoder().encode('EXFAT   '), 3);
  table.setBigUint64(64, BigInt(made.partitionSector), true);
  table.setBigUint64(72, BigInt(made.volumeSectors), true);
  table.setUint32(80, made.fatOffset, true);
  table.setUint32(84, made.fatSectors, true);
  table.setUint32(88, made.heapOffset, true);
  table.setUint32(92, made.clusters, true);
  table.setUint32(96, made.root, true);
  table.setUint32(100, made.serial, true);
  table.setUint16(104, 0x0100, true); // revision 1.00
  region.set([9, Math.log2(made.clusterSectors), 1, 0x80, 0xff], 108);
  region.fill(0xf4, 120, 510); // no boot code: hlt
  for (let sector = 0; sector <= 8; sector++) table.setUint16((sector + 1) * sectorBytes - 2, 0xaa55, true);
  return sealRegion(region);
}

/** Writes the checksum over the first eleven sectors into the twelfth. */
function sealRegion(region: Uint8Array): Uint8Array {
  const checksum = regionChecksum(region);
  const table = view(region);
  for (let at = (regionSectors - 1) * sectorBytes; at < region.length; at += 4)
    table.setUint32(at, checksum, true);
  return region;
}

function regionChecksum(region: Uint8Array): number {
  // The flags and the percentage in use change all the time and do not count (section 3.4).
  return rotated(region.subarray(0, (regionSectors - 1) * sectorBytes), [106, 107, 112]);
}

/** Sum of `bytes`, turned right by one bit before each (sections 3.4, 7.2.2). */
export function rotated(bytes: Uint8Array, except: readonly number[] = []): number {
  let sum = 0;
  for (const [at, byte] of bytes.entries()) {
    if (except.includes(at)) continue;
    sum = (((sum << 31) | (sum >>> 1)) + byte) >>> 0;
  }
  return sum;
}

/** The same in 16 bits (sections 6.3.3, 7.6.4). */
export function rotated16(bytes: Uint8Array, except: readonly number[] = []): number {
  let sum = 0;
  for (const [at, byte] of bytes.entries()) {
    if (except.includes(at)) continue;
    sum = (((sum << 15) & 0xffff) | (sum >>> 1)) + byte;
    sum &= 0xffff;
  }
  return sum;
}

export const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
