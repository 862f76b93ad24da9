/** The one image inside a zip archive, found through its central directory (PKWARE APPNOTE 6.3.10). */

import {
  type Entry,
  fromRandomAccessReaderPromise,
  getFileNameLowLevel,
  RandomAccessReader,
  type ZipFile,
} from 'yauzl';
import { Failure, failure } from '../../shared/failure.ts';
import { guessByName } from '../../shared/image.ts';
import type { RandomReader } from '../source/source.ts';
import { printable } from './bytes.ts';
import { Window } from './window.ts';

export interface ZipEntry {
  /** Name inside the archive, with its folders. */
  readonly name: string;
  readonly method: 'store' | 'deflate';
  /** Where its stored bytes begin, in bytes from the start of the archive. */
  readonly dataOffset: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly crc32: number;
}

const MOST_ENTRIES = 10_000;
const STORE = 0;
const DEFLATE = 8;
/** Deflate makes at most 1032 bytes of one. */
const MOST_EXPANSION = 1032;

/** APPNOTE 4.4.5. */
const methodNames: Readonly<Record<number, string>> = {
  1: 'Shrink',
  6: 'Implode',
  9: 'Deflate64',
  12: 'bzip2',
  14: 'LZMA',
  93: 'zstd',
  95: 'xz',
  98: 'PPMd',
  99: 'AES encryption',
};

/**
 * Finds the image in the zip archive that `reader` holds. Directories, checksums, texts and what systems leave behind
 * are passed over. Rejects with IMAGE_REFUSED (no image in it, or several, which are named), IMAGE_UNSUPPORTED
 * (encrypted, split, or packed by another method than deflate), IMAGE_TRUNCATED (no central directory),
 * IMAGE_CORRUPT, and the failures of `reader`.
 */
export async function openZipEntry(reader: RandomReader, image: string): Promise<ZipEntry> {
  const { promise: fault, reject } = Promise.withResolvers<never>();
  fault.catch(() => {});
  const access = new ArchiveReader(reader, reject);
  try {
    return await Promise.race([find(access, reader.size, image), fault]);
  } catch (error) {
    throw error instanceof Failure ? error : zipFailure(error, image);
  }
}

/** Lets yauzl read through a {@link RandomReader}. */
class ArchiveReader extends RandomAccessReader {
  readonly #window: Window;
  readonly #fault: (error: unknown) => void;

  /** An exception in yauzl's own callbacks would end the process; `fault` gets it instead. */
  constructor(reader: RandomReader, fault: (error: unknown) => void) {
    super();
    this.#window = new Window(reader, 32 * 1024);
    this.#fault = fault;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    const answer = async (): Promise<void> => {
      let bytes: Uint8Array;
      try {
        bytes = await this.#window.bytes(position, length);
      } catch (error) {
        return callback(error instanceof Error ? error : new Error(String(error)));
      }
      buffer.set(bytes, offset);
      callback(null, bytes.length);
    };
    answer().catch(this.#fault);
  }

  override close(callback: (error: Error | null) => void): void {
    callback(null);
  }
}

async function find(access: ArchiveReader, size: number, image: string): Promise<ZipEntry> {
  // Names are decoded here: yauzl refuses the whole archive for one strange name of a file that is not wanted.
  const options = { autoClose: false, decodeStrings: false, validateEntrySizes: false };
  const zip = await fromRandomAccessReaderPromise(access, size, options);
  zip.on('error', () => {});
  if (zip.entryCount > MOST_ENTRIES) throw notOne(image, `a zip archive of ${zip.entryCount} files`);
  const entries: { readonly name: string; readonly entry: Entry }[] = [];
  for await (const entry of zip.eachEntry()) {
    const name = nameOf(entry);
    if (!isPassedOver(name) && !isSymbolicLink(entry)) entries.push({ name, entry });
  }
  const images = entries.filter(({ name }) => guessByName(name) !== null);
  const candidates = entries.length === 1 ? entries : images;
  const [chosen, ...others] = candidates;
  if (chosen === undefined) throw notOne(image, 'a zip archive without a disk image');
  if (others.length > 0) {
    const names = candidates.slice(0, 5).map(({ name }) => `"${name}"`);
    const more = candidates.length > 5 ? ` and ${candidates.length - 5} more` : '';
    throw notOne(image, `a zip archive with several images (${names.join(', ')}${more})`);
  }
  return await describe(zip, chosen.entry, chosen.name, image);
}

async function describe(zip: ZipFile, entry: Entry, name: string, image: string): Promise<ZipEntry> {
  const corrupt = (problem: string) => failure('IMAGE_CORRUPT', { image, format: 'zip', problem });
  if (entry.isEncrypted()) throw unsupported(image, `"${name}" encrypted`);
  const method = entry.compressionMethod;
  if (method !== STORE && method !== DEFLATE) {
    throw unsupported(image, `"${name}" packed by ${methodNames[method] ?? `method ${method}`}`);
  }
  const header = await zip.readLocalFileHeaderPromise(entry);
  if (header.compressionMethod !== method) throw corrupt('its two headers disagree on the method');
  const { compressedSize, uncompressedSize } = entry;
  if (!Number.isSafeInteger(compressedSize) || !Number.isSafeInteger(uncompressedSize)) {
    throw corrupt('its size is absurd');
  }
  const impossible =
    method === STORE
      ? compressedSize !== uncompressedSize
      : uncompressedSize > compressedSize * MOST_EXPANSION;
  if (impossible) throw corrupt('its packed and unpacked sizes cannot both be true');
  return {
    name,
    method: method === STORE ? 'store' : 'deflate',
    dataOffset: header.fileDataStart,
    compressedSize,
    size: uncompressedSize,
    crc32: entry.crc32,
  };
}

function nameOf(entry: Entry): string {
  const raw = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, false);
  return printable(raw);
}

const leftBehind = /(^|\/)(__MACOSX|\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini|\.Spotlight-V100)(\/|$)/i;
const sidecar =
  /\.(txt|md|rst|nfo|pdf|html?|rtf|docx?|json|xml|ya?ml|toml|csv|bmap|sig|asc|gpg|md5|sha\d*|sha\d+sums?|crc|log|url|png|jpe?g|svg|exe|bat|cmd|sh|ps1)$/i;
const document =
  /(^|\/)(readme|license|licence|copying|changelog|changes|authors|notice|manifest|(md5|sha\d+)sums?|checksums?|b2sums)[^/]*$/i;

/** Directories and what is beside an image without being one. */
function isPassedOver(name: string): boolean {
  if (name === '' || name.endsWith('/') || leftBehind.test(name) || sidecar.test(name)) return true;
  return document.test(name) && guessByName(name) === null;
}

/** Unix mode in the upper half of the external attributes. */
function isSymbolicLink(entry: Entry): boolean {
  return ((entry.externalFileAttributes >>> 16) & 0xf000) === 0xa000;
}

function notOne(image: string, what: string): Failure {
  const remedy = 'Extract the image that you want and flash that.';
  return failure('IMAGE_REFUSED', { image, what, remedy });
}

function unsupported(image: string, feature: string): Failure {
  return failure('IMAGE_UNSUPPORTED', { image, format: 'zip', feature });
}

/** yauzl tells kinds of errors apart only by their sentences. */
function zipFailure(error: unknown, image: string): Failure {
  const problem = printable(error instanceof Error ? error.message : String(error));
  if (/strong encryption/i.test(problem))
    return failure('IMAGE_UNSUPPORTED', { image, format: 'zip', feature: 'encryption' });
  if (/multi-disk/i.test(problem))
    return failure('IMAGE_UNSUPPORTED', { image, format: 'zip', feature: 'several parts' });
  if (/End of central directory record signature not found/i.test(problem)) {
    return failure('IMAGE_TRUNCATED', { image, format: 'zip' }, error);
  }
  return failure('IMAGE_CORRUPT', { image, format: 'zip', problem }, error);
}
