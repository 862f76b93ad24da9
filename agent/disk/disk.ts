import type { FailureReport } from '../../shared/failure.ts';

/** What keeps a disk, or something on it, in use. `device` is the part concerned, for example `/dev/sdb1`. */
export type DiskUse =
  | { readonly kind: 'mount'; readonly device: string; readonly at: string }
  | { readonly kind: 'swap'; readonly device: string }
  /** `holder` tells what stands on `device`, for example `the LVM volume data-home (dm-0)`. */
  | { readonly kind: 'holder'; readonly device: string; readonly holder: string };

export interface Partition {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Label of the file system. */
  readonly label: string | null;
  readonly fstype: string | null;
  readonly mountpoints: readonly string[];
  /** Name of the entry in a GPT. */
  readonly partlabel: string | null;
  /** Bytes that its file system has in use, null where the system does not know (it is not mounted). */
  readonly used: number | null;
}

/** A disk as a list shows it. The first ten fields are those of `bty list disks --json`. */
export interface Disk {
  readonly path: string;
  /** Bytes; 0 for a reader without a medium. */
  readonly size: number;
  /** Size as lsblk(8) prints it, for example `500G`. */
  readonly sizeText: string;
  /** `loop` disks are listed only on request. */
  readonly kind: 'disk' | 'loop';
  readonly vendor: string | null;
  readonly model: string | null;
  readonly serial: string | null;
  /** How it is attached: `usb`, `sata`, `nvme`, `mmc`, `virtio` ..., null when unknown. */
  readonly tran: string | null;
  readonly removable: boolean;
  readonly readonly: boolean;
  /** Where the disk itself, not a partition of it, is mounted. */
  readonly mountpoints: readonly string[];

  /** Changes whenever another disk or medium takes this place (Linux 5.15 and newer). */
  readonly diskseq: number | null;
  /** World-wide name, by which the disk is known wherever it is plugged in. */
  readonly wwn: string | null;
  /** File system that spans the whole disk, without partitions. */
  readonly fstype: string | null;
  readonly label: string | null;
  /** Bytes. */
  readonly logicalBlockSize: number | null;
  /** Bytes. */
  readonly physicalBlockSize: number | null;
  readonly rotational: boolean | null;
  /** File under a loop disk. */
  readonly backingFile: string | null;
  /** True when the running system lives on it. */
  readonly isSystem: boolean;
  /** Everything that uses the disk, its partitions, and what stands on them. */
  readonly usedBy: readonly DiskUse[];
  readonly partitions: readonly Partition[];
  /** Why a flash onto this disk would be refused now; empty when it would not. */
  readonly refusals: readonly FailureReport[];
}

/** A size as lsblk(8) prints it: one letter, powers of 1024, at most one decimal. */
export function sizeText(bytes: number): string {
  const letters = 'BKMGTPE';
  let exponent = 0;
  while (exponent < letters.length - 1 && bytes >= 1024 ** (exponent + 1)) exponent++;
  const tenths = Math.round((bytes / 1024 ** exponent) * 10);
  const whole = Math.floor(tenths / 10);
  return `${whole}${tenths % 10 === 0 ? '' : `.${tenths % 10}`}${letters[exponent]}`;
}

/** Mount points of the running system: a disk that holds one of them is never a target. */
const systemMounts = new Set([
  '/',
  '/usr',
  '/var',
  '/boot',
  '/boot/efi',
  '/boot/firmware',
  '/efi',
  '/sysroot',
  '/nix',
  '/nix/store',
  // Media that live systems run from: Debian, Ubuntu, Fedora, Arch
  '/run/live/medium',
  '/lib/live/mount/medium',
  '/cdrom',
  '/run/initramfs/live',
  '/run/archiso/bootmnt',
  // macOS and Windows
  '/System/Volumes/Data',
  '/System/Volumes/Preboot',
  '/System/Volumes/VM',
]);

/** Where the running system is mounted from among `uses`. */
export function systemMountsOf(uses: readonly DiskUse[]): readonly string[] {
  return uses.flatMap((use) => (use.kind === 'mount' && systemMounts.has(use.at) ? [use.at] : []));
}
