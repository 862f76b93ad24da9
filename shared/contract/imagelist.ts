/** `GET /images` as any version of the appliance answers it, for clients that take what they understand. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Checked } from '../descriptor.ts';

/** Most bytes of such a list (bty-contract section 2). */
export const imageListBytes = 4 * 1024 * 1024;

const Row = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 4096 }),
  url: Type.String({ minLength: 1, maxLength: 16_384 }),
});
const Text = Type.String({ minLength: 1, maxLength: 64 });
const Count = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' });

export interface ListedImage extends Static<typeof Row> {
  /** Each null when it is unknown, or absent from an older appliance's list. */
  readonly format: string | null;
  readonly storedBytes: number | null;
  readonly virtualBytes: number | null;
  readonly sha256: string | null;
}

/** The rows that have a name and an address; what else they hold is taken where it makes sense. */
export function checkImageList(value: unknown): Checked<readonly ListedImage[]> {
  if (!Array.isArray(value)) return { kind: 'invalid', problem: 'it is no list of images' };
  const rows = (value as readonly unknown[]).flatMap((row): readonly ListedImage[] => {
    if (!Check(Row, row)) return [];
    const { name, url, ...more } = row as Static<typeof Row> & Readonly<Record<string, unknown>>;
    const { format, size_bytes: stored, virtual_size_bytes: virtual, sha256 } = more;
    return [
      {
        name,
        url,
        format: Check(Text, format) ? format : null,
        storedBytes: Check(Count, stored) ? stored : null,
        virtualBytes: Check(Count, virtual) ? virtual : null,
        sha256: Check(Digest, sha256) ? sha256 : null,
      },
    ];
  });
  return { kind: 'valid', value: rows };
}
