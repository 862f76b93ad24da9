/** What a running flash says. Every screen folds these with `advance` of `advance.ts`. */
import type { FailureReport } from '../failure.ts';

/** What a disk goes through, in this order. `settling`: the held-back start is written, flushed and read back. */
export type TargetPhase = 'clearing' | 'writing' | 'flushing' | 'verifying' | 'settling';

/** How much of what was written is read back from the medium. */
export type VerifyMode = 'full' | 'written' | 'none';

/** What limits the speed now. */
export type Bottleneck = 'source' | 'decompress' | 'hash' | 'disk';

export type Outcome = 'done' | 'failed' | 'cancelled';

/** Bytes of the image by what became of them on one disk. */
export interface Account {
  /** Bytes transferred to the disk. */
  readonly written: number;
  /** Bytes made zero by the disk itself, without a transfer. */
  readonly zeroed: number;
  /** Bytes left as they were because the block map says that the image does not use them. */
  readonly skipped: number;
}

export interface TargetResult {
  readonly outcome: Outcome;
  /** True when every byte that was to be verified was read back and matched. */
  readonly verified: boolean;
  readonly account: Account;
  /** True when the system has read the new partition table. */
  readonly partitionsRead: boolean;
  /** Seconds spent in each phase that was reached. */
  readonly seconds: Readonly<Partial<Record<TargetPhase, number>>>;
  readonly failure: FailureReport | null;
}

interface At {
  /** Milliseconds on a clock that never goes back; only differences mean anything. */
  readonly at: number;
}

export type FlashEvent = At &
  (
    | {
        readonly kind: 'started';
        readonly image: string;
        readonly format: string;
        /** Stored bytes of the source and bytes of the image, null where unknown. */
        readonly storedBytes: number | null;
        readonly imageBytes: number | null;
        readonly targets: readonly { readonly target: string; readonly size: number }[];
      }
    /** A disk joined the running flash. */
    | { readonly kind: 'target-added'; readonly target: string; readonly size: number }
    | { readonly kind: 'phase'; readonly target: string; readonly phase: TargetPhase }
    | {
        readonly kind: 'progress';
        readonly target: string;
        readonly phase: TargetPhase;
        /** Bytes of the image done in this phase, and their total, null where unknown. */
        readonly bytes: number;
        readonly total: number | null;
      }
    | {
        /** How far the common front of the work is: stored bytes read, image bytes unpacked. */
        readonly kind: 'source';
        readonly storedBytes: number;
        readonly imageBytes: number;
        readonly bottleneck: Bottleneck;
      }
    | { readonly kind: 'notice'; readonly target: string | null; readonly text: string }
    | ({ readonly kind: 'target-finished'; readonly target: string } & TargetResult)
    | {
        readonly kind: 'finished';
        /** The worst outcome of all disks. */
        readonly outcome: Outcome;
        /** SHA-256 of the stored bytes, null when it was not computed or the source was not read to its end. */
        readonly sha256: string | null;
        readonly storedBytes: number;
        readonly imageBytes: number;
      }
  );

/** An event without its time, as the engine's parts make it. */
export type FlashNews = FlashEvent extends infer Event
  ? Event extends At
    ? Omit<Event, 'at'>
    : never
  : never;
