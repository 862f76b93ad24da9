/**
 * Numbers and texts in hostile bytes. Whatever lies outside `bytes` reads as zero, so a probe of a short buffer
 * finds no signature instead of throwing.
 */

export function u8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

export function u16le(bytes: Uint8Array, at: number): number {
  return u8(bytes, at) | (u8(bytes, at + 1) << 8);
}

export function u16be(bytes: Uint8Array, at: number): number {
  return (u8(bytes, at) << 8) | u8(bytes, at + 1);
}

export function u32le(bytes: Uint8Array, at: number): number {
  return (u16le(bytes, at) | (u16le(bytes, at + 2) << 16)) >>> 0;
}

export function u32be(bytes: Uint8Array, at: number): number {
  return ((u16be(bytes, at) << 16) | u16be(bytes, at + 2)) >>> 0;
}

/** A 64-bit number; Infinity where it is larger than a number holds exactly (2^53 - 1). */
export function u64le(bytes: Uint8Array, at: number): number {
  return exact(u32le(bytes, at + 4), u32le(bytes, at));
}

/** As {@link u64le}, big-endian. */
export function u64be(bytes: Uint8Array, at: number): number {
  return exact(u32be(bytes, at), u32be(bytes, at + 4));
}

function exact(high: number, low: number): number {
  const value = high * 2 ** 32 + low;
  return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
}

/** True when the characters of `text` (each one byte, Latin-1) stand at `at`. */
export function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  if (at + text.length > bytes.length) return false;
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

/** True when the bytes written in hexadecimal in `hex` stand at `at`. */
export function hasBytes(bytes: Uint8Array, at: number, hex: string): boolean {
  return at + hex.length / 2 <= bytes.length && hexText(bytes, at, hex.length / 2) === hex;
}

export function hexText(bytes: Uint8Array, at: number, length: number): string {
  let text = '';
  for (let index = 0; index < length; index++)
    text += u8(bytes, at + index)
      .toString(16)
      .padStart(2, '0');
  return text;
}

/** Printable text of a fixed field up to its first NUL; null when nothing is left of it. */
export function label(
  bytes: Uint8Array,
  at: number,
  length: number,
  encoding: 'utf-8' | 'utf-16le' | 'latin1' = 'utf-8',
): string | null {
  if (at >= bytes.length) return null;
  const text = new TextDecoder(encoding).decode(bytes.subarray(at, Math.min(at + length, bytes.length)));
  return printable(text.split('\0', 1)[0] ?? '') || null;
}

/** `text` without control characters and outer blanks: it is going to a terminal. */
export function printable(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '')
    .trim();
}

/** UUID stored as plain bytes (RFC 9562), null when all zero. */
export function uuidText(bytes: Uint8Array, at: number): string | null {
  const hex = hexText(bytes, at, 16);
  if (/^0*$/.test(hex)) return null;
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** GUID as UEFI stores it (UEFI specification, appendix A: the first three fields are little-endian). */
export function guidText(bytes: Uint8Array, at: number): string {
  const swapped = (from: number, length: number) =>
    hexText(
      Uint8Array.from({ length }, (_, index) => u8(bytes, at + from + length - 1 - index)),
      0,
      length,
    );
  const groups = [swapped(0, 4), swapped(4, 2), swapped(6, 2)];
  return [...groups, hexText(bytes, at + 8, 2), hexText(bytes, at + 10, 6)].join('-').toUpperCase();
}

/** True when every byte from `at` to `at + length` that is there is zero. */
export function isZero(bytes: Uint8Array, at: number, length: number): boolean {
  return bytes.subarray(at, at + length).every((byte) => byte === 0);
}
