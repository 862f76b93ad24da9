/** Names of image formats and the file names that announce them. */

/** How the stored bytes are packed; `raw` means not at all. */
export type Packing = 'raw' | 'gz' | 'bz2' | 'xz' | 'zst' | 'lz4' | 'zip';
/** What lies inside the packing. */
export type Layout = 'raw' | 'qcow2';

/**
 * Wire names of formats (bty-contract section 1.2): `img`, `img.zst`, `img.xz`, `img.gz`, `img.bz2`, `qcow2`,
 * and ours: `img.lz4`, `img.zip`, `qcow2.<packing>`.
 */
export function formatName(packing: Packing, layout: Layout): string {
  const inner = layout === 'qcow2' ? 'qcow2' : 'img';
  return packing === 'raw' ? inner : `${inner}.${packing}`;
}

/** Packing and layout of the wire name `format`, null when there is no such format. */
export function parseFormat(format: string): { readonly packing: Packing; readonly layout: Layout } | null {
  const [inner, packing = 'raw', ...rest] = format.split('.');
  if (rest.length > 0 || (inner !== 'img' && inner !== 'qcow2')) return null;
  if (!isPacking(packing)) return null;
  if (format.includes('.') && packing === 'raw') return null;
  return { packing, layout: inner === 'img' ? 'raw' : 'qcow2' };
}

/** What a file name announces; `layout` is null where the name tells only the packing (`disk.gz`). */
export type NameGuess =
  | {
      readonly kind: 'image';
      readonly suffix: string;
      readonly packing: Packing;
      readonly layout: Layout | null;
    }
  | { readonly kind: 'tarball'; readonly suffix: string };

/** What the suffix of `name` announces, in any case; null when it announces nothing known. */
export function guessByName(name: string): NameGuess | null {
  const lower = name.toLowerCase();
  return suffixes.find((guess) => lower.endsWith(guess.suffix)) ?? null;
}

const packings = ['raw', 'gz', 'bz2', 'xz', 'zst', 'lz4', 'zip'] as const satisfies readonly Packing[];

function isPacking(text: string): text is Packing {
  return (packings as readonly string[]).includes(text);
}

const rawSuffixes = ['.img', '.raw', '.bin', '.iso', '.wic', '.dd'];
const packingSuffixes: ReadonlyArray<readonly [string, Packing]> = [
  ['.gz', 'gz'],
  ['.bz2', 'bz2'],
  ['.xz', 'xz'],
  ['.zst', 'zst'],
  ['.zstd', 'zst'],
  ['.lz4', 'lz4'],
  ['.zip', 'zip'],
];
const tarballSuffixes = [
  ['.tar', '.tgz', '.taz', '.txz', '.tlz', '.tbz', '.tb2', '.tbz2', '.tz2', '.tzst', '.tlz4'],
  ['.gz', '.xz', '.bz2', '.zst', '.zstd', '.lz4', '.lz', '.lzo', '.lzma', '.z', '.zip', '.7z', '.br'].map(
    (packing) => `.tar${packing}`,
  ),
].flat();

/** Longest first, so that `.img.gz` is found before `.gz`. */
const suffixes: readonly NameGuess[] = [
  ...tarballSuffixes.map((suffix): NameGuess => ({ kind: 'tarball', suffix })),
  ...packingSuffixes.map(
    ([suffix, packing]): NameGuess => ({ kind: 'image', suffix, packing, layout: null }),
  ),
  ...[...rawSuffixes, '.qcow2'].flatMap((inner): NameGuess[] => {
    const layout: Layout = inner === '.qcow2' ? 'qcow2' : 'raw';
    return [
      { kind: 'image', suffix: inner, packing: 'raw', layout },
      ...packingSuffixes.map(
        ([suffix, packing]): NameGuess => ({ kind: 'image', suffix: inner + suffix, packing, layout }),
      ),
    ];
  }),
].sort((a, b) => b.suffix.length - a.suffix.length);
