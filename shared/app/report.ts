import { redacted } from '../address.ts';
import { type BatchState, type Lane, lanesOf } from './batch.ts';
import type { About } from './contract.ts';
import { serialTail } from './disk.ts';

/**
 * What happened, as text that a person may hand on: no whole serial number, no user name in paths, no password and no
 * query in addresses.
 */
export function reportOf(batch: BatchState, about: About): string {
  const { image } = batch;
  const hide = (text: string) => withoutSecrets(text, batch, about);
  const lines = [
    `bty ${about.version}, Electron ${about.electron}, ${about.platform}`,
    `Image: ${hide(image.location)}`,
    `Format: ${image.format ?? 'unknown'}, stored ${image.storedBytes ?? 'unknown'} bytes, unpacked ${image.imageBytes ?? 'unknown'} bytes`,
    `Verification: ${batch.verify}`,
    ...lanesOf(batch).flatMap((lane) => ['', ...linesOf(lane).map(hide)]),
  ];
  const notices = batch.jobs.flatMap((job) => job.flash.notices);
  if (notices.length > 0) lines.push('', 'Notices:', ...notices.map((notice) => `- ${hide(notice)}`));
  return `${lines.join('\n')}\n`;
}

function linesOf(lane: Lane): readonly string[] {
  const { disk, target, failure, outcome, verified } = lane;
  const result = target?.result ?? null;
  const tail = serialTail(disk.serial);
  const phases = Object.entries(result?.seconds ?? {}).map(
    ([phase, time]) => `${phase} ${time.toFixed(1)} s`,
  );
  return [
    `Disk: ${disk.name || disk.path} (${disk.path}), ${disk.size} bytes, ${disk.transport ?? disk.kind}${tail ? `, serial ${tail}` : ''}`,
    `Outcome: ${outcome ?? 'not ended'}, ${verified ? 'verified' : 'not verified'}`,
    ...(result
      ? [
          `Bytes: written ${result.account.written}, zeroed ${result.account.zeroed}, skipped ${result.account.skipped}`,
        ]
      : []),
    ...(phases.length > 0 ? [`Time: ${phases.join(', ')}`] : []),
    ...(failure ? [`Failure: ${failure.code}`, `  ${failure.message}`, `  ${failure.advice}`] : []),
  ];
}

function withoutSecrets(text: string, batch: BatchState, { home }: About): string {
  const serials = batch.jobs.flatMap((job) => job.disks.flatMap(({ serial }) => (serial ? [serial] : [])));
  let shown = text.replaceAll(/[a-z][a-z0-9+.-]*:\/\/[^\s"']+/gi, (address) =>
    redacted(address).replace(/[?#].*$/, ''),
  );
  for (const serial of serials) shown = shown.replaceAll(serial, serialTail(serial) ?? '');
  if (home.length <= 1) return shown;
  // Where desktops mount what is plugged in.
  const user = home.split(/[/\\]/).at(-1) ?? '';
  return shown.replaceAll(home, '~').replaceAll(`/media/${user}/`, '/media/~/');
}
