import type { VerifyMode } from '../../shared/flash/event.ts';
import type { Layout } from '../../shared/image.ts';
import type { BlockMap } from '../bmap/parse.ts';
import type { DiskHandle } from '../disk/handle.ts';
import type { ImageSource, RandomReader } from '../source/source.ts';
import type { PackedAs } from '../unpack/packings.ts';

/** Extents of an image that knows where its data lies. */
export interface ExtentReader extends RandomReader {
  extents(
    start: number,
    end: number,
  ): AsyncIterable<{ offset: number; length: number; kind: 'data' | 'zero' }>;
}

/** What is to be written and how. Everything that can be known beforehand is decided in it. */
export interface FlashPlan {
  /** Name of the image, for people. */
  readonly image: string;
  /** Wire name of its format. */
  readonly format: string;
  readonly source: ImageSource;
  /** How stored bytes become image bytes. */
  readonly reading:
    | { readonly kind: 'raw' }
    | { readonly kind: 'packed'; readonly packed: PackedAs }
    | { readonly kind: 'extents'; readonly reader: ExtentReader }
    /** A qcow2 image read in order, packed or not. */
    | { readonly kind: 'qcow2'; readonly packed: PackedAs | null };
  /** Bytes of the image, null where unknown before it is unpacked. */
  readonly imageBytes: number | null;
  readonly verify: VerifyMode;
  /** Zero runs of the image become zero-outs. */
  readonly sparse: boolean;
  /** Whether SHA-256 of the stored bytes is computed; `expected` is checked before the flash is called done. */
  readonly sha256: { readonly compute: boolean; readonly expected: string | null };
  readonly blockMap: BlockMap | null;
  /** Sends what the source has to say from now on (a lost connection, say) to `tell`. */
  readonly listen: (tell: (text: string) => void) => void;
  /** Looks at the first image bytes before any disk is touched; throws the refusal. */
  readonly checkStart: (head: Uint8Array) => Layout;
}

export interface FlashTarget {
  /** As the person named it; unique in a flash. */
  readonly target: string;
  readonly size: number;
  /** Opens the disk after all checks; rejects with a Failure. */
  readonly open: () => Promise<DiskHandle>;
}

export interface FlashControl {
  /** Cancels the flash. */
  readonly signal: AbortSignal;
  /** Ends the read-back of all disks: they end "written, not verified". */
  readonly skipVerify: AbortSignal;
  /**
   * Is handed, once, the function by which a disk joins the running flash. That says false where none can: all disks
   * have ended, the image cannot be read again (standard input), or this disk is being written.
   */
  readonly onStart?: (join: (target: FlashTarget) => boolean) => void;
}
