import { failure } from '../../shared/failure.ts';
import type { BlockMap } from '../bmap/parse.ts';
import type { Digester } from './digester.ts';
import type { Ring } from './ring.ts';

/** Part of a filled slot. */
export interface Piece {
  /** Position in the image and in the slot, in bytes. */
  readonly offset: number;
  readonly start: number;
  readonly length: number;
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

  /** The mapped parts of a slot; slots come in order. Failures of checksums end up in `failed`. */
  pieces(
    ring: Ring,
    slot: number,
    offset: number,
    length: number,
    failed: (error: unknown) => void,
  ): Piece[] {
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
        if (range.checksum) {
          const last = to === range.offset + range.length;
          const { algorithm, hex } = range.checksum;
          this.#digester.range(ring, slot, { ...piece, algorithm, last }).then((actual) => {
            if (last && actual !== hex) {
              const problem = `bytes ${range.offset} to ${range.offset + range.length - 1} have ${algorithm} ${actual}, the map says ${hex}`;
              failed(failure('BMAP_MISMATCH', { bmap: this.#map.name, image: this.#image, problem }));
            }
          }, failed);
        }
      }
      if (range.offset + range.length > offset + length) return found;
    }
  }
}
