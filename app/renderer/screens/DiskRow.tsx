import type { TFunction } from 'i18next';
import { Checkbox } from 'react-aria-components';
import { type AppDisk, obstacle, serialTail } from '../../../shared/app/disk.ts';
import { failureIn } from '../../../shared/app/told.ts';
import { failureCodes } from '../../../shared/failure.ts';
import { CardIcon, CheckIcon, DriveIcon, FlaskIcon, LockIcon, UsbIcon, WarnIcon } from '../icons.tsx';
import { useText } from '../parts/useText.ts';

/** One disk of the list: what it is, what is on it, and why it cannot be chosen when it cannot. */
export function DiskRow({ disk, need }: { readonly disk: AppDisk; readonly need: number | null }) {
  const { t, i18n, bytes } = useText();
  const reason = reasonAgainst(disk, need, t, bytes, i18n.language);
  const contents = contentsOf(disk, t, bytes);
  return (
    <Checkbox value={disk.id} isDisabled={reason !== null} className="disk">
      <span className="disk-box" aria-hidden="true">
        <CheckIcon size={14} />
      </span>
      <span className="disk-icon" aria-hidden="true">
        <DiskIcon disk={disk} />
      </span>
      <span className="disk-words">
        <span className="disk-line">
          <span className="disk-name">{disk.kind === 'virtual' ? t('disks.virtual') : disk.name}</span>
          {badgesOf(disk, t).map((badge) => (
            <span key={badge} className={disk.system ? 'badge badge-bad' : 'badge'}>
              {badge}
            </span>
          ))}
          <span className="disk-size">{disk.size > 0 ? bytes(disk.size) : ''}</span>
        </span>
        <span className="disk-place">{placeOf(disk, t)}</span>
        {contents === '' ? null : <span className="disk-contents">{contents}</span>}
        {disk.mounts.length > 0 && reason === null ? (
          <span className="disk-contents">{t('disks.mounted', { places: disk.mounts.join(', ') })}</span>
        ) : null}
        {reason === null ? null : (
          <span className="disk-reason">
            {reason.kind === 'locked' ? <LockIcon size={14} /> : <WarnIcon size={14} />}
            <span>{reason.text}</span>
          </span>
        )}
      </span>
    </Checkbox>
  );
}

type Bytes = (value: number) => string;

/** "SanDisk Ultra, 32.0 GB, serial …4F2A". */
export function describeDisk(disk: AppDisk, t: TFunction, bytes: Bytes): string {
  const tail = serialTail(disk.serial);
  const name = disk.kind === 'virtual' ? t('disks.virtual') : disk.name;
  return [name, bytes(disk.size), ...(tail === null ? [disk.path] : [t('disks.serial', { tail })])].join(
    ', ',
  );
}

export function DiskIcon({ disk, size = 24 }: { readonly disk: AppDisk; readonly size?: number }) {
  if (disk.kind === 'virtual') return <FlaskIcon size={size} />;
  if (disk.transport === 'mmc') return <CardIcon size={size} />;
  return disk.transport === 'usb' ? <UsbIcon size={size} /> : <DriveIcon size={size} />;
}

function badgesOf(disk: AppDisk, t: TFunction): readonly string[] {
  const badges: string[] = [];
  if (disk.kind === 'virtual') badges.push(t('disks.virtualBadge'));
  if (disk.kind === 'loop') badges.push(t('disks.loopBadge'));
  if (disk.system) badges.push(t('disks.systemBadge'));
  return badges;
}

function placeOf(disk: AppDisk, t: TFunction): string {
  const tail = serialTail(disk.serial);
  const known = ['usb', 'sata', 'nvme', 'mmc', 'virtio', 'ata'] as const;
  const transport = known.find((name) => name === disk.transport);
  return [
    ...(transport ? [t(`disks.transports.${transport}`)] : []),
    disk.path,
    ...(tail === null ? [] : [t('disks.serial', { tail })]),
  ].join(' · ');
}

/** What is on the disk now: file systems by their labels, and how full they are where that is known. */
function contentsOf(disk: AppDisk, t: TFunction, bytes: Bytes): string {
  if (disk.kind === 'virtual') return t('disks.tryHint');
  const named = disk.partitions.flatMap(({ label, fstype, used, size }) => {
    const what = label ? `${label}${fstype ? ` (${fstype})` : ''}` : fstype;
    if (!what) return [];
    return used !== null && size !== null
      ? [`${what}, ${t('disks.used', { used: bytes(used), size: bytes(size) })}`]
      : [what];
  });
  return named.length > 0 ? named.join(' · ') : t('disks.empty');
}

function reasonAgainst(disk: AppDisk, need: number | null, t: TFunction, bytes: Bytes, language: string) {
  const found = obstacle(disk, need);
  if (found === null) return null;
  if (found.kind === 'small')
    return { kind: 'small', text: t('disks.tooSmall', { need: bytes(need ?? 0) }) } as const;
  const locked = found.refusal.code === 'TARGET_READ_ONLY';
  // The list tells a refusal without its details; these two are known here.
  const details = { target: disk.path, mounts: disk.mounts };
  const code = failureCodes.find((known) => known === found.refusal.code) ?? 'INTERNAL';
  const { message, advice } = failureIn(language, { ...found.refusal, code, details });
  return { kind: locked ? 'locked' : 'other', text: `${message} ${advice}` } as const;
}
