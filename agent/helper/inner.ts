/**
 * What the two halves of the helper say to one another. The keeper has the rights of root, opens the disks and never
 * sees a byte of an image; the worker has the rights of the asking user, and writes the image through the descriptors
 * that it is handed.
 */
import type { FailureReport } from '../../shared/failure.ts';
import type { HelperJob, HelperTarget } from '../../shared/helper/protocol.ts';
import type { HelperReply } from '../../shared/helper/reply.ts';

/** A descriptor on its way over the socket for descriptors, sent before the line that speaks of it. */
export interface Handed {
  /** Goes along with the descriptor, and names the disk from then on. */
  readonly index: number;
  readonly direct: boolean;
}

/** A line from the keeper to the worker. */
export type ToWorker =
  /** To be printed for the app: the worker alone writes there. */
  | { readonly kind: 'reply'; readonly reply: HelperReply }
  /** `disks` in the order of the job's targets; null for one that the worker opens by itself. */
  | { readonly kind: 'begin'; readonly job: HelperJob; readonly disks: readonly (Handed | null)[] }
  | { readonly kind: 'add'; readonly target: HelperTarget; readonly disk: Handed | null }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'skip' }
  /** The job ends because the app broke the protocol. */
  | { readonly kind: 'broken'; readonly failure: FailureReport }
  /** Answers the verb `reread`. */
  | { readonly kind: 'reread'; readonly index: number; readonly done: boolean }
  /** Nothing was begun, and nothing will be. */
  | { readonly kind: 'end'; readonly outcome: 'refused' | 'cancelled' };

/** All that the worker can say to the keeper: one of these bytes, and the index of a disk. */
export const verbs = {
  /** Read the partition table again. */
  reread: 0x72,
  /** The worker has closed the disk; the keeper does so, too. */
  closed: 0x63,
} as const;

/** Most bytes of a line to the worker. */
export const innerBytes = 4 * 1024 * 1024;

/** Descriptors of the keeper, as it is started with: see become.ts. */
export const keeperLines = 3;
export const keeperDisks = 4;
