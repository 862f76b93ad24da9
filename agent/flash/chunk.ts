/** A run of image bytes on its way from the source to the disks. */
export interface Chunk {
  /** Number of the chunk; the same source gives the same chunks in every pass. */
  readonly sequence: number;
  /** Position and length in the image, in bytes. */
  readonly offset: number;
  readonly length: number;
  /** The bytes in a slot of the ring; null for a range that the format says is zero. */
  readonly bytes: Uint8Array | null;
  /** True when all bytes are zero, as far as anyone looked. */
  readonly zero: boolean;
  /** Runs of zeros among the bytes, in order, from the first byte of the chunk; none where nobody looked. */
  readonly zeros: readonly ZeroRun[];
  /** XXH64 of the bytes, 0 when not computed or zero by format. */
  readonly xxh64: bigint;
}

/** Bytes [start, end). */
export interface ZeroRun {
  readonly start: number;
  readonly end: number;
}

/** What the read-back compares with. */
export type Expectation = Omit<Chunk, 'bytes' | 'sequence' | 'zeros'>;
