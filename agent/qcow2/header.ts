/**
 * The header of a qcow2 image, version 2 or 3 (QEMU's published format description, docs/interop/qcow2).
 * Everything bty does not read is refused here by its name, before anything is written.
 */
import type { Failure } from '../../shared/failure.ts';
import { failure } from '../../shared/failure.ts';

export const format = 'qcow2';
/** "QFI\xfb", the first four bytes. */
export const magic = 0x514649fb;

export interface Qcow2Header {
  readonly version: 2 | 3;
  /** Bytes of the disk that the image describes. */
  readonly virtualSize: number;
  /** Bytes; a power of two from 512 to 2 MiB. */
  readonly clusterSize: number;
  readonly clusterBits: number;
  /** Bytes of one second-level table entry: 16 with subclusters, else 8. */
  readonly entrySize: 8 | 16;
  /** True when a cluster consists of 32 subclusters ("Extended L2 Entries"). */
  readonly subclusters: boolean;
  readonly compression: 'zlib' | 'zstd';
  /** Where the first-level table lies in the image file, in bytes. */
  readonly l1Offset: number;
  /** Entries of the first-level table that describe the disk (the file may hold more, for saved states). */
  readonly l1Entries: number;
  /** Guest bytes that one second-level table describes. */
  readonly tableSpan: number;
  /** Internal snapshots, which are not read. */
  readonly snapshots: number;
  /** What a person should know of an image that is read all the same. */
  readonly notes: readonly string[];
}

const clusterBitsLowest = 9;
const clusterBitsHighest = 21;
const subclusterBitsLowest = 14;
const subclusterCount = 32;
/** qemu's own limit for the first-level table. */
const l1BytesLimit = 32 * 2 ** 20;
const version2Length = 72;
const version3Length = 104;
const compressionTypeAt = 104;
const backingNameLimit = 1023;

const Incompatible = {
  dirty: 1n << 0n,
  corrupt: 1n << 1n,
  dataFile: 1n << 2n,
  compression: 1n << 3n,
  subclusters: 1n << 4n,
} as const;
const incompatibleKnown = Object.values(Incompatible).reduce((all, bit) => all | bit, 0n);

const ExtensionType = { end: 0, featureNames: 0x6803f857, dataFile: 0x44415441 } as const;

interface Extensions {
  readonly featureNames: ReadonlyMap<number, string>;
  readonly dataFile: string | null;
}

/** True when `bytes` start with the qcow2 magic number. */
export function isQcow2(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(0) === magic;
}

/**
 * Parses the start of the image file. `bytes` is the first cluster, or as much of it as is at hand: 112 bytes
 * suffice, more only lets refusals name the backing file, data file or feature.
 * Throws IMAGE_UNSUPPORTED, IMAGE_CORRUPT or IMAGE_TRUNCATED.
 */
export function parseHeader(bytes: Uint8Array, image: string): Qcow2Header {
  const view = viewOf(bytes);
  if (bytes.length < 8) throw failure('IMAGE_TRUNCATED', { image, format, offset: bytes.length });
  if (view.getUint32(0) !== magic) throw corrupt(image, 'it does not start with the qcow2 magic number', 0);
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw unsupported(image, `format version ${version}`);
  const length = headerLength(view, version, image);

  const clusterBits = view.getUint32(20);
  const clusterBitsValid = clusterBits >= clusterBitsLowest && clusterBits <= clusterBitsHighest;
  const clusterSize = clusterBitsValid ? 2 ** clusterBits : 2 ** clusterBitsHighest;
  const features = version === 3 ? view.getBigUint64(72) : 0n;
  const extensions = parseExtensions(bytes.subarray(0, clusterSize), length);

  refuseFeatures(features, extensions, image);
  refuseEncryption(view.getUint32(32), image);
  refuseBacking(view, bytes.subarray(0, clusterSize), image);
  if (!clusterBitsValid) throw corrupt(image, `its cluster size is 2^${clusterBits} bytes`, 20);
  if (length > clusterSize) throw corrupt(image, `its header takes ${length} bytes`, 100);
  if (version === 3 && view.getUint32(96) > 6) throw corrupt(image, 'its refcount width is too large', 96);
  const subclusters = (features & Incompatible.subclusters) !== 0n;
  if (subclusters && clusterBits < subclusterBitsLowest)
    throw corrupt(image, `its clusters of ${clusterSize} bytes are too small for subclusters`, 20);

  const compressionType = version === 3 && length > compressionTypeAt ? view.getUint8(compressionTypeAt) : 0;
  const compression = compressionOf(compressionType, (features & Incompatible.compression) !== 0n, image);
  const entrySize = subclusters ? 16 : 8;
  const tableSpan = (clusterSize / entrySize) * clusterSize;
  const size = view.getBigUint64(24);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw unsupported(image, `a virtual size of ${size} bytes`);
  const virtualSize = Number(size);
  const snapshots = view.getUint32(60);
  return {
    version,
    virtualSize,
    clusterSize,
    clusterBits,
    entrySize,
    subclusters,
    compression,
    ...firstLevel(view, virtualSize, tableSpan, clusterSize, image),
    tableSpan,
    snapshots,
    notes: notesOf(features, snapshots),
  };
}

function headerLength(view: DataView, version: 2 | 3, image: string): number {
  const least = version === 2 ? version2Length : version3Length;
  if (view.byteLength < least) throw failure('IMAGE_TRUNCATED', { image, format, offset: view.byteLength });
  if (version === 2) return version2Length;
  const length = view.getUint32(100);
  if (length < version3Length || length % 8 !== 0)
    throw corrupt(image, `its header claims ${length} bytes`, 100);
  if (view.byteLength < Math.min(length, compressionTypeAt + 8))
    throw failure('IMAGE_TRUNCATED', { image, format, offset: view.byteLength });
  return length;
}

function firstLevel(
  view: DataView,
  virtualSize: number,
  tableSpan: number,
  clusterSize: number,
  image: string,
): { readonly l1Offset: number; readonly l1Entries: number } {
  const stored = view.getUint32(36);
  const offset = view.getBigUint64(40);
  if (stored * 8 > l1BytesLimit) throw unsupported(image, `a first-level table of ${stored} entries`);
  const l1Entries = Math.ceil(virtualSize / tableSpan);
  if (stored < l1Entries)
    throw corrupt(image, `its first-level table has ${stored} entries, the disk needs ${l1Entries}`, 36);
  const unplaced = l1Entries > 0 && offset === 0n;
  if (unplaced || offset % BigInt(clusterSize) !== 0n || offset > BigInt(Number.MAX_SAFE_INTEGER))
    throw corrupt(image, `its first-level table lies at byte ${offset}`, 40);
  return { l1Offset: Number(offset), l1Entries };
}

function refuseFeatures(features: bigint, extensions: Extensions, image: string): void {
  for (let bit = 0; bit < 64; bit++) {
    if ((features & ~incompatibleKnown & (1n << BigInt(bit))) === 0n) continue;
    const name = extensions.featureNames.get(bit);
    throw unsupported(
      image,
      name ? `the unknown feature "${name}" (bit ${bit})` : `the unknown feature bit ${bit}`,
    );
  }
  if ((features & Incompatible.dataFile) !== 0n)
    throw unsupported(image, named('an external data file', extensions.dataFile));
  if ((features & Incompatible.corrupt) !== 0n)
    throw corrupt(image, 'its own header marks it as corrupt; qemu-img check -r all may repair it');
}

function refuseEncryption(method: number, image: string): void {
  if (method === 0) return;
  if (method === 1) throw unsupported(image, 'AES encryption');
  if (method === 2) throw unsupported(image, 'LUKS encryption');
  throw unsupported(image, `unknown encryption (method ${method})`);
}

function refuseBacking(view: DataView, head: Uint8Array, image: string): void {
  const offset = view.getBigUint64(8);
  if (offset === 0n) return;
  const length = view.getUint32(16);
  const start = Number(offset);
  const whole = length <= backingNameLimit && start + length <= head.length;
  throw unsupported(image, named('a backing file', whole ? text(head, start, length) : null));
}

function compressionOf(type: number, announced: boolean, image: string): 'zlib' | 'zstd' {
  if (announced !== (type !== 0))
    throw corrupt(image, `compression type ${type} contradicts its feature bit`, compressionTypeAt);
  if (type === 0) return 'zlib';
  if (type === 1) return 'zstd';
  throw unsupported(image, `unknown compression (type ${type})`);
}

/** Reads header extensions as far as `bytes` reach; a damaged list ends early, as it only serves refusals. */
function parseExtensions(bytes: Uint8Array, start: number): Extensions {
  const view = viewOf(bytes);
  const featureNames = new Map<number, string>();
  let dataFile: string | null = null;
  let at = start;
  while (at + 8 <= bytes.length) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === ExtensionType.end || at + 8 + length > bytes.length) break;
    if (type === ExtensionType.dataFile) dataFile = text(bytes, at + 8, length);
    if (type === ExtensionType.featureNames) {
      for (let entry = at + 8; entry + 48 <= at + 8 + length; entry += 48) {
        const incompatible = view.getUint8(entry) === 0;
        if (incompatible) featureNames.set(view.getUint8(entry + 1), text(bytes, entry + 2, 46));
      }
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return { featureNames, dataFile };
}

function notesOf(features: bigint, snapshots: number): string[] {
  const notes: string[] = [];
  if ((features & Incompatible.dirty) !== 0n)
    notes.push(
      'The image was not closed cleanly; only its reference counts may be stale, which reading ignores.',
    );
  if (snapshots > 0)
    notes.push(
      `The image holds ${snapshots} internal snapshot${snapshots === 1 ? '' : 's'}; its current state is used.`,
    );
  return notes;
}

/** Bytes of one subcluster. */
export function subclusterSize(header: Qcow2Header): number {
  return header.clusterSize / subclusterCount;
}

export function corrupt(image: string, problem: string, offset?: number): Failure {
  return failure('IMAGE_CORRUPT', { image, format, problem, ...(offset === undefined ? {} : { offset }) });
}

function unsupported(image: string, feature: string): Failure {
  return failure('IMAGE_UNSUPPORTED', { image, format, feature });
}

function named(what: string, name: string | null): string {
  return name ? `${what} (${name})` : what;
}

/** A name stored by others: UTF-8 up to the first zero byte, without control characters, of bearable length. */
function text(bytes: Uint8Array, start: number, length: number): string {
  const raw = bytes.slice(start, start + length);
  const zero = raw.indexOf(0);
  const whole = new TextDecoder().decode(zero < 0 ? raw : raw.subarray(0, zero));
  const shown = whole.replace(/\p{C}/gu, '\ufffd').trim();
  return shown.length > 200 ? `${shown.slice(0, 200)}\u2026` : shown;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
