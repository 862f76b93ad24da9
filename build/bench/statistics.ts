/** The middle and the ends of some measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle value; of an even number of values, the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

export interface Ratio {
  /** Median of one side over the median of the other. */
  readonly ofMedians: number;
  /** Median of the ratios of measurements made in the same round, which slow drift touches less. */
  readonly ofRounds: number;
}

/** Compares measurements that were made in the same rounds. */
export function ratio(ours: readonly number[], theirs: readonly number[]): Ratio {
  const rounds = ours.flatMap((value, round) => {
    const other = theirs[round];
    return other === undefined ? [] : [value / other];
  });
  return { ofMedians: median(ours) / median(theirs), ofRounds: median(rounds) };
}

/** The same items beginning at another one, so that nobody is always first. */
export function rotate<Item>(items: readonly Item[], by: number): readonly Item[] {
  if (items.length === 0) return items;
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
