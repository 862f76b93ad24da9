/** Finds where blocks may start in a bzip2 stream, which is aligned to bits. */

const blockMagic = [0x314159, 0x265359] as const;
const endMagic = [0x177245, 0x385090] as const;
export const magicBits = 48;

export type MagicKind = 'block' | 'end';
export interface Mark {
  readonly kind: MagicKind;
  /** First bit of the magic. */
  readonly bit: number;
}

/**
 * By two neighbouring bytes: 1 where they may be the bytes m+1+k and m+2+k of a magic that starts in byte m,
 * for any k from 0 to 3 and any of the eight alignments. One look at every fourth byte so finds all.
 */
const suspicious = makeSuspicious();

/** Bits [`bit`, `bit` + `count`) of `view`, `count` at most 24; four bytes from the first must be readable. */
export function bitsAt(view: DataView, bit: number, count: number): number {
  return (view.getUint32(bit >>> 3) << (bit & 7)) >>> (32 - count);
}

/** The magic at `bit`, if there is one; seven bytes from there must be readable. */
export function magicAt(view: DataView, bit: number): MagicKind | null {
  const high = bitsAt(view, bit, 24);
  if (high !== blockMagic[0] && high !== endMagic[0]) return null;
  const low = bitsAt(view, bit + 24, 24);
  if (high === blockMagic[0] && low === blockMagic[1]) return 'block';
  return high === endMagic[0] && low === endMagic[1] ? 'end' : null;
}

/** True if the `count` bits at `bit` could be the beginning of a magic. */
export function startsMagic(view: DataView, bit: number, count: number): boolean {
  return [blockMagic, endMagic].some(([high, low]) => {
    const first = Math.min(count, 24);
    const rest = count - first;
    if (first > 0 && bitsAt(view, bit, first) !== high >>> (24 - first)) return false;
    return rest === 0 || bitsAt(view, bit + 24, rest) === low >>> (24 - rest);
  });
}

/**
 * Looks for magics from byte `from` on, where a look is due every four bytes; adds them to `found` in order and
 * returns the byte where the next look is due. Stops after the look that found one. Magics in the last six
 * bytes before `end` may be left for the next call.
 */
export function scan(view: DataView, from: number, end: number, found: Mark[]): number {
  const last = end - 6;
  let at = from;
  for (; at <= last; at += 4) {
    if (suspicious[view.getUint16(at)] === 0) continue;
    const before = found.length;
    for (let start = Math.max(0, at - 4); start < at; start++) {
      for (let bit = start * 8; bit < start * 8 + 8; bit++) {
        const kind = magicAt(view, bit);
        if (kind) found.push({ kind, bit });
      }
    }
    if (found.length > before) return at + 4;
  }
  return at;
}

function makeSuspicious(): Uint8Array {
  const made = new Uint8Array(1 << 16);
  for (const [high, low] of [blockMagic, endMagic]) {
    const magic = (BigInt(high) << 24n) | BigInt(low);
    for (let first = 1; first <= 32; first++)
      made[Number((magic >> BigInt(magicBits - 16 - first)) & 0xffffn)] = 1;
  }
  return made;
}
