/** File names that come from outside. */
import { failure } from '../../shared/failure.ts';

const longestBytes = 255;

/**
 * True when `name` is one plain file name: nothing that leads elsewhere, nothing hidden (names with a leading dot
 * are the store's own), nothing that a terminal or a header would act on.
 */
export function isPlainName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are refused
  if (name === '' || name.startsWith('.') || /[/\\\x00-\x1f\x7f-\x9f]/.test(name)) return false;
  return name.isWellFormed() && Buffer.byteLength(name) <= longestBytes;
}

/** `name` when it is plain. Throws NAME_INVALID. */
export function plainName(name: string): string {
  if (!isPlainName(name)) throw failure('NAME_INVALID', { name: name.slice(0, 300) });
  return name;
}

/** SHA-256 in hexadecimal digits, lower case; null when `text` is none. */
export function digestOf(text: string): string | null {
  return /^[0-9a-fA-F]{64}$/.test(text) ? text.toLowerCase() : null;
}

/** `name` when it is plain and cannot be taken for the digest of an image. Throws NAME_INVALID. */
export function imageName(name: string): string {
  if (digestOf(name) !== null) throw failure('NAME_INVALID', { name });
  return plainName(name);
}

/** As Python writes a text in an error message: the contract's bodies quote so. */
export function quoted(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll(mark, `\\${mark}`)
    .replace(/\p{Cc}/gu, (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `${mark}${escaped}${mark}`;
}
