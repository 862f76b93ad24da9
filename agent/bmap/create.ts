import { createHash, type Hash } from 'node:crypto';
import { Failure, failure } from '../../shared/failure.ts';
import { recognise } from '../inspect/recognise.ts';
import { type FileSource, fileSource } from '../source/file.ts';
import type { ImageSource, RandomReader } from '../source/source.ts';
import { isSystemError, nextData } from '../system/native.ts';
import { type Mapping, renderBmap } from './render.ts';

export interface CreateOptions {
  readonly signal?: AbortSignal;
  /** Told how much of the image is dealt with, in bytes. */
  readonly onProgress?: (progress: { readonly bytes: number; readonly total: number }) => void;
  /**
   * Also leaves out blocks of zeros that are stored. They may mean something to what the image holds, so the map
   * is then true only for disks that read zero.
   */
  readonly zeros?: boolean;
}

const blockSize = 4096;
const pieceBytes = 1 << 20;

/**
 * Creates the block map of the raw image at `path`, as the text of a document: all but the holes of the file
 * (lseek(2) SEEK_DATA), the whole image where the file system knows none. Rejects with IMAGE_NOT_FOUND,
 * IMAGE_UNREADABLE, IMAGE_EMPTY, IMAGE_REFUSED, IMAGE_CHANGED, SOURCE_READ_FAILED, USAGE for an image that is
 * packed, or the signal's reason.
 */
export async function createBmap(path: string, options: CreateOptions = {}): Promise<string> {
  const source = await fileSource(path);
  try {
    const file = await rawFile(source, path);
    const ranges = new Ranges();
    for await (const { offset, bytes } of readAhead(file.random, dataOf(file), options.signal)) {
      if (options.zeros) addWithoutZeros(ranges, offset, bytes);
      else ranges.add(offset, bytes);
      options.onProgress?.({ bytes: offset + bytes.length, total: file.size });
    }
    await file.checkUnchanged();
    options.onProgress?.({ bytes: file.size, total: file.size });
    return renderBmap({ imageSize: file.size, blockSize, ranges: ranges.finish() });
  } finally {
    await source.close();
  }
}

async function rawFile(source: ImageSource, path: string): Promise<FileSource> {
  if (!isSeekable(source)) {
    const problem = 'a block map needs an image that can be read at any place';
    throw failure('IMAGE_UNREADABLE', { image: path, problem });
  }
  const stored = recognised(await source.head(), source.name, path);
  if (stored !== null) {
    const problem = `A block map is made of a raw image, and ${path} is ${stored}; unpack or convert it first.`;
    throw failure('USAGE', { problem });
  }
  return source;
}

function isSeekable(source: ImageSource): source is FileSource {
  return source.kind === 'file' && source.random !== null && 'fd' in source;
}

/** How the image is packed, in words; null for a raw image. Throws the refusal of what is no image. */
function recognised(head: Uint8Array, name: string, path: string): string | null {
  try {
    const { packing, layout } = recognise(head, name, path);
    if (packing !== 'raw') return `packed (${packing})`;
    return layout === 'qcow2' ? 'a qcow2 image' : null;
  } catch (error) {
    // A part of a disk, such as a file system of its own, can be mapped too.
    if (error instanceof Failure && error.code === 'FORMAT_UNKNOWN') return null;
    throw error;
  }
}

interface Stretch {
  readonly offset: number;
  readonly length: number;
}

/** The blocks that hold data, in pieces of at most `pieceBytes`. */
function* dataOf({ fd, size }: FileSource): Generator<Stretch> {
  for (let at = 0; at < size; ) {
    const found = dataAfter(fd, at, size);
    if (found === null) return;
    const end = Math.min(size, Math.ceil(found.end / blockSize) * blockSize);
    at = Math.max(at, found.start - (found.start % blockSize));
    for (; at < end; at += pieceBytes) yield { offset: at, length: Math.min(pieceBytes, end - at) };
    at = end;
  }
}

function dataAfter(fd: number, at: number, size: number): { start: number; end: number } | null {
  // The numbers of SEEK_DATA and SEEK_HOLE are those of Linux.
  if (process.platform !== 'linux') return { start: at, end: size };
  try {
    return nextData(fd, at);
  } catch (error) {
    // lseek(2), ERRORS: a file system need not know holes, and block devices do not.
    if (isSystemError(error, 'EINVAL', 'EOPNOTSUPP')) return { start: at, end: size };
    throw error;
  }
}

/** Reads the stretches in order, each while the one before it is looked at. Bytes are valid until the next. */
async function* readAhead(
  reader: RandomReader,
  stretches: Iterable<Stretch>,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }> {
  let current = new Uint8Array(pieceBytes);
  let other = new Uint8Array(pieceBytes);
  let ahead: Promise<{ offset: number; bytes: Uint8Array }> | null = null;
  for (const { offset, length } of stretches) {
    signal?.throwIfAborted();
    const reading = readWhole(reader, offset, current.subarray(0, length));
    reading.catch(() => {}); // told when it is awaited
    [current, other] = [other, current];
    if (ahead) yield await ahead;
    ahead = reading;
  }
  signal?.throwIfAborted();
  if (ahead) yield await ahead;
}

async function readWhole(reader: RandomReader, offset: number, bytes: Uint8Array) {
  for (let filled = 0; filled < bytes.length; ) {
    filled += await reader.read(bytes.subarray(filled), offset + filled);
  }
  return { offset, bytes };
}

function addWithoutZeros(ranges: Ranges, offset: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += blockSize) {
    const block = bytes.subarray(at, at + blockSize);
    if (block.some((byte) => byte !== 0)) ranges.add(offset + at, block);
  }
}

/** Joins what follows without a gap, and computes each range's digest. */
class Ranges {
  readonly #done: Mapping['ranges'][number][] = [];
  #open: { readonly start: number; end: number; readonly hash: Hash } | null = null;

  add(offset: number, bytes: Uint8Array): void {
    if (this.#open?.end !== offset) this.finish();
    this.#open ??= { start: offset, end: offset, hash: createHash('sha256') };
    this.#open.hash.update(bytes);
    this.#open.end += bytes.length;
  }

  finish(): Mapping['ranges'] {
    if (this.#open) {
      const { start, end, hash } = this.#open;
      const first = start / blockSize;
      this.#done.push({ first, last: Math.ceil(end / blockSize) - 1, sha256: hash.digest('hex') });
      this.#open = null;
    }
    return this.#done;
  }
}
