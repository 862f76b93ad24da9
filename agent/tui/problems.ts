/** Why an image cannot be written onto a disk, as far as lists tell. */
import { type FailureReport, failure } from '../../shared/failure.ts';
import type { DiskRow, ImageRow } from './state.ts';

/** The gravest reason first, none when nothing stands in the way. */
export function problemsOf(disk: DiskRow, image: ImageRow | null): readonly FailureReport[] {
  const needed = image?.imageBytes ?? null;
  if (image === null || needed === null || disk.size === 0 || needed <= disk.size) return disk.refusals;
  const details = { target: disk.path, image: image.name, imageBytes: needed, targetBytes: disk.size };
  return [...disk.refusals, failure('TARGET_TOO_SMALL', details).report()];
}
