import { setImmediate } from 'node:timers/promises';
import { redacted } from '../../shared/address.ts';
import { failure } from '../../shared/failure.ts';
import {
  BmapProblem,
  brief,
  digestWithoutItself,
  readDocument,
  type Stated,
  wholeNumber,
} from './document.ts';
import { isAddress, mostBmapBytes, readBmapFile, siblingSignature } from './file.ts';
import { unwrap } from './signature.ts';

/** A part of the image that holds data. */
export interface MappedRange {
  /** In bytes. */
  readonly offset: number;
  readonly length: number;
  /** Digest of the range's bytes in lower-case hex; null where the map states none. */
  readonly checksum: RangeChecksum | null;
}

export interface RangeChecksum {
  /** Name of the algorithm as node:crypto calls it. */
  readonly algorithm: string;
  readonly hex: string;
}

/** Which parts of an image hold data; the others mean nothing. */
export interface BlockMap {
  /** Where the map was read from, as shown to people. */
  readonly name: string;
  /** Version of the format, "2.0". */
  readonly version: string;
  /** Size of the image in bytes. */
  readonly imageSize: number;
  /** In bytes. */
  readonly blockSize: number;
  /** In ascending order, without overlap, within the image. */
  readonly ranges: readonly MappedRange[];
  /** Sum of the ranges' lengths in bytes. */
  readonly mappedBytes: number;
  /** What kind of signature the map carries, null for none. It was not checked. */
  readonly signature: string | null;
}

/** Length of the hex form of each algorithm that a block map may name. */
const digestDigits: Readonly<Record<string, number>> = {
  md5: 32,
  sha1: 40,
  sha224: 56,
  sha256: 64,
  sha384: 96,
  sha512: 128,
};

/** Largest block in bytes; real maps have 4096. */
const largestBlock = 1 << 30;

export interface LoadOptions {
  readonly signal?: AbortSignal;
}

/**
 * Reads the block map at a path or an http(s) address. Rejects with BMAP_INVALID, with SOURCE_UNREACHABLE and its
 * kin, or with the signal's reason.
 */
export async function loadBmap(pathOrUrl: string, options: LoadOptions = {}): Promise<BlockMap> {
  const { signal } = options;
  const name = isAddress(pathOrUrl) ? redacted(pathOrUrl) : pathOrUrl;
  const parsing = parseStepwise(await readBmapFile(pathOrUrl, name, signal), name);
  for (;;) {
    const step = parsing.next();
    if (!step.done) {
      // A map as large as they may be takes seconds, in which a signal must be heard.
      await setImmediate();
      signal?.throwIfAborted();
    } else if (step.value.signature !== null) return step.value;
    else return { ...step.value, signature: await siblingSignature(pathOrUrl, signal) };
  }
}

/**
 * The block map in `bytes`: versions 1.x and 2.x of the format, which bmaptool's files describe in their own
 * comments, alone or within an OpenPGP clear-text signature. Throws BMAP_INVALID.
 */
export function parseBmap(bytes: Uint8Array, name: string): BlockMap {
  const parsing = parseStepwise(bytes, name);
  for (;;) {
    const step = parsing.next();
    if (step.done) return step.value;
  }
}

function* parseStepwise(bytes: Uint8Array, name: string): Generator<void, BlockMap> {
  try {
    if (bytes.length > mostBmapBytes) throw new BmapProblem(`it is larger than ${mostBmapBytes >> 20} MiB`);
    const { content, signature } = unwrap(bytes);
    const stated = yield* readDocument(textOf(content));
    checkFileDigest(content, stated, signature !== null);
    return { name, version: stated.version, ...layOut(stated), signature };
  } catch (error) {
    if (!(error instanceof BmapProblem)) throw error;
    throw failure('BMAP_INVALID', { bmap: name, problem: error.message }, error);
  }
}

function textOf(content: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    throw new BmapProblem('it is not UTF-8 text');
  }
}

function fieldOf(stated: Stated, name: string): string {
  const text = stated.fields.get(name);
  if (text === undefined) throw new BmapProblem(`it does not state ${name}`);
  return text;
}

function numberOf(stated: Stated, name: string): number {
  return wholeNumber(fieldOf(stated, name), name);
}

/** The algorithm that `ChecksumType` names; files older than 1.4 know only SHA-1 and do not name it. */
function algorithmOf(stated: Stated): string | null {
  const named = stated.fields.get('ChecksumType')?.toLowerCase();
  if (named === undefined) return null;
  if (!Object.hasOwn(digestDigits, named))
    throw new BmapProblem(`its checksum type "${brief(named)}" is not known`);
  return named;
}

function hexOf(text: string, algorithm: string, what: string): string {
  if (text.length !== digestDigits[algorithm] || !/^[0-9a-f]*$/i.test(text)) {
    throw new BmapProblem(`"${brief(text)}" of ${what} is no ${algorithm} checksum`);
  }
  return text.toLowerCase();
}

function checkFileDigest(content: Uint8Array, stated: Stated, signed: boolean): void {
  const [major, minor] = stated.version.split('.').map(Number);
  const old = stated.fields.get('BmapFileSHA1');
  if (major === 1 && minor !== undefined && minor < 3 && old === undefined) return;
  const field = old === undefined ? 'BmapFileChecksum' : 'BmapFileSHA1';
  const text = fieldOf(stated, field);
  const algorithm = old === undefined ? algorithmOf(stated) : 'sha1';
  if (algorithm === null) throw new BmapProblem('it does not state ChecksumType');
  const expected = hexOf(text, algorithm, field);
  const actual = digestWithoutItself(content, algorithm, text);
  if (actual === expected) return;
  // A line break before a signature may belong to the signature (RFC 9580 section 7.1).
  if (signed && digestWithoutItself(content.subarray(0, -1), algorithm, text) === expected) return;
  const found = actual === null ? 'its digits are written in an unusual way' : `it is ${actual}`;
  throw new BmapProblem(`it was changed or damaged: its own ${algorithm} should be ${expected}, ${found}`);
}

function layOut(stated: Stated): Pick<BlockMap, 'imageSize' | 'blockSize' | 'ranges' | 'mappedBytes'> {
  const imageSize = numberOf(stated, 'ImageSize');
  const blockSize = numberOf(stated, 'BlockSize');
  const blocks = numberOf(stated, 'BlocksCount');
  const mapped = numberOf(stated, 'MappedBlocksCount');
  if (imageSize === 0) throw new BmapProblem('it is for an image of 0 bytes');
  if (blockSize === 0 || blockSize > largestBlock) {
    throw new BmapProblem(`blocks of ${blockSize} bytes are none that bty can work with`);
  }
  if (blocks !== Math.ceil(imageSize / blockSize)) {
    throw new BmapProblem(`${imageSize} bytes are not ${blocks} blocks of ${blockSize} bytes`);
  }
  const algorithm = algorithmOf(stated);
  const ranges: MappedRange[] = [];
  let next = 0;
  let counted = 0;
  let mappedBytes = 0;
  for (const { first, last, digests } of stated.ranges) {
    const words = first === last ? `${first}` : `${first}-${last}`;
    if (last >= blocks)
      throw new BmapProblem(`the range ${words} lies outside the image of ${blocks} blocks`);
    if (first < next)
      throw new BmapProblem(`the range ${words} overlaps the one before it, or comes too late`);
    next = last + 1;
    counted += next - first;
    const offset = first * blockSize;
    const length = Math.min(next * blockSize, imageSize) - offset;
    mappedBytes += length;
    ranges.push({ offset, length, checksum: checksumOf(digests, algorithm, `the range ${words}`) });
  }
  if (counted !== mapped) throw new BmapProblem(`it states ${mapped} mapped blocks and maps ${counted}`);
  return { imageSize, blockSize, ranges, mappedBytes };
}

function checksumOf(
  { chksum, sha1 }: Readonly<Record<string, string>>,
  algorithm: string | null,
  what: string,
): RangeChecksum | null {
  if (chksum !== undefined) {
    if (algorithm === null) throw new BmapProblem('it does not state ChecksumType');
    return { algorithm, hex: hexOf(chksum, algorithm, what) };
  }
  return sha1 === undefined ? null : { algorithm: 'sha1', hex: hexOf(sha1, 'sha1', what) };
}
