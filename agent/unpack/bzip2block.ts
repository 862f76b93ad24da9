/**
 * One block of a bzip2 stream, without its run-length coding. The format is described in "BZIP2: Format
 * Specification" (Joe Tsai, 2016).
 */

import { crcOfRun, crcTables } from './bzip2crc.ts';

/** Bytes that must follow the stored bytes of a block in memory; their content does not matter. */
export const blockSlack = 256;
/** Largest number of bytes that a block decodes to (before its run lengths are undone). */
export const blockLimit = 900_000;

const longestCode = 20;
const lookupBits = 10;
const groupSize = 50;
const unknownSymbol = 511;
/** More symbols than a block and its end can have would need. */
const mostSelectors = 18_002;

/** Where a block is decoded to. */
export interface DecodedBlock {
  /** The bytes of the block before its run lengths are undone. */
  readonly bytes: Uint8Array;
  /** Which of them are run lengths. */
  readonly counts: Int32Array;
}

/** Size in bytes of a buffer for one decoded block. */
export const decodedSize = blockLimit + 4 * (blockLimit / 5);

export function decodedBlock(buffer: SharedArrayBuffer): DecodedBlock {
  return { bytes: new Uint8Array(buffer, 0, blockLimit), counts: new Int32Array(buffer, blockLimit) };
}

export type BlockResult =
  | {
      readonly kind: 'decoded';
      /** Bytes of the block, and how many of them are run lengths. */
      readonly length: number;
      readonly runs: number;
      /** Checksum of the bytes after the run lengths are undone; it was verified. */
      readonly crc: number;
      /** First bit after the block. */
      readonly end: number;
    }
  /** The block needs more bits than there are. */
  | { readonly kind: 'short' }
  | { readonly kind: 'randomised' }
  | { readonly kind: 'damaged'; readonly problem: string };

const damaged = (problem: string): BlockResult => ({ kind: 'damaged', problem });

/** Memory for decoding one block, reused for the next. */
export class BlockDecoder {
  /** For each place of the sorted column: the byte there, and the place that follows it, shifted by 8. */
  readonly #chain = new Uint32Array(blockLimit);
  readonly #last = new Uint8Array(blockLimit);
  readonly #order = new Uint8Array(256 + 8);
  readonly #orderView = new DataView(this.#order.buffer);
  readonly #counts = new Int32Array(256);
  readonly #lengths = new Uint8Array(258);
  readonly #selectors = new Uint8Array(mostSelectors);
  readonly #tables = Array.from({ length: 6 }, () => new HuffmanTable());
  readonly #symbols = new Uint16Array(groupSize);
  #view: DataView = new DataView(new ArrayBuffer(8));
  #position = 0;

  /**
   * Decodes the block whose magic starts at bit `start` of `input` to `into`. `end` is the first bit that does not belong to the input; `blockSlack` readable bytes must follow.
   */
  decode(input: Uint8Array, start: number, end: number, into: DecodedBlock): BlockResult {
    const result = this.#decode(input, start, end, into);
    // What looks like damage after the last stored bit only says that more bits are needed.
    return result.kind === 'damaged' && this.#position > end ? { kind: 'short' } : result;
  }

  #decode(input: Uint8Array, start: number, end: number, into: DecodedBlock): BlockResult {
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    this.#position = start + 48;
    if (this.#position + 32 + 1 + 24 + 16 > end) return { kind: 'short' };
    const crc = ((this.#take(16) << 16) | this.#take(16)) >>> 0;
    if (this.#take(1) === 1) return { kind: 'randomised' };
    const origin = this.#take(24);
    const used = this.#readAlphabet();
    if (used === 0) return damaged('a block uses no byte at all');

    const tables = this.#take(3);
    const selectors = this.#take(15);
    if (this.#position > end) return { kind: 'short' };
    if (tables < 2 || tables > 6) return damaged('a block has a wrong number of tables');
    if (selectors === 0) return damaged('a block has no selector');
    const problem = this.#readSelectors(selectors, tables, end) ?? this.#readTables(tables, used + 2, end);
    if (problem) return problem;

    const length = this.#readSymbols(Math.min(selectors, mostSelectors), used + 1, end);
    if (typeof length !== 'number') return length;
    if (origin >= length) return damaged('a block starts outside itself');
    this.#link(length);
    return this.#follow(origin, length, crc, into);
  }

  #take(bits: number): number {
    const at = this.#position;
    this.#position = at + bits;
    return (this.#view.getUint32(at >>> 3) << (at & 7)) >>> (32 - bits);
  }

  /** Reads which bytes occur, into `#order`; returns their number. */
  #readAlphabet(): number {
    const ranges = this.#take(16);
    let used = 0;
    for (let range = 0; range < 16; range++) {
      if ((ranges & (0x8000 >>> range)) === 0) continue;
      const bytes = this.#take(16);
      for (let low = 0; low < 16; low++) {
        if ((bytes & (0x8000 >>> low)) !== 0) this.#order[used++] = range * 16 + low;
      }
    }
    return used;
  }

  #readSelectors(count: number, tables: number, end: number): BlockResult | undefined {
    // The tables, the one used last first.
    const order = Uint8Array.of(0, 1, 2, 3, 4, 5);
    for (let at = 0; at < count; at++) {
      let place = 0;
      while (this.#take(1) === 1) {
        place++;
        if (place >= tables) return damaged('a selector names no table');
      }
      if (this.#position > end) return { kind: 'short' };
      const table = order[place] as number;
      for (; place > 0; place--) order[place] = order[place - 1] as number;
      order[0] = table;
      // Some encoders announce more selectors than a block can use; bzip2 1.0.8 ignores the surplus too.
      if (at < mostSelectors) this.#selectors[at] = table;
    }
    return undefined;
  }

  #readTables(tables: number, symbols: number, end: number): BlockResult | undefined {
    for (let table = 0; table < tables; table++) {
      let length = this.#take(5);
      for (let symbol = 0; symbol < symbols; symbol++) {
        for (;;) {
          if (length < 1 || length > longestCode) return damaged('a code has a wrong length');
          if (this.#take(1) === 0) break;
          length += this.#take(1) === 0 ? 1 : -1;
          if (this.#position > end) return { kind: 'short' };
        }
        this.#lengths[symbol] = length;
      }
      if (this.#position > end) return { kind: 'short' };
      this.#tables[table]?.build(this.#lengths, symbols);
    }
    return undefined;
  }

  /** Decodes symbols, undoes move-to-front and zero runs, into `#last`; returns how many bytes there are. */
  #readSymbols(selectors: number, endSymbol: number, end: number): number | BlockResult {
    const last = this.#last;
    const order = this.#order;
    const front = this.#orderView;
    const counts = this.#counts.fill(0);
    const symbols = this.#symbols;
    let length = 0;
    let run = 0;
    let runWeight = 1;

    for (let group = 0; group < selectors; group++) {
      const start = this.#position;
      if (start > end) return { kind: 'short' };
      const table = this.#tables[this.#selectors[group] as number] as HuffmanTable;
      this.#position = readGroup(this.#view, start, table, symbols);
      for (let turn = 0; turn < groupSize; turn++) {
        const symbol = symbols[turn] as number;
        if (symbol <= 1) {
          // Digits 1 and 2 of a number in base 2, the lowest first.
          run += runWeight << symbol;
          runWeight <<= 1;
          if (run > blockLimit) return damaged('a block is too long');
          continue;
        }
        if (run > 0) {
          if (run > blockLimit - length) return damaged('a block is too long');
          const byte = order[0] as number;
          counts[byte] = (counts[byte] as number) + run;
          if (run > 24) {
            last.fill(byte, length, length + run);
            length += run;
          } else {
            for (; run > 0; run--) last[length++] = byte;
          }
          run = 0;
          runWeight = 1;
        }
        if (symbol >= endSymbol) {
          this.#position = readGroup(this.#view, start, table, symbols, turn + 1);
          if (this.#position > end) return { kind: 'short' };
          return symbol === endSymbol ? length : damaged('a code is unknown');
        }
        if (length >= blockLimit) return damaged('a block is too long');

        let place = symbol - 1;
        const byte = order[place] as number;
        for (; place >= 8; place -= 4) front.setInt32(place - 3, front.getInt32(place - 4));
        // The first eight places, as two words: those up to `place` move by one, without a branch.
        const high = front.getInt32(0);
        const low = front.getInt32(4);
        const highMask = highMasks[place] as number;
        const lowMask = lowMasks[place] as number;
        front.setInt32(0, (((byte << 24) | (high >>> 8)) & highMask) | (high & ~highMask));
        front.setInt32(4, (((high << 24) | (low >>> 8)) & lowMask) | (low & ~lowMask));
        counts[byte] = (counts[byte] as number) + 1;
        last[length++] = byte;
      }
    }
    return this.#position > end ? { kind: 'short' } : damaged('a block has too few selectors');
  }

  /** Sorts the bytes, each with the place it came from: the inverse of the Burrows-Wheeler transform. */
  #link(length: number): void {
    const chain = this.#chain;
    const last = this.#last;
    const counts = this.#counts;
    let sum = 0;
    for (let byte = 0; byte < 256; byte++) {
      const count = counts[byte] as number;
      counts[byte] = sum;
      sum += count;
    }
    for (let at = 0; at < length; at++) {
      const byte = last[at] as number;
      const place = counts[byte] as number;
      counts[byte] = place + 1;
      chain[place] = (at << 8) | byte;
    }
  }

  /**
   * Undoes the transform into `into` and notes in `counts` where the run lengths lie. The checksum costs nothing
   * here: each step waits for memory, because it depends on the one before.
   */
  #follow(origin: number, length: number, crc: number, into: DecodedBlock): BlockResult {
    const chain = this.#chain;
    const { bytes, counts } = into;
    let entry = chain[origin] as number;
    let check = -1;
    let before = -1;
    let equal = 1;
    let runs = 0;
    for (let at = 0; at < length; at++) {
      const byte = entry & 255;
      entry = chain[entry >>> 8] as number;
      bytes[at] = byte;
      check = (check << 8) ^ (crcTables[((check >>> 24) ^ byte) & 255] as number);
      if (byte !== before) {
        before = byte;
        equal = 1;
      } else if (++equal === 4) {
        at++;
        if (at === length) return damaged('a run has no length');
        const count = entry & 255;
        entry = chain[entry >>> 8] as number;
        bytes[at] = count;
        counts[runs++] = at;
        check = crcOfRun(check, byte, count);
        before = -1;
      }
    }
    if (~check >>> 0 !== crc) return damaged('block checksum differs');
    return { kind: 'decoded', length, runs, crc, end: this.#position };
  }
}

/** Bytes of the first and second word that change when place 0..7 moves to the front. */
const highMasks = Int32Array.from({ length: 8 }, (_, place) => -1 << Math.max(0, 24 - 8 * place));
const lowMasks = Int32Array.from({ length: 8 }, (_, place) => (place < 4 ? 0 : -1 << (56 - 8 * place)));

/**
 * Decodes the next `count` codes (even, or fewer than a group) from bit `position` into `symbols`, also those
 * that come after the end of the block, and returns the bit after them. Reads less than `blockSlack` bytes.
 */
function readGroup(
  view: DataView,
  position: number,
  table: HuffmanTable,
  symbols: Uint16Array,
  count = groupSize,
): number {
  const lookup = table.lookup;
  let at = position;
  let done = 0;
  while (done + 1 < count) {
    const bits = view.getUint32(at >>> 3) << (at & 7);
    const first = lookup[bits >>> (32 - lookupBits)] as number;
    const length = first >>> 9;
    const second = lookup[(bits << length) >>> (32 - lookupBits)] as number;
    if (first === 0) {
      const found = table.long(bits);
      symbols[done++] = found & 511;
      at += found >>> 9;
      continue;
    }
    symbols[done++] = first & 511;
    at += length;
    if (second === 0) continue;
    symbols[done++] = second & 511;
    at += second >>> 9;
  }
  if (done < count) {
    const bits = view.getUint32(at >>> 3) << (at & 7);
    const found = (lookup[bits >>> (32 - lookupBits)] as number) || table.long(bits);
    symbols[done] = found & 511;
    at += found >>> 9;
  }
  return at;
}

/** Canonical Huffman codes of up to 20 bits; `lookup` knows those of up to 10. */
class HuffmanTable {
  /** By the next 10 bits: length of the code, shifted by 9, and its symbol; 0 where the code is longer. */
  readonly lookup = new Uint16Array(1 << lookupBits);
  /** By code length: first code and the one after the last, left-aligned to 20 bits, and the first symbol. */
  readonly #first = new Int32Array(longestCode + 1);
  readonly #after = new Int32Array(longestCode + 1);
  readonly #start = new Int32Array(longestCode + 1);
  readonly #symbols = new Uint16Array(258);

  build(lengths: Uint8Array, symbols: number): void {
    this.lookup.fill(0);
    let code = 0;
    let sorted = 0;
    for (let length = 1; length <= longestCode; length++) {
      const step = 1 << (longestCode - length);
      this.#first[length] = code;
      this.#start[length] = sorted;
      for (let symbol = 0; symbol < symbols; symbol++) {
        // Codes beyond the space of 20 bits exist only in damaged tables, and can never be met.
        if (lengths[symbol] !== length || code + step > 1 << longestCode) continue;
        this.#symbols[sorted++] = symbol;
        if (length <= lookupBits) {
          const shift = longestCode - lookupBits;
          this.lookup.fill((length << 9) | symbol, code >>> shift, (code + step) >>> shift);
        }
        code += step;
      }
      this.#after[length] = code;
    }
  }

  /** Finds a code of more than 10 bits at the top of `bits`: its length, shifted by 9, and its symbol. */
  long(bits: number): number {
    const top = bits >>> (32 - longestCode);
    for (let length = lookupBits + 1; length <= longestCode; length++) {
      if (top >= (this.#after[length] as number)) continue;
      const index = (top - (this.#first[length] as number)) >>> (longestCode - length);
      return (length << 9) | (this.#symbols[(this.#start[length] as number) + index] as number);
    }
    return (longestCode << 9) | unknownSymbol;
  }
}
