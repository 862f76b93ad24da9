import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Failure, failure } from '../../shared/failure.ts';
import { fileSource } from '../source/file.ts';
import type { ImageSource } from '../source/source.ts';

// The modules of http and its certificates take long to load, so only an address loads them.
const http = () => import('../source/http.ts');

/** Most bytes that a block map may have: some 600 000 ranges with their checksums. */
export const mostBmapBytes = 64 << 20;

const signatureSuffixes = ['.asc', '.sig'];

export function isAddress(pathOrUrl: string): boolean {
  return /^https?:/i.test(pathOrUrl);
}

/** `address` with `change` made to its path; its query stays. */
export function withPath(address: string, change: (path: string) => string): string {
  const url = URL.parse(address);
  if (!url) return change(address);
  url.pathname = change(url.pathname);
  url.hash = '';
  return url.href;
}

/**
 * All bytes of the block map at a path or address, which failures call `name`. Rejects with BMAP_NOT_FOUND, BMAP_INVALID, also past
 * `mostBmapBytes`, with the failure of a server, or with the signal's reason.
 */
export async function readBmapFile(
  pathOrUrl: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const invalid = (problem: string, cause?: unknown) =>
    failure('BMAP_INVALID', { bmap: name, problem }, cause);
  let source: ImageSource;
  try {
    source = await open(pathOrUrl, signal);
  } catch (error) {
    throw restated(error, name, invalid);
  }
  try {
    return await readAll(source, signal ?? new AbortController().signal, invalid);
  } catch (error) {
    throw restated(error, name, invalid);
  } finally {
    await source.close();
  }
}

async function readAll(
  source: ImageSource,
  signal: AbortSignal,
  invalid: (problem: string) => Failure,
): Promise<Uint8Array> {
  const tooLarge = () => invalid(`it is larger than ${mostBmapBytes >> 20} MiB`);
  if (source.size !== null && source.size > mostBmapBytes) throw tooLarge();
  const stream = await source.open(signal);
  try {
    const parts: Uint8Array[] = [];
    for (let total = 0; ; ) {
      const into = new Uint8Array(256 << 10);
      const count = await stream.read(into);
      if (count === 0) return Buffer.concat(parts);
      total += count;
      if (total > mostBmapBytes) throw tooLarge();
      parts.push(into.slice(0, count));
    }
  } finally {
    await stream.close();
  }
}

/** The failures of sources speak of the image; here it is the map that cannot be had. */
function restated(
  error: unknown,
  bmap: string,
  invalid: (problem: string, cause: unknown) => Failure,
): unknown {
  if (!(error instanceof Failure)) return error;
  switch (error.code) {
    case 'IMAGE_NOT_FOUND':
      return failure('BMAP_NOT_FOUND', { bmap }, error);
    case 'IMAGE_UNREADABLE':
    case 'SOURCE_READ_FAILED':
      return invalid(String(error.details.problem), error);
    case 'IMAGE_CHANGED':
      return invalid('it changed while it was read', error);
    case 'SOURCE_HTTP_STATUS':
      return invalid(`the server answered with HTTP status ${error.details.status}`, error);
    default:
      return error;
  }
}

async function open(pathOrUrl: string, signal: AbortSignal | undefined): Promise<ImageSource> {
  if (!isAddress(pathOrUrl)) return fileSource(pathOrUrl);
  const { httpSource } = await http();
  return httpSource(pathOrUrl, signal ? { signal } : {});
}

/** Base name of a signature in a file of its own beside the map, null when there is none. */
export async function siblingSignature(
  pathOrUrl: string,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  for (const suffix of signatureSuffixes) {
    const there = isAddress(pathOrUrl)
      ? await answers(
          withPath(pathOrUrl, (path) => path + suffix),
          signal,
        )
      : await isFile(pathOrUrl + suffix);
    if (there)
      return basename(isAddress(pathOrUrl) ? (URL.parse(pathOrUrl)?.pathname ?? '') : pathOrUrl) + suffix;
  }
  return null;
}

/** True when `path` is a regular file. */
export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}

/** Whether a server has something at `address` that begins as a signature does. */
async function answers(address: string, signal: AbortSignal | undefined): Promise<boolean> {
  const start = await headAt(address, signal).catch((error: unknown) => {
    if (error instanceof Failure) return null;
    throw error;
  });
  if (!start) return false;
  // Armored, or a packet of an OpenPGP signature (RFC 9580 section 4.2: tag 2 in either format).
  return hasText(start, '-----BEGIN PGP SIGNATURE-----') || [0x88, 0x89, 0x8a, 0xc2].includes(start[0] ?? 0);
}

/** True when `text` is somewhere in `bytes`. */
export function hasText(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(text);
}

/** The first bytes at `address`. Rejects with the source's failure. */
export async function headAt(address: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { httpSource } = await http();
  const source = await httpSource(address, { connectMilliseconds: 10_000, ...(signal && { signal }) });
  try {
    return await source.head();
  } finally {
    await source.close();
  }
}
