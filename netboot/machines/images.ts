/** What machines need to know of images. */

export interface KnownImage {
  readonly sha256: string;
  readonly name: string;
  /** Wire name of the format, null when unknown. */
  readonly format: string | null;
  /** Stored bytes, null when unknown. */
  readonly sizeBytes: number | null;
}

export interface KnownImages {
  /** The image whose stored bytes have this SHA-256, here or in the catalog; null when nobody knows it. */
  readonly find: (sha256: string) => KnownImage | null;
}

/** Path of an image, percent-encoded, without the appliance's address. */
export function imagePath(sha256: string, name: string): string {
  return `/images/${sha256}/${encodeURIComponent(name)}`;
}

/** Name of an image that nobody knows (bty-contract 3.9). */
export const unknownName = 'image.img';
