import { failure } from '../../shared/failure.ts';
import type { BlockMap, MappedRange, RangeChecksum } from '../bmap/parse.ts';
import type { Digester } from './digester.ts';
import type { Ring } from './ring.ts';

/** Part of a filled slot. */
export interface Piece {
  /** Position in the image and in the slot, in bytes. */
  readonly offset: number;
  readonly start: number;
  readonly length: number;
}

/** A slot seen through a block map. */
export interface Mapped {
  readonly pieces: readonly Piece[];
  /** Settles when nothing of the slot is left to check; never rejects. */
  readonly checked: Promise<void>;
}

/** Cuts what is read down to the ranges that a block map names, and checks each range's own checksum. */
export class RangeCheck {
  readonly #map: BlockMap;
  readonly #image: string;
  readonly #digester: Digester;
  #at = 0;

  constructor(map: BlockMap, image: string, digester: Digester) {
    this.#map = map;
    this.#image = image;
    this.#digester = digester;
  }

  /** Throws BMAP_MISMATCH when an image that reaches `end`, or ends there, is not the one of the map. */
  checkSize(end: number, ended: boolean): void {
    const { imageSize, name } = this.#map;
    if (end === imageSize || (end < imageSize && !ended)) return;
    const actual = ended ? `${end}` : 'more';
    const problem = `the map is for an image of ${imageSize} bytes, this one has ${actual}`;
    throw failure('BMAP_MISMATCH', { bmap: name, image: this.#image, problem });
  }

  /** The mapped parts of a slot; slots come in order. Failures of checksums end up in `failed`. */
  look(ring: Ring, slot: number, offset: number, length: number, failed: (error: unknown) => void): Mapped {
    const checks: Promise<void>[] = [];
    const pieces = this.#cut(offset, length, (range, piece) => {
      if (range.checksum) checks.push(this.#check(ring, slot, range, range.checksum, piece).catch(failed));
    });
    return { pieces, checked: Promise.all(checks).then(() => {}) };
  }

  #cut(offset: number, length: number, each: (range: MappedRange, piece: Piece) => void): Piece[] {
    const found: Piece[] = [];
    const { ranges } = this.#map;
    for (; ; this.#at++) {
      const range = ranges[this.#at];
      if (!range || range.offset >= offset + length) return found;
      const from = Math.max(range.offset, offset);
      const to = Math.min(range.offset + range.length, offset + length);
      if (from < to) {
        const piece = { offset: from, start: from - offset, length: to - from };
        found.push(piece);
        each(range, piece);
      }
      if (range.offset + range.length > offset + length) return found;
    }
  }

  async #check(
    ring: Ring,
    slot: number,
    range: MappedRange,
    { algorithm, hex }: RangeChecksum,
    piece: Piece,
  ): Promise<void> {
    const end = range.offset + range.length;
    const last = piece.offset + piece.length === end;
    const actual = await this.#digester.range(ring, slot, { ...piece, algorithm, last });
    if (!last || actual === hex) return;
    const problem = `bytes ${range.offset} to ${end - 1} have ${algorithm} ${actual}, the map says ${hex}`;
    throw failure('BMAP_MISMATCH', { bmap: this.#map.name, image: this.#image, problem });
  }
}
