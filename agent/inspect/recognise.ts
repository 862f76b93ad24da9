/**
 * What an image is, by its first bytes first and by its name second. Pure. Magic numbers: RFC 1952 (gzip), RFC 8878
 * (zstd), the xz file format 1.2, LZ4 frame format 1.6, PKWARE APPNOTE 4.3.7 (zip), QEMU's qcow2 interoperability
 * document, UEFI specification 5 (GPT), ECMA-119 (ISO 9660).
 */

import { failure } from '../../shared/failure.ts';
import { formatName, guessByName, type Layout, type Packing } from '../../shared/image.ts';
import { hasBytes, hasText, u8, u32be, u32le } from './bytes.ts';
import {
  type Refusal,
  refusedAsText,
  refusedByName,
  refusedByTail,
  refusedPart,
  refusedStrongly,
  refusedUnnamed,
  refusedWeakly,
  tarRefusal,
} from './refusals.ts';
import { filesystemOf } from './superblocks.ts';

export interface Recognition {
  readonly packing: Packing;
  /** What lies inside, null while it is packed: `recogniseInner` tells once the first bytes are unpacked. */
  readonly layout: Layout | null;
  /** A sentence when name and content disagree; the content is believed. */
  readonly mismatch: string | null;
  /** Sentences worth telling a person. */
  readonly notes: readonly string[];
}

export interface InnerRecognition {
  readonly layout: Layout;
  readonly notes: readonly string[];
}

/** Said of raw images in which nothing was found that tells a disk from noise. */
export const NO_TABLE = 'No partition table, boot sector or file system was found at the start of the image.';

/** Shorter heads are whole images. */
const wholeBelow = 68 << 10;

/**
 * Recognises the stored image `image` (as the person named it) called `name` (its base name) by its first bytes,
 * `head`, of which 68 KiB or the whole image are needed. Throws IMAGE_EMPTY, IMAGE_REFUSED (a file of another
 * kind), IMAGE_UNSUPPORTED (a variant that is not read), IMAGE_CORRUPT (a packed name, and content that is not
 * even a disk) or FORMAT_UNKNOWN.
 */
export function recognise(head: Uint8Array, name: string, image: string): Recognition {
  if (head.length === 0) throw failure('IMAGE_EMPTY', { image });
  const guess = guessByName(name);
  const packing = packingOf(head, name, image);
  if (packing !== null) {
    if (guess?.kind === 'tarball') throw refuse(image, tarRefusal);
    const part = refusedPart(name);
    if (part) throw refuse(image, part);
    return { packing, layout: null, mismatch: packingMismatch(name, packing), notes: [] };
  }
  const inner = contentOf(head, image);
  if (inner !== null) {
    // A fixed VHD is a raw disk with a trailer that `head` does not show: only its name tells.
    const byName = /\.vhd$/i.test(name) ? refusedByName(name) : null;
    if (byName) throw refuse(image, byName);
    return { packing: 'raw', layout: inner, mismatch: layoutMismatch(name, 'raw', inner), notes: [] };
  }
  const weak = refusedWeakly(head);
  if (weak) throw refuse(image, weak);
  if (guess?.kind === 'tarball') throw refuse(image, tarRefusal);
  if (guess === null) throw unrecognised(head, name, image);
  if (guess.packing !== 'raw' || guess.layout === 'qcow2') {
    const format = guess.packing === 'raw' ? 'qcow2' : guess.packing;
    throw failure('IMAGE_CORRUPT', {
      image,
      format,
      problem: `it does not begin as ${format} does`,
      offset: 0,
    });
  }
  const short = head.length < wholeBelow ? refusedAsText(head) : null;
  if (short) throw refuse(image, short);
  return { packing: 'raw', layout: 'raw', mismatch: null, notes: [NO_TABLE] };
}

/**
 * Recognises what was packed, by its first bytes; `name` is that of the stored image or of the zip entry. Throws
 * IMAGE_EMPTY, IMAGE_REFUSED (also for a packing inside the packing) or IMAGE_UNSUPPORTED.
 */
export function recogniseInner(head: Uint8Array, image: string, name = ''): InnerRecognition {
  if (head.length === 0) throw failure('IMAGE_EMPTY', { image });
  const packing = packingOf(head, '', image);
  if (packing !== null) {
    throw refuse(image, {
      what: `packed twice (what it holds is packed again, with ${packing})`,
      remedy: 'Unpack it once and flash what comes out.',
    });
  }
  const inner = contentOf(head, image);
  if (inner !== null) return { layout: inner, notes: [] };
  const guess = guessByName(name);
  const announced = guess?.kind === 'image' && guess.layout !== null;
  const refusal = refusedWeakly(head) ?? (announced ? null : refusedUnnamed(head));
  if (refusal) throw refuse(image, refusal);
  // A packing may have given up only a few bytes so far.
  return { layout: 'raw', notes: head.length < 512 ? [] : [NO_TABLE] };
}

/** Throws IMAGE_REFUSED when the last bytes of a file (512 or more) are the trailer of a fixed VHD or a DMG. */
export function recogniseTail(tail: Uint8Array, image: string): void {
  const refusal = refusedByTail(tail);
  if (refusal) throw refuse(image, refusal);
}

/** A sentence when `name` announces another format than the content has; null when they agree. */
export function layoutMismatch(name: string, packing: Packing, layout: Layout): string | null {
  const guess = guessByName(name);
  if (guess === null) {
    const named = refusedByName(name);
    return named
      ? `The name says that it is ${named.what}, but its content is ${spoken(packing, layout)}.`
      : null;
  }
  const agrees =
    guess.kind === 'image' && guess.packing === packing && (guess.layout === null || guess.layout === layout);
  return agrees
    ? null
    : `The name ends in ${guess.suffix}, but the content is ${spoken(packing, layout)}; the content is believed.`;
}

function packingMismatch(name: string, packing: Packing): string | null {
  const guess = guessByName(name);
  const layout = guess?.kind === 'image' && guess.layout !== null ? guess.layout : 'raw';
  const sentence = layoutMismatch(name, packing, layout);
  return sentence?.replace(spoken(packing, layout), `packed with ${packing}`) ?? null;
}

function spoken(packing: Packing, layout: Layout): string {
  if (packing !== 'raw') return `${layout === 'qcow2' ? 'qcow2' : 'a raw disk'} packed with ${packing}`;
  return layout === 'qcow2' ? formatName(packing, layout) : 'a raw disk';
}

function refuse(image: string, refusal: Refusal) {
  return failure('IMAGE_REFUSED', { image, what: refusal.what, remedy: refusal.remedy });
}

function unrecognised(head: Uint8Array, name: string, image: string) {
  const refusal = refusedByName(name) ?? refusedUnnamed(head);
  return refusal ? refuse(image, refusal) : failure('FORMAT_UNKNOWN', { image });
}

/** Packing that `head` begins with, null when it begins with none. Throws for variants that are not read. */
function packingOf(head: Uint8Array, name: string, image: string): Packing | null {
  const unsupported = (format: string, feature: string) =>
    failure('IMAGE_UNSUPPORTED', { image, format, feature });
  // Bits 5 to 7 of the flags are reserved and zero (RFC 1952, section 2.3.1.2).
  if (hasBytes(head, 0, '1f8b08') && u8(head, 3) < 0x20) return 'gz';
  if (hasBytes(head, 0, 'fd377a585a00')) return 'xz';
  if (isBzip2(head)) return 'bz2';
  if (hasBytes(head, 0, '504b0304')) return 'zip';
  if (hasBytes(head, 0, '504b0506')) {
    throw refuse(image, { what: 'an empty zip archive', remedy: 'Download or build the image again.' });
  }
  if (hasBytes(head, 0, '504b0708')) throw unsupported('zip', 'several parts');
  const frame = skipSkippable(head);
  if (frame === null) {
    const guess = guessByName(name);
    return guess?.kind === 'image' && guess.packing === 'lz4' ? 'lz4' : 'zst';
  }
  if (hasBytes(head, frame, '28b52ffd')) return 'zst';
  if (hasBytes(head, frame, '04224d18')) return 'lz4';
  if (hasBytes(head, 0, '02214c18')) throw unsupported('lz4', 'the legacy frame format');
  if (/^(1e|2[2-7])b52ffd/.test(hexStart(head))) throw unsupported('zst', 'a frame format older than 1.0');
  return null;
}

function hexStart(head: Uint8Array): string {
  return u32be(head, 0).toString(16).padStart(8, '0');
}

/** Block size digit, then the magic of a block or, for an empty stream, of its end. */
function isBzip2(head: Uint8Array): boolean {
  if (!hasText(head, 0, 'BZh') || u8(head, 3) < 0x31 || u8(head, 3) > 0x39) return false;
  return hasBytes(head, 4, '314159265359') || hasBytes(head, 4, '177245385090');
}

/** Where the first frame that zstd and lz4 do not skip begins; null when it lies beyond `head`. */
function skipSkippable(head: Uint8Array): number | null {
  let at = 0;
  while (at < head.length && (u32le(head, at) & 0xfffffff0) >>> 0 === 0x184d2a50)
    at += 8 + u32le(head, at + 4);
  return at > 0 && at >= head.length ? null : at;
}

/** Layout of unpacked content, null when it is not recognised. Throws for content of another kind. */
function contentOf(head: Uint8Array, image: string): Layout | null {
  if (hasBytes(head, 0, '514649fb')) {
    const version = u32be(head, 4);
    if (version === 2 || version === 3) return 'qcow2';
    const feature = version === 1 ? 'format version 1 (qcow)' : `format version ${version}`;
    throw failure('IMAGE_UNSUPPORTED', { image, format: 'qcow2', feature });
  }
  const strong = refusedStrongly(head);
  if (strong) throw refuse(image, strong);
  return looksLikeDisk(head) ? 'raw' : null;
}

function looksLikeDisk(head: Uint8Array): boolean {
  if (hasBytes(head, 510, '55aa')) return true;
  if (hasText(head, 512, 'EFI PART') || hasText(head, 4096, 'EFI PART')) return true;
  // Apple partition map: driver descriptor, then the first map entry.
  if (hasText(head, 0, 'ER') && hasText(head, 512, 'PM\0\0')) return true;
  // A bare SquashFS boots nothing; only a name that says "image" makes it one.
  const filesystem = filesystemOf(head);
  return filesystem !== null && filesystem.kind !== 'squashfs';
}
