/**
 * How many writes to keep in flight on one disk. Sticks and cards with a cheap controller answer slower and
 * slower when flooded, SSDs need several to reach their speed, so it is found while writing: one more while
 * the throughput grows, half as many when a write takes longer than a second.
 */
export interface Depth {
  readonly now: number;
  /** Best throughput seen so far in bytes per second, and the depth that reached it. */
  readonly best: number;
  readonly bestAt: number;
}

export interface DepthSample {
  readonly bytesPerSecond: number;
  /** The longest time that one write of this interval took, in milliseconds. */
  readonly slowest: number;
  /** True when the disk had work waiting all the time; otherwise the sample says nothing about depth. */
  readonly saturated: boolean;
}

export const tooSlow = 1000;
/** Growth that counts as growth: less is noise. */
const better = 1.05;

export const startDepth: Depth = { now: 4, best: 0, bestAt: 4 };

/** The depth for the next interval; never below 1 nor above `most`. */
export function adapt(depth: Depth, sample: DepthSample, most: number): Depth {
  if (sample.slowest > tooSlow) return { ...depth, now: Math.max(1, Math.floor(depth.now / 2)), best: 0 };
  if (!sample.saturated) return depth;
  if (sample.bytesPerSecond > depth.best * better) {
    return { now: Math.min(most, depth.now + 1), best: sample.bytesPerSecond, bestAt: depth.now };
  }
  if (depth.now > depth.bestAt) return { ...depth, now: depth.bestAt };
  return depth;
}
