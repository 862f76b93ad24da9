import type { Options } from './packet.ts';

/** What the server grants at most. */
export interface OptionLimits {
  /** Bytes of a block: what fits the path without fragments (MTU less 32). */
  readonly blockSize: number;
  /** Blocks of a window. */
  readonly windowSize: number;
  /** Bytes of a window, since a burst must fit the receiver's buffer. */
  readonly windowBytes: number;
}

export interface Agreement {
  readonly blockSize: number;
  readonly windowSize: number;
  /** Milliseconds before a packet is sent again, as the client asked; null leaves it to the server. */
  readonly timeout: number | null;
  /** Block number that follows 65535. */
  readonly rollover: 0 | 1;
  /** True when the client asked for the size of the file. */
  readonly sizeAsked: boolean;
  /** What the OACK says; empty means that there is none. */
  readonly accepted: Options;
}

const smallestBlock = 8;
const largestBlock = 65464;

function decimal(value: string): number | null {
  return /^[0-9]{1,10}$/.test(value) ? Number(value) : null;
}

/**
 * What client and server agree on (RFC 2348, 2349, 7440). An unknown option or a value outside its range is left
 * out, which tells the client that it does not hold. `size` is null where stating it is not cheap (netascii).
 */
export function negotiate(asked: Options, size: number | null, limits: OptionLimits): Agreement {
  let blockSize = 512;
  let windowSize = 1;
  let timeout: number | null = null;
  let rollover: 0 | 1 = 0;
  let sizeAsked = false;
  const accepted: [string, string][] = [];
  for (const [name, text] of asked) {
    const value = decimal(text);
    if (value === null) continue;
    if (name === 'blksize' && value >= smallestBlock) {
      blockSize = Math.min(value, largestBlock, Math.max(limits.blockSize, smallestBlock));
      accepted.push([name, String(blockSize)]);
    } else if (name === 'tsize' && size !== null) {
      sizeAsked = true;
      accepted.push([name, String(size)]);
    } else if (name === 'timeout' && value >= 1 && value <= 255) {
      timeout = value * 1000;
      accepted.push([name, text]);
    } else if (name === 'windowsize' && value >= 1 && value <= 65535) {
      windowSize = value;
      accepted.push([name, text]);
    } else if (name === 'rollover' && value <= 1) {
      // Not in an RFC; tftp-hpa and others use it.
      rollover = value === 0 ? 0 : 1;
      accepted.push([name, text]);
    }
  }
  // The window depends on the block, which may be named after it.
  const mostBlocks = Math.max(1, Math.floor(limits.windowBytes / blockSize));
  windowSize = Math.min(windowSize, limits.windowSize, mostBlocks);
  const told = accepted.map(
    ([name, text]) => [name, name === 'windowsize' ? String(windowSize) : text] as const,
  );
  return { blockSize, windowSize, timeout, rollover, sizeAsked, accepted: told };
}
