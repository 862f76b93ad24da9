/** What the operator's change of a machine means for a task that still waits for it. Pure. */
import type { MachineRecord } from '../machines/record.ts';

type Bound = Pick<MachineRecord, 'imageSha256' | 'provisioningMode' | 'cijoeTaskRef'>;

/** The task that a machine is set to run after its flash, null when none is. */
export function taskOf({ provisioningMode, cijoeTaskRef }: Bound): string | null {
  return provisioningMode === 'cijoe-task' ? cijoeTaskRef : null;
}

export interface Withdrawn {
  /** For the middle of a sentence. */
  readonly because: string;
  /** The task that waits in its place, null for none. */
  readonly next: string | null;
}

/**
 * Why a run that a flash of `before` brought, and that did nothing on the machine yet, is not to be done any more, null
 * when it is. It finishes what was flashed: with another image, or none, there is nothing left to finish.
 */
export function withdrawn(before: Bound, after: Bound): Withdrawn | null {
  if (after.imageSha256 !== before.imageSha256)
    return after.imageSha256 === null
      ? { because: 'because no image is bound to the machine any more, ', next: null }
      : { because: 'because another image was bound to the machine, ', next: null };
  const next = taskOf(after);
  if (next === taskOf(before)) return null;
  return next === null
    ? { because: 'because no task is set for the machine any more, ', next }
    : { because: `because the task ${next} was set for the machine, `, next };
}
