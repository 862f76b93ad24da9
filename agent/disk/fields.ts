/** Reads values of unknown origin as what they should be: tools change the types of their fields over the years. */
import { tidy } from './kernel.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** The elements of an array, at most `limit`; PowerShell writes an array of one element as the element itself. */
export function asList(value: unknown, limit = 1000): readonly unknown[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value.slice(0, limit) : [value];
}

/** Text without surrounding blanks, at most 1000 letters; null for nothing and for other types. */
export function asText(value: unknown): string | null {
  return typeof value === 'string' ? tidy(value.slice(0, 1000)) : null;
}

/** A whole number from 0 on, from a number or its digits; null for anything else. */
export function asCount(value: unknown): number | null {
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value.trim()) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

/** True or false, also from 1, 0, "1", "0", "true" and "false"; null for anything else. */
export function asFlag(value: unknown): boolean | null {
  if (value === true || value === 1 || value === '1' || value === 'true') return true;
  if (value === false || value === 0 || value === '0' || value === 'false') return false;
  return null;
}
