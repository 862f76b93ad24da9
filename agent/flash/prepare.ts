import { failure } from '../../shared/failure.ts';
import type { VerifyMode } from '../../shared/flash/event.ts';
import { formatName, type Layout, type Packing } from '../../shared/image.ts';
import type { BlockMap } from '../bmap/parse.ts';
import { readPartitionTable } from '../inspect/partitions.ts';
import { layoutMismatch, recognise, recogniseInner, recogniseTail } from '../inspect/recognise.ts';
import { qcow2VirtualSize, unpackedSize } from '../inspect/size.ts';
import { type UnpackedSize, unknownSize } from '../inspect/unpackedsize.ts';
import { openQcow2 } from '../qcow2/qcow2.ts';
import { orAborted } from '../source/abort.ts';
import type { FileSource } from '../source/file.ts';
import { openSource } from '../source/open.ts';
import { type ImageSource, type RandomReader, readFully, titleOf } from '../source/source.ts';
import type { PackedAs } from '../unpack/packings.ts';
import type { ExtentReader, FlashPlan } from './plan.ts';

/** What a person asked for. */
export interface FlashRequest {
  readonly image: string;
  /** Catalog in which a name is looked up; undefined for the configured one. */
  readonly catalog: string | undefined;
  /** The image is a name in the catalog, whatever else it looks like. */
  readonly named?: boolean | undefined;
  readonly verify: VerifyMode;
  readonly sparse: boolean;
  /** Takes an image that its own partition table says was cut short. */
  readonly allowCut?: boolean;
  /** SHA-256 that the stored bytes must have, in lower-case hex. */
  readonly sha256: string | undefined;
  readonly computeSha256: boolean;
  /** Path of a block map, "auto" to look beside the image, undefined for none. */
  readonly bmap: string | undefined;
}

export interface Prepared {
  readonly plan: FlashPlan;
  readonly size: UnpackedSize;
  readonly notes: readonly string[];
  readonly close: () => Promise<void>;
}

/** Opens the image and decides how it will be read. Writes nothing. Rejects with the image's failure. */
export async function prepareFlash(request: FlashRequest, signal: AbortSignal): Promise<Prepared> {
  const notes: string[] = [];
  let hear = (text: string): void => void notes.push(text);
  const opened = await openSource(request.image, {
    signal,
    catalog: request.catalog,
    named: request.named,
    onNotice: (text) => hear(text),
  });
  const { source } = opened;
  try {
    const digest = expectedDigest(request, opened.expected.sha256, source);
    const looked = await look(source, notes, signal);
    const { packing, layout } = looked;
    const size = await sizeOf(source, packing, layout);
    const blockMap = await blockMapOf(request, layout, source, { notes, signal });
    const read = await readingOf(source, looked, blockMap, digest !== null, notes);
    const imageBytes = read.imageBytes ?? (size.exact ? size.bytes : null);
    if (layout === 'raw') notes.push(...(await tableProblems(source, looked, imageBytes, request.allowCut)));
    if (blockMap) checkBlockMap(blockMap, imageBytes, size.atLeast, source);
    if (imageBytes === null && !blockMap) notes.push(sizeNote(size, source));
    const plan: FlashPlan = {
      image: source.name,
      format: formatName(packing, layout),
      source,
      reading: read.reading,
      // The image must have the size that the map states, or the flash fails.
      imageBytes: imageBytes ?? blockMap?.imageSize ?? null,
      verify: request.verify,
      sparse: request.sparse,
      sha256: {
        compute: digest !== null || (request.computeSha256 && read.reading.kind !== 'extents'),
        expected: digest,
      },
      blockMap,
      listen: (tell) => {
        hear = tell;
      },
      checkStart: (head) => (read.reading.kind === 'packed' ? checkStart(head, source) : layout),
    };
    return { plan, size, notes, close: () => source.close() };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function expectedDigest(request: FlashRequest, declared: string | null, source: ImageSource): string | null {
  const { sha256 } = request;
  if (sha256 && declared && sha256 !== declared) {
    throw failure('DIGEST_MISMATCH', {
      image: source.name,
      expected: sha256,
      actual: `${declared} by its description`,
    });
  }
  return sha256 ?? declared;
}

interface Looked {
  readonly packing: Packing;
  readonly layout: Layout;
  /** The first bytes of what is inside the packing, as far as they could be unpacked. */
  readonly start: Uint8Array;
}

async function look(source: ImageSource, notes: string[], signal: AbortSignal): Promise<Looked> {
  const head = await orAborted(source.head(), signal);
  const image = titleOf(source.location);
  // Standard input has no name that could say "raw"; what is none of the known formats is taken as raw there.
  const name = source.location === '-' ? 'stdin.img' : source.name;
  const found = recognise(head, name, image);
  notes.push(...found.notes);
  if (found.mismatch && source.location !== '-') notes.push(found.mismatch);
  if (found.layout !== null) {
    if (source.random && found.layout === 'raw') {
      const { size } = source.random;
      recogniseTail(await readFully(source.random, Math.max(0, size - 512), Math.min(512, size)), image);
    }
    return { packing: found.packing, layout: found.layout, start: head };
  }
  // What is packed tells itself by its first bytes, where the stored start is enough to unpack some.
  const packed = await packedAs(source, found.packing as Exclude<Packing, 'raw'>);
  const { unpackStart } = await import('../unpack/start.ts');
  let start = await unpackStart(packed, head, image);
  // A block of bzip2 or xz may be longer than the head; more of it is at hand where the source can seek.
  if (start.length === 0 && source.random)
    start = await unpackStart(packed, await readFully(source.random, 0, 2 << 20), image);
  if (start.length === 0) return { packing: found.packing, layout: 'raw', start };
  const inner = recogniseInner(start, image, packed.packing === 'zip' ? packed.entry.name : source.name);
  notes.push(...inner.notes);
  const mismatch = source.location === '-' ? null : layoutMismatch(name, found.packing, inner.layout);
  if (mismatch && !found.mismatch) notes.push(mismatch);
  return { packing: found.packing, layout: inner.layout, start };
}

/**
 * What is wrong with the partition table. Rejects with IMAGE_CUT when a partition lies beyond the end of the image,
 * unless `allowCut`. The partition of an isohybrid may end later: it is rounded up to cylinders that nobody reads.
 */
async function tableProblems(
  source: ImageSource,
  looked: Looked,
  imageBytes: number | null,
  allowCut = false,
): Promise<readonly string[]> {
  const { packing, start } = looked;
  const prefix: RandomReader = {
    size: start.length,
    read: async (into, position) => {
      const part = start.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
  };
  const reader = packing === 'raw' && source.random ? source.random : prefix;
  const { problems, partitions, isohybrid } = await readPartitionTable(reader, { diskBytes: imageBytes });
  const needed = partitions.reduce((most, { start, size }) => Math.max(most, start + size), 0);
  if (imageBytes !== null && needed > imageBytes && !isohybrid && !allowCut) {
    throw failure('IMAGE_CUT', { image: titleOf(source.location), imageBytes, needed });
  }
  return problems.map((problem) => `The partition table is doubtful: ${problem}`);
}

async function packedAs(source: ImageSource, packing: Exclude<Packing, 'raw'>): Promise<PackedAs> {
  if (packing !== 'zip') return { packing };
  if (!source.random) {
    throw failure('IMAGE_NOT_STREAMABLE', {
      image: titleOf(source.location),
      format: 'zip',
      reason: 'its directory stands at its end',
    });
  }
  const { openZipEntry } = await import('../inspect/zipentry.ts');
  return { packing, entry: await openZipEntry(source.random, titleOf(source.location)) };
}

async function sizeOf(source: ImageSource, packing: Packing, layout: Layout): Promise<UnpackedSize> {
  if (packing === 'raw' && layout === 'raw') {
    return source.size === null ? unknownSize : { bytes: source.size, exact: true, atLeast: source.size };
  }
  if (!source.random) return unknownSize;
  const fetches = source.kind === 'file' ? {} : { fetches: 16 };
  return packing === 'raw'
    ? unknownSize
    : unpackedSize(packing, source.random, titleOf(source.location), fetches);
}

async function readingOf(
  source: ImageSource,
  { packing, layout, start }: Looked,
  blockMap: BlockMap | null,
  digestWanted: boolean,
  notes: string[],
): Promise<{ reading: FlashPlan['reading']; imageBytes: number | null }> {
  const image = titleOf(source.location);
  if (layout === 'qcow2') {
    if (packing === 'raw' && source.random && (source.kind === 'file' || !digestWanted)) {
      const reader = await openQcow2(source.random, image);
      notes.push(...reader.notes);
      return {
        reading: { kind: 'extents', reader: unchanging(reader, source) },
        imageBytes: reader.virtualSize,
      };
    }
    const packed = packing === 'raw' ? null : await packedAs(source, packing);
    return { reading: { kind: 'qcow2', packed }, imageBytes: qcow2VirtualSize(start, image) };
  }
  if (packing !== 'raw') {
    return { reading: { kind: 'packed', packed: await packedAs(source, packing) }, imageBytes: null };
  }
  if (blockMap && source.kind === 'file' && source.random) {
    const reader = unchanging(mappedReader(source.random, blockMap), source);
    return { reading: { kind: 'extents', reader }, imageBytes: source.size };
  }
  return { reading: { kind: 'raw' }, imageBytes: source.size };
}

/** Streams notice by themselves that a file changed; what reads here and there has to look at its end. */
function unchanging(reader: ExtentReader, source: ImageSource): ExtentReader {
  return {
    size: reader.size,
    read: (into, position) => reader.read(into, position),
    async *extents(start, end) {
      yield* reader.extents(start, end);
      if (isFileSource(source)) await source.checkUnchanged();
    },
  };
}

function isFileSource(source: ImageSource): source is FileSource {
  return source.kind === 'file' && 'checkUnchanged' in source;
}

/** A raw image of which only the ranges of a block map are read. */
function mappedReader(reader: RandomReader, { ranges }: BlockMap): ExtentReader {
  return {
    size: reader.size,
    read: (into, position) => reader.read(into, position),
    async *extents() {
      for (const { offset, length } of ranges) yield { offset, length, kind: 'data' as const };
    },
  };
}

async function blockMapOf(
  { bmap, image }: FlashRequest,
  layout: Layout,
  source: ImageSource,
  { notes, signal }: { readonly notes: string[]; readonly signal: AbortSignal },
): Promise<BlockMap | null> {
  if (!bmap) return null;
  if (layout === 'qcow2') {
    if (bmap !== 'auto') {
      throw failure('IMAGE_UNSUPPORTED', {
        image: titleOf(source.location),
        format: 'qcow2',
        feature: 'a block map beside it',
      });
    }
    notes.push('A qcow2 image tells by itself what it holds; no block map was looked for.');
    return null;
  }
  const { findBmap } = await import('../bmap/find.ts');
  const path = bmap === 'auto' ? await findBmap(image, signal) : bmap;
  if (path === null) {
    notes.push('No block map was found beside the image; all of it is written.');
    return null;
  }
  const { loadBmap } = await import('../bmap/parse.ts');
  const blockMap = await loadBmap(path, { signal });
  if (blockMap.ranges.length === 0) {
    throw failure('BMAP_INVALID', {
      bmap: blockMap.name,
      problem: 'it maps no block, so there is nothing to write',
    });
  }
  if (blockMap.signature)
    notes.push(`The block map carries a signature (${blockMap.signature}), which was not checked.`);
  return blockMap;
}

/** `bytes` is the size of the image where it is known, `atLeast` what it has in any case. */
function checkBlockMap(map: BlockMap, bytes: number | null, atLeast: number, source: ImageSource): void {
  if (bytes === null ? atLeast <= map.imageSize : bytes === map.imageSize) return;
  const actual = bytes === null ? `at least ${atLeast}` : `${bytes}`;
  const problem = `the map is for an image of ${map.imageSize} bytes, this one has ${actual}`;
  throw failure('BMAP_MISMATCH', { bmap: map.name, image: source.name, problem });
}

function sizeNote(size: UnpackedSize, source: ImageSource): string {
  const least = size.atLeast > 0 ? ` It has at least ${size.atLeast} bytes.` : '';
  return `How large ${source.name} is when unpacked is known only at its end.${least}`;
}

function checkStart(head: Uint8Array, source: ImageSource): Layout {
  const { layout } = recogniseInner(head, titleOf(source.location), source.name);
  if (layout === 'qcow2') {
    throw failure('IMAGE_UNSUPPORTED', {
      image: titleOf(source.location),
      format: 'qcow2',
      feature: 'a packing around it',
    });
  }
  return layout;
}
