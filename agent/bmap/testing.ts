/** Helpers of the tests beside the block maps. */
import { createHash } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A directory that is removed after the test. */
export async function temporaryDirectory(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bty-bmap-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface MapParts {
  readonly version?: string;
  /** Elements beside BlockMap, by name; null leaves one out. */
  readonly fields?: Readonly<Record<string, string | number | null>>;
  /** Range elements, each `<Range ...> ... </Range>` or only what is in it. */
  readonly ranges?: readonly string[];
  /** Algorithm of the map's own checksum, null for none. */
  readonly algorithm?: string | null;
  readonly before?: string;
  readonly after?: string;
}

const digits: Readonly<Record<string, number>> = { md5: 32, sha1: 40, sha256: 64, sha512: 128 };

/** A block map of an image of 10 000 bytes, of which the first and the last block are mapped, but for `parts`. */
export function mapText(parts: MapParts = {}): string {
  const { version = '2.0', algorithm = 'sha256', before = '', after = '' } = parts;
  const named = version === '1.3' ? 'BmapFileSHA1' : 'BmapFileChecksum';
  const fields: Record<string, string | number | null> = {
    ImageSize: 10_000,
    BlockSize: 4096,
    BlocksCount: 3,
    MappedBlocksCount: 2,
    ChecksumType: version.startsWith('2') || version === '1.4' ? algorithm : null,
    [named]: algorithm === null ? null : '0'.repeat(digits[algorithm] ?? 64),
    ...parts.fields,
  };
  const ranges = parts.ranges ?? ['0', '2'];
  const lines = [
    '<?xml version="1.0" ?>',
    `${before}<bmap version="${version}">`,
    ...Object.entries(fields).flatMap(([name, value]) =>
      value === null ? [] : [`    <${name}> ${value} </${name}>`],
    ),
    '    <BlockMap>',
    ...ranges.map((range) => `        ${range.startsWith('<') ? range : `<Range> ${range} </Range>`}`),
    '    </BlockMap>',
    `</bmap>${after}`,
    '',
  ];
  return algorithm === null ? lines.join('\n') : sealed(lines.join('\n'), algorithm, named);
}

/** `text` with its own digest in the place of the zeros of `element`. */
export function sealed(text: string, algorithm = 'sha256', element = 'BmapFileChecksum'): string {
  const place = new RegExp(`(<${element}>\\s*)(0+)`);
  const digest = createHash(algorithm).update(text).digest('hex');
  return text.replace(place, (_all, start: string) => start + digest);
}

/** Makes a file of `size` bytes that is a hole but for `data`, and has it stored. */
export async function sparseFile(
  path: string,
  size: number,
  data: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(size);
  for (const { offset, bytes } of data) await file.write(bytes, 0, bytes.length, offset);
  await file.sync();
  await file.close();
}
