/**
 * The two levels of tables that map the disk (guest) to the image file (host), as pure functions over their
 * bytes: "Cluster mapping" and "Extended L2 Entries" of QEMU's qcow2 description.
 */
import { failure } from '../../shared/failure.ts';
import { corrupt, format, type Qcow2Header, subclusterSize } from './header.ts';

/** A stretch of the disk, in guest order; `guest`, `host`, `length` and `stored` are bytes. */
export type Run = ZeroRun | DataRun | CompressedRun;
export interface ZeroRun {
  readonly kind: 'zero';
  readonly guest: number;
  readonly length: number;
}
export interface DataRun {
  readonly kind: 'data';
  readonly guest: number;
  readonly length: number;
  readonly host: number;
}
/** Part of one compressed cluster: `skip` bytes of the unpacked cluster lie before `guest`. */
export interface CompressedRun {
  readonly kind: 'compressed';
  readonly guest: number;
  readonly length: number;
  readonly skip: number;
  readonly host: number;
  /** Most bytes that the packed cluster can take: its end is rounded up to a 512-byte sector. */
  readonly stored: number;
}

/** The image a table belongs to. */
export interface TableContext {
  readonly header: Qcow2Header;
  readonly image: string;
  /** Bytes of the image file; Infinity while it is still arriving. */
  readonly storedSize: number;
}

const sector = 512;
const high = 2 ** 32;
/** Bits 56-63 of an entry and what they hold: 63 "refcount is one", 62 "compressed", the rest must be 0. */
const compressedFlag = 0x40000000;
const l1ReservedHigh = 0x7f000000;
const l2ReservedHigh = 0x3f000000;
const reservedLow = 0x1ff;
const zeroFlag = 1;

/**
 * Places of the second-level tables in the image file, in bytes, 0 for "nothing allocated".
 * Throws IMAGE_CORRUPT for entries that are malformed, or that share a table (which no writer does and which
 * would let a small file describe endless work), IMAGE_TRUNCATED for tables beyond the end of the file.
 */
export function tableOffsets(l1: Uint8Array, context: TableContext): Float64Array {
  const { header, image, storedSize } = context;
  const view = new DataView(l1.buffer, l1.byteOffset, l1.byteLength);
  const offsets = new Float64Array(header.l1Entries);
  const l1End = header.l1Offset + header.l1Entries * 8;
  for (let index = 0; index < offsets.length; index++) {
    const upper = view.getUint32(index * 8);
    const lower = view.getUint32(index * 8 + 4);
    const start = offsetIn(upper, lower);
    const place = header.l1Offset + index * 8;
    if ((upper & l1ReservedHigh) !== 0 || (lower & reservedLow) !== 0)
      throw corrupt(image, 'a first-level table entry has reserved bits set', place);
    if (start === 0) continue;
    if (start % header.clusterSize !== 0)
      throw corrupt(image, 'a second-level table is not aligned to a cluster', place);
    if (start < l1End && start + header.clusterSize > header.l1Offset)
      throw corrupt(image, 'a second-level table overlaps the first-level table', place);
    if (start + header.clusterSize > storedSize)
      throw failure('IMAGE_TRUNCATED', { image, format, offset: storedSize });
    offsets[index] = start;
  }
  const sorted = offsets.toSorted();
  for (let index = 1; index < sorted.length; index++) {
    const offset = sorted[index] ?? 0;
    if (offset !== 0 && offset === sorted[index - 1])
      throw corrupt(image, 'two first-level table entries share a second-level table', offset);
  }
  return offsets;
}

/**
 * Runs of the guest bytes from `from` to `to` that `table` describes, neighbours merged. `table` is null where
 * nothing is allocated; `tableGuest` is the first guest byte it describes, and the range lies within its span.
 * Throws IMAGE_CORRUPT or IMAGE_TRUNCATED at the first bad entry.
 */
export function* tableRuns(
  table: DataView | null,
  tableGuest: number,
  from: number,
  to: number,
  context: TableContext,
): Generator<Run> {
  if (from >= to) return;
  if (table === null) {
    yield { kind: 'zero', guest: from, length: to - from };
    return;
  }
  let last: Run | null = null;
  for (const piece of pieces(table, tableGuest, from, to, context)) {
    const joined: Run | null = last === null ? null : join(last, piece);
    if (last !== null && joined === null) yield last;
    last = joined ?? piece;
  }
  if (last !== null) yield last;
}

/** `first` and `second` as one run, null when they do not continue one another. */
export function join(first: Run, second: Run): Run | null {
  if (first.guest + first.length !== second.guest) return null;
  const length = first.length + second.length;
  if (first.kind === 'zero' && second.kind === 'zero') return { ...first, length };
  if (first.kind === 'data' && second.kind === 'data' && first.host + first.length === second.host)
    return { ...first, length };
  return null;
}

function* pieces(
  table: DataView,
  tableGuest: number,
  from: number,
  to: number,
  context: TableContext,
): Generator<Run> {
  const { clusterSize, entrySize, subclusters } = context.header;
  const first = Math.floor((from - tableGuest) / clusterSize);
  for (let index = first; ; index++) {
    const cluster = tableGuest + index * clusterSize;
    if (cluster >= to) return;
    const guest = Math.max(from, cluster);
    const length = Math.min(to, cluster + clusterSize) - guest;
    const at = index * entrySize;
    const upper = table.getUint32(at);
    const lower = table.getUint32(at + 4);
    if ((upper & compressedFlag) !== 0) {
      yield compressedPiece(upper, lower, guest, length, guest - cluster, context);
    } else if (!subclusters) {
      yield clusterPiece(upper, lower, guest, length, guest - cluster, context);
    } else {
      yield* subclusterPieces(table, at, cluster, guest, length, context);
    }
  }
}

function compressedPiece(
  upper: number,
  lower: number,
  guest: number,
  length: number,
  skip: number,
  { header, image, storedSize }: TableContext,
): Run {
  // "Compressed Clusters Descriptor": the sector count takes clusterBits - 8 bits below bit 62, the offset the
  // rest; at most 2^61 here, and what numbers cannot hold exactly lies beyond any file.
  const countShift = 62 - (header.clusterBits - 8) - 32;
  const countMask = 2 ** (header.clusterBits - 8) - 1;
  const host = (upper & (2 ** countShift - 1)) * high + lower;
  const additional = (upper >>> countShift) & countMask;
  if (host === 0) throw corrupt(image, 'a compressed cluster lies over the header', 0);
  if (host >= storedSize) throw failure('IMAGE_TRUNCATED', { image, format, offset: storedSize });
  const stored = (additional + 1) * sector - (host % sector);
  return { kind: 'compressed', guest, length, skip, host, stored };
}

function clusterPiece(
  upper: number,
  lower: number,
  guest: number,
  length: number,
  skip: number,
  context: TableContext,
): Run {
  const zero = (lower & zeroFlag) !== 0;
  if (zero && context.header.version === 2)
    throw corrupt(context.image, 'a version 2 image has a zero cluster, which version 2 does not know');
  const host = hostCluster(upper, lower & ~zeroFlag, context);
  if (zero || host === 0) return { kind: 'zero', guest, length };
  return { kind: 'data', guest, length, host: host + skip };
}

function* subclusterPieces(
  table: DataView,
  at: number,
  cluster: number,
  guest: number,
  length: number,
  context: TableContext,
): Generator<Run> {
  const zero = table.getUint32(at + 8);
  const allocated = table.getUint32(at + 12);
  const host = hostCluster(table.getUint32(at), table.getUint32(at + 4), context);
  if ((zero & allocated) !== 0)
    throw corrupt(context.image, 'a subcluster is marked both as data and as zeros', host);
  if (allocated !== 0 && host === 0)
    throw corrupt(context.image, 'a subcluster with data has no place in the file');
  if (allocated === 0) {
    yield { kind: 'zero', guest, length };
    return;
  }
  const size = subclusterSize(context.header);
  const end = guest + length;
  for (let index = Math.floor((guest - cluster) / size); cluster + index * size < end; index++) {
    const start = Math.max(guest, cluster + index * size);
    const count = Math.min(end, cluster + (index + 1) * size) - start;
    if (((allocated >>> index) & 1) === 0) yield { kind: 'zero', guest: start, length: count };
    else yield { kind: 'data', guest: start, length: count, host: host + start - cluster };
  }
}

/** Place of a standard cluster, 0 when it has none. It must start within the file; its tail may lie beyond. */
function hostCluster(upper: number, lower: number, { header, image, storedSize }: TableContext): number {
  if ((upper & l2ReservedHigh) !== 0 || (lower & reservedLow) !== 0)
    throw corrupt(image, 'a second-level table entry has reserved bits set');
  const host = offsetIn(upper, lower);
  if (host % header.clusterSize !== 0)
    throw corrupt(image, 'a second-level table entry is not aligned to a cluster', host);
  if (host >= storedSize) throw failure('IMAGE_TRUNCATED', { image, format, offset: storedSize });
  return host;
}

/** Bits 9-55; a value beyond 2^53 is rounded, and lies beyond any file. */
function offsetIn(upper: number, lower: number): number {
  return (upper & 0x00ffffff) * high + ((lower & ~reservedLow) >>> 0);
}
