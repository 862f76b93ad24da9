/** Image descriptors, ".bri" files: TOML that names an image on a server (bty-contract section 1.2). */
import { type Static, Type } from 'typebox';
import { nameOf } from './address.ts';
import { type Expectation, faultIn } from './fault.ts';
import { formatName, guessByName } from './image.ts';

/** Most bytes of a descriptor. */
export const descriptorBytes = 64 * 1024;

export const sha256Schema = Type.String({
  pattern: '^[0-9a-fA-F]{64}$',
  expected: '64 hexadecimal digits',
} satisfies Expectation & { pattern: string });

export const sizeSchema = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  expected: 'a whole number of bytes',
} satisfies Expectation & { minimum: number; maximum: number });

export const textSchema = Type.String({ expected: 'text' } satisfies Expectation);

export const nameSchema = Type.String({ pattern: '\\S', expected: 'text that is not empty' });

/** A descriptor as it is written. */
export const DescriptorFile = Type.Object({
  url: Type.String({ pattern: '^[hH][tT][tT][pP][sS]?://[^/]', expected: 'an http or https address' }),
  name: Type.Optional(nameSchema),
  format: Type.Optional(nameSchema),
  size_bytes: Type.Optional(sizeSchema),
  sha256: Type.Optional(sha256Schema),
  description: Type.Optional(textSchema),
});

/** A descriptor as it is meant. */
export interface Descriptor {
  readonly url: string;
  readonly name: string;
  /** Wire name of the format, null when neither the descriptor nor the name tells. */
  readonly format: string | null;
  readonly sizeBytes: number | null;
  /** Lower case. */
  readonly sha256: string | null;
  readonly description: string | null;
}

export type Checked<T> =
  | { readonly kind: 'valid'; readonly value: T }
  | { readonly kind: 'invalid'; readonly problem: string };

/** Checks a descriptor that was parsed from TOML, and fills in what it leaves out. */
export function checkDescriptor(value: unknown): Checked<Descriptor> {
  const problem = faultIn(DescriptorFile, value);
  if (problem !== null) return { kind: 'invalid', problem };
  const file = value as Static<typeof DescriptorFile>;
  const url = URL.parse(file.url);
  if (!url) return { kind: 'invalid', problem: '"url" must be an http or https address' };
  const name = file.name ?? nameOf(url);
  return {
    kind: 'valid',
    value: {
      url: file.url,
      name,
      format: file.format ?? formatByName(name),
      sizeBytes: file.size_bytes ?? null,
      sha256: file.sha256?.toLowerCase() ?? null,
      description: file.description ?? null,
    },
  };
}

/** Wire name of the format that `name` announces, null when it announces none. */
export function formatByName(name: string): string | null {
  const guess = guessByName(name);
  return guess?.kind === 'image' ? formatName(guess.packing, guess.layout ?? 'raw') : null;
}
