/** MAC addresses and SMBIOS identities in the one form in which they are kept. */

/** `raw` in lower case with colons, null when it is no MAC (bty-contract 3.1: any case, `:` or `-`). */
export function normalMac(raw: string): string | null {
  if (!/^[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}$/.test(raw)) return null;
  return raw.toLowerCase().replaceAll('-', ':');
}

/** UUIDs that makers leave on many boards; they name nobody. */
const fillers = new Set(['03000200-0400-0500-0006-000700080009']);

/** `raw` as lower-case RFC 4122 text, null when it is no UUID or one that names nobody. */
export function normalUuid(raw: string | null | undefined): string | null {
  const lower = raw?.trim().toLowerCase() ?? '';
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(lower)) return null;
  if (/^[0-]+$/.test(lower) || /^[f-]+$/.test(lower) || fillers.has(lower)) return null;
  return lower;
}

/** Option 97 and `/sys/class/dmi` disagree about the byte order of the first three fields (SMBIOS 2.6). */
export function swappedUuid(uuid: string): string {
  const swap = (part: string) => (part.match(/../g) ?? []).reverse().join('');
  const [a = '', b = '', c = '', ...rest] = uuid.split('-');
  return [swap(a), swap(b), swap(c), ...rest].join('-');
}

/** True when both name the same board, in either byte order. */
export function sameUuid(one: string, other: string): boolean {
  return one === other || one === swappedUuid(other);
}

const serialFillers =
  /^(?:0+|none|n\/?a|default string|to be filled.*|not specified|system serial number|x+|-+)$/i;

/** A serial number, null where it is empty or a maker's filler. */
export function normalSerial(raw: string | null | undefined): string | null {
  const trimmed = raw?.trim().slice(0, 256) ?? '';
  return trimmed === '' || serialFillers.test(trimmed) ? null : trimmed;
}
