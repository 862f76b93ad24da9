/** What became of one disk, in the one sentence that every screen of text shows. */
import type { TargetResult } from '../../shared/flash/event.ts';
import { visible } from './visible.ts';

/** `Done. Wrote ~N bytes to /dev/sdb (read back and verified).` */
export function doneSentence(target: string, { account, verified }: TargetResult): string {
  const { written, zeroed, skipped } = account;
  const rest = [
    ...(zeroed > 0 ? [`${zeroed} bytes zeroed by the disk itself`] : []),
    ...(skipped > 0 ? [`${skipped} bytes not in the block map left as they were`] : []),
    verified ? 'read back and verified' : 'not verified',
  ];
  return `Done. Wrote ~${written} bytes to ${visible(target)} (${rest.join(', ')}).`;
}
