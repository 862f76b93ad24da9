import type { BatchState } from './batch.ts';
import type { AppDisk } from './disk.ts';
import type { AppImage } from './image.ts';

/** The line for a terminal that does what the window does (docs/cli.md, `bty flash`). */
export function commandFor(
  image: AppImage,
  disks: readonly AppDisk[],
  { verify, allowCut }: Pick<BatchState, 'verify' | 'allowCut'>,
  privileged: boolean,
): string {
  const needsRoot = disks.some(({ kind }) => kind !== 'virtual') && !privileged;
  const [only] = disks;
  const words = [
    ...(needsRoot ? ['sudo'] : []),
    ...['bty', 'flash', '--image', image.location],
    ...disks.flatMap((disk) => [disk.kind === 'virtual' ? '--virtual-disk' : '--target', disk.path]),
    ...(disks.some(({ kind }) => kind === 'loop') ? ['--allow-loop'] : []),
    ...(disks.length === 1 && only?.serial ? ['--expect-serial', only.serial] : []),
    ...(image.sha256 === null ? [] : ['--sha256', image.sha256]),
    ...(allowCut ? ['--allow-cut'] : []),
    ...(verify === 'full' ? [] : ['--verify', verify]),
    '--yes',
  ];
  return words.map(quoted).join(' ');
}

/** A word as a POSIX shell reads it back. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
