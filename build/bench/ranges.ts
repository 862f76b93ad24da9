/** Bytes from `start` up to but not including `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The ranges of bytes that a block map names, as far as a bench needs it to compare what was written: read with
 * two patterns and not by the code that is measured. `bytes` is the size of the image, whose last block may be short.
 */
export function mappedRanges(bmap: string, bytes: number): Range[] {
  const block = Number(bmap.match(/<BlockSize>\s*(\d+)\s*<\/BlockSize>/)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(block)) throw new Error('the block map names no size of a block');
  const found = bmap.matchAll(/<Range\b[^>]*>\s*(\d+)(?:\s*-\s*(\d+))?\s*<\/Range>/g);
  return [...found].map(([, first, last]) => ({
    start: Number(first) * block,
    end: Math.min((Number(last ?? first) + 1) * block, bytes),
  }));
}
