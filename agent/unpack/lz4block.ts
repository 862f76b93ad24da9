/** One block of the LZ4 block format (lz4_Block_format.md, revision 2022-07-31). */

/** Bytes that `decodeBlock` may scribble over past the block it decodes, within the buffer. */
export const lz4Slack = 32;

/**
 * Decodes the block stored in `memory` at [`from`, `fromEnd`) to `to`; matches may reach back to `lowest`.
 * `memory` must be large enough for `toEnd + lz4Slack`; stored bytes must not lie there.
 *
 * Returns the position after the last decoded byte, or -1 if the block is damaged. Never reads outside
 * [`from`, `fromEnd` + slack) and [`lowest`, `toEnd`), never writes outside [`to`, `toEnd` + slack).
 */
export function decodeBlock(
  memory: Uint8Array,
  view: DataView,
  from: number,
  fromEnd: number,
  to: number,
  toEnd: number,
  lowest: number,
): number {
  let source = from;
  let target = to;
  for (;;) {
    if (source >= fromEnd) return -1;
    const token = memory[source++] as number;

    let length = token >>> 4;
    if (length === 15) {
      let more = 255;
      while (more === 255) {
        if (source >= fromEnd) return -1;
        more = memory[source++] as number;
        length += more;
      }
    }
    if (length > fromEnd - source || length > toEnd - target) return -1;
    if (length > 64) {
      memory.copyWithin(target, source, source + length);
    } else {
      for (let at = 0; at < length; at += 8) {
        view.setInt32(target + at, view.getInt32(source + at, true), true);
        view.setInt32(target + at + 4, view.getInt32(source + at + 4, true), true);
      }
    }
    source += length;
    target += length;
    if (source === fromEnd) return target;

    if (fromEnd - source < 2) return -1;
    const offset = view.getUint16(source, true);
    source += 2;
    if (offset === 0 || offset > target - lowest) return -1;

    length = (token & 15) + 4;
    if (length === 19) {
      let more = 255;
      while (more === 255) {
        if (source >= fromEnd) return -1;
        more = memory[source++] as number;
        length += more;
      }
    }
    if (length > toEnd - target) return -1;
    copyMatch(memory, view, target, offset, length);
    target += length;
  }
}

function copyMatch(memory: Uint8Array, view: DataView, to: number, offset: number, length: number): void {
  const end = to + length;
  let target = to;
  let match = to - offset;
  if (offset >= 8 && length <= 64) {
    for (; target < end; target += 8, match += 8) {
      view.setInt32(target, view.getInt32(match, true), true);
      view.setInt32(target + 4, view.getInt32(match + 4, true), true);
    }
  } else if (offset >= length) {
    memory.copyWithin(target, match, match + length);
  } else if (offset === 1 && length > 16) {
    memory.fill(memory[match] as number, target, end);
  } else if (length <= 32) {
    while (target < end) memory[target++] = memory[match++] as number;
  } else {
    // The match overlaps its own copy: each round doubles what can be copied at once.
    for (let done = offset; target < end; done *= 2) {
      const count = Math.min(done, end - target);
      memory.copyWithin(target, match, match + count);
      target += count;
    }
  }
}
