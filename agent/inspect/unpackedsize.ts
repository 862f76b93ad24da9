export interface UnpackedSize {
  /** Bytes of the unpacked image, or the best guess; null when nothing can be said. */
  readonly bytes: number | null;
  /** False when `bytes` is a guess. */
  readonly exact: boolean;
  /** The image has at least this many bytes, if it is sound. */
  readonly atLeast: number;
}

export const unknownSize: UnpackedSize = { bytes: null, exact: false, atLeast: 0 };

export function exactSize(bytes: number): UnpackedSize {
  return { bytes, exact: true, atLeast: bytes };
}
