/** All that can be told about an image without flashing it. */

import { Failure, type FailureCode } from '../../shared/failure.ts';
import { formatName, guessByName, type Layout, type Packing } from '../../shared/image.ts';
import { type ImageSource, type RandomReader, readFully, titleOf } from '../source/source.ts';
import { type PartitionTable, readPartitionTable } from './partitions.ts';
import { type UnpackPrefix, unpackPrefix } from './prefix.ts';
import { layoutMismatch, recognise, recogniseInner, recogniseTail } from './recognise.ts';
import { qcow2VirtualSize, unpackedSize } from './size.ts';
import { exactSize, type UnpackedSize, unknownSize } from './unpackedsize.ts';
import { openZipEntry, type ZipEntry } from './zipentry.ts';

export interface Inspection {
  /** Wire name, for example `img.zst`. */
  readonly format: string;
  readonly packing: Packing;
  readonly layout: Layout;
  /** Bytes as stored; null when the source does not tell. */
  readonly storedBytes: number | null;
  /** Bytes of the disk that flashing would write; null when not known. */
  readonly virtualBytes: number | null;
  /** False when `virtualBytes` is a guess. */
  readonly virtualExact: boolean;
  /** The disk has at least this many bytes. */
  readonly virtualAtLeast: number;
  /** Null when the first bytes of the disk could not be had. */
  readonly partitionTable: PartitionTable | null;
  /** Name of the image inside a zip. */
  readonly entry: string | null;
  /** A sentence when name and content disagree. */
  readonly mismatch: string | null;
  readonly notes: readonly string[];
  /** Why flashing this image would fail, as far as was seen: damage, or a feature that is not read. */
  readonly obstacle: Failure | null;
}

export interface InspectOptions {
  /** How the first bytes of packed images are had; by default only gz, zst and zip are unpacked. */
  readonly unpackPrefix?: UnpackPrefix;
  /** Gives the disk inside a qcow2 image; without it its partitions are not read. */
  readonly openQcow2?: (
    reader: RandomReader,
    image: string,
  ) => Promise<RandomReader & { readonly notes?: readonly string[] }>;
  readonly signal?: AbortSignal;
}

/** Image bytes that are unpacked: a partition table and the start of a first partition at 1 MiB. */
const PREFIX_BYTES = 2 * 1024 * 1024;
/** Reads of a source over a network that may be spent on learning a size. */
const REMOTE_FETCHES = 16;

/** What the layers below found, put together by {@link inspectImage}. */
interface Content {
  readonly layout: Layout;
  readonly size: UnpackedSize;
  readonly partitionTable: PartitionTable | null;
  readonly entry: string | null;
  readonly notes: readonly string[];
  readonly obstacle: Failure | null;
}

/**
 * Recognises `source`, learns its size, and reads its partition table and file systems as far as their bytes are
 * within reach: everywhere in a raw or qcow2 image with random access, in the first 2 MiB of a packed one. Reads little
 * and writes nothing. Rejects when this is no image at all (IMAGE_EMPTY, IMAGE_REFUSED, IMAGE_UNSUPPORTED,
 * FORMAT_UNKNOWN, or IMAGE_CORRUPT by its first bytes), when `source` does, and with the signal's reason; damage of
 * an image is told as `obstacle`.
 */
export async function inspectImage(source: ImageSource, options: InspectOptions = {}): Promise<Inspection> {
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const head = await source.head();
  const { packing, layout, mismatch, notes } = recognise(head, source.name, titleOf(source.location));
  signal.throwIfAborted();
  let content: Content;
  if (packing !== 'raw') content = await packedContent(source, packing, options, signal);
  else if (layout === 'qcow2') content = await qcow2Content(source, head, options);
  else content = await rawContent(source, head);
  signal.throwIfAborted();
  return {
    format: formatName(packing, content.layout),
    packing,
    layout: content.layout,
    storedBytes: source.size ?? source.random?.size ?? null,
    virtualBytes: content.size.bytes,
    virtualExact: content.size.exact,
    virtualAtLeast: content.size.atLeast,
    partitionTable: content.partitionTable,
    entry: content.entry,
    mismatch: mismatch ?? layoutMismatch(source.name, packing, content.layout),
    notes: [...notes, ...content.notes],
    obstacle: content.obstacle,
  };
}

async function rawContent(source: ImageSource, head: Uint8Array): Promise<Content> {
  const { random } = source;
  const bytes = source.size ?? random?.size ?? null;
  if (random) {
    const tail = await readFully(random, Math.max(0, random.size - 512), Math.min(512, random.size));
    recogniseTail(tail, titleOf(source.location));
  }
  const partitionTable = await readPartitionTable(random ?? bytesReader(head), { diskBytes: bytes });
  const size = bytes === null ? unknownSize : exactSize(bytes);
  return { layout: 'raw', size, partitionTable, entry: null, notes: [], obstacle: null };
}

async function qcow2Content(
  source: ImageSource,
  head: Uint8Array,
  options: InspectOptions,
): Promise<Content> {
  const { location, random } = source;
  const base = { layout: 'qcow2', partitionTable: null, entry: null, notes: [], obstacle: null } as const;
  const size = await attempt(async () => exactSize(qcow2VirtualSize(head, location)));
  if (size instanceof Failure) return { ...base, size: unknownSize, obstacle: size };
  if (!options.openQcow2 || !random) return { ...base, size };
  const { openQcow2 } = options;
  const table = await attempt(async () => {
    const disk = await openQcow2(random, location);
    return { notes: disk.notes ?? [], partitionTable: await readPartitionTable(disk) };
  });
  return table instanceof Failure ? { ...base, size, obstacle: table } : { ...base, size, ...table };
}

async function packedContent(
  source: ImageSource,
  packing: Exclude<Packing, 'raw'>,
  options: InspectOptions,
  signal: AbortSignal,
): Promise<Content> {
  const notes: string[] = [];
  const { location, random } = source;
  let entry: ZipEntry | null = null;
  if (packing === 'zip' && random) entry = await openZipEntry(random, location);
  const size = entry ? exactSize(entry.size) : await sizeOf(source, packing);
  signal.throwIfAborted();
  const unpack = options.unpackPrefix ?? unpackPrefix;
  const unpacked = await attempt(() => unpack({ source, packing, entry, bytes: PREFIX_BYTES, signal }));
  const known = size instanceof Failure ? unknownSize : size;
  let obstacle = size instanceof Failure ? size : null;
  if (unpacked instanceof Failure) obstacle ??= unpacked;
  const prefix = unpacked instanceof Failure || unpacked === null ? new Uint8Array(0) : unpacked;
  const shared = { entry: entry?.name ?? null, notes, obstacle };
  if (prefix.length === 0 && known.bytes !== 0) {
    notes.push('What is inside was not looked at.');
    return { ...shared, layout: announcedLayout(source.name), size: known, partitionTable: null };
  }
  const inner = recogniseInner(prefix, location, entry?.name ?? source.name);
  notes.push(...inner.notes);
  if (inner.layout === 'qcow2') {
    const virtual = await attempt(async () => exactSize(qcow2VirtualSize(prefix, location)));
    const failed = virtual instanceof Failure;
    return {
      ...shared,
      layout: 'qcow2',
      size: failed ? unknownSize : virtual,
      partitionTable: null,
      obstacle: obstacle ?? (failed ? virtual : null),
    };
  }
  const diskBytes = known.exact ? known.bytes : null;
  const partitionTable = await readPartitionTable(bytesReader(prefix), { diskBytes });
  if (prefix.length !== diskBytes && partitionTable.partitions.length > 0) {
    notes.push(`File systems were looked for in the first ${prefix.length} unpacked bytes only.`);
  }
  return { ...shared, layout: 'raw', size: known, partitionTable };
}

async function sizeOf(source: ImageSource, packing: Packing): Promise<UnpackedSize | Failure> {
  const { random, location } = source;
  if (!random) return unknownSize;
  const options = source.kind === 'file' ? {} : { fetches: REMOTE_FETCHES };
  return await attempt(() => unpackedSize(packing, random, location, options));
}

/** The result of `work`, or the failure when it is the image's own and not one of reading it. */
async function attempt<Result>(work: () => Promise<Result>): Promise<Result | Failure> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Failure && ofImage.includes(error.code)) return error;
    throw error;
  }
}

const ofImage: readonly FailureCode[] = ['IMAGE_TRUNCATED', 'IMAGE_CORRUPT', 'IMAGE_UNSUPPORTED'];

function announcedLayout(name: string): Layout {
  const guess = guessByName(name);
  return guess?.kind === 'image' && guess.layout !== null ? guess.layout : 'raw';
}

function bytesReader(bytes: Uint8Array): RandomReader {
  return {
    size: bytes.length,
    async read(into, position) {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
  };
}
