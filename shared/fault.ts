import type { TObject, TSchema } from 'typebox';
import { Check } from 'typebox/value';

/** Options of every property that `faultIn` may have to speak about: what it must be, as "a whole number". */
export interface Expectation {
  readonly expected: string;
}

/**
 * The first thing that is wrong with `value`, in words that name the key; null when it fits `schema`. Every
 * property of `schema` carries an Expectation. Keys that the schema does not name are ignored.
 */
export function faultIn(schema: TObject, value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'it is not a table';
  for (const [key, property] of Object.entries(schema.properties)) {
    const given = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    if (given === undefined) {
      if (schema.required?.includes(key)) return `"${key}" is missing`;
    } else if (!Check(property, given)) {
      return `"${key}" must be ${expectation(property)}`;
    }
  }
  return null;
}

function expectation(property: TSchema): string {
  return 'expected' in property ? String(property.expected) : 'something else';
}
