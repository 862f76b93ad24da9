/**
 * File systems and other contents of a partition, known by the superblock in its first 72 KiB. Kinds are named as
 * `blkid` names them. Layouts follow each format's public description: the kernel's documentation of ext4, xfs,
 * btrfs, f2fs, squashfs and erofs, Microsoft's of FAT, exFAT and NTFS, ECMA-119 for ISO 9660, FreeBSD's fs.h, the ZFS
 * on-disk specification, cryptsetup's of LUKS, mkswap(8), md(4).
 */

import {
  guidText,
  hasBytes,
  hasText,
  hexText,
  isZero,
  label,
  printable,
  u8,
  u16be,
  u16le,
  u32be,
  u32le,
  u64le,
  uuidText,
} from './bytes.ts';
import { zfsMember } from './zfslabel.ts';

export interface Filesystem {
  /** Name that `blkid` uses, such as `ext4`, `vfat` or `zfs_member`. */
  readonly kind: string;
  readonly label: string | null;
  /** Identity in the form that the file system's own tools print. */
  readonly uuid: string | null;
}

/** Bytes from the start of a partition that {@link filesystemOf} looks at. */
export const SUPERBLOCK_WINDOW = 72 * 1024;

type Probe = (bytes: Uint8Array) => Filesystem | null;

/**
 * What `bytes`, the start of a partition or of a disk without one, hold; null when nothing is known there. Volumes of
 * several disks and encryption come first: what they wrap may begin with a file system of its own.
 */
export function filesystemOf(bytes: Uint8Array): Filesystem | null {
  for (const probe of probes) {
    const found = probe(bytes);
    if (found) return found;
  }
  return null;
}

const probes: readonly Probe[] = [
  luks,
  lvm,
  (bytes) => raidMember(bytes, 4096) ?? raidMember(bytes, 0),
  bootSectorNamed,
  xfs,
  btrfs,
  ext,
  f2fs,
  erofs,
  apple,
  squashfs,
  iso9660,
  udf,
  zfsMember,
  ufs,
  jfs,
  swap,
  vfat,
  bsdLabel,
];

function named(kind: string, name: string | null = null, uuid: string | null = null): Filesystem {
  return { kind, label: name, uuid };
}

function luks(bytes: Uint8Array): Filesystem | null {
  if (!hasBytes(bytes, 0, '4c554b53babe')) return null;
  const version = u16be(bytes, 6);
  if (version !== 1 && version !== 2) return null;
  return named('crypto_LUKS', version === 2 ? label(bytes, 24, 48) : null, label(bytes, 168, 40));
}

function lvm(bytes: Uint8Array): Filesystem | null {
  for (let sector = 0; sector < 4 * 512; sector += 512) {
    if (!hasText(bytes, sector, 'LABELONE') || !hasText(bytes, sector + 24, 'LVM2 001')) continue;
    const id = label(bytes, sector + u32le(bytes, sector + 20), 32, 'latin1');
    const groups = id && /^(\w{6})(\w{4})(\w{4})(\w{4})(\w{4})(\w{4})(\w{6})$/.exec(id);
    return named('LVM2_member', null, groups ? groups.slice(1).join('-') : null);
  }
  return null;
}

/** Superblock of a Linux software RAID, version 1.x, at `at`. */
export function raidMember(bytes: Uint8Array, at: number): Filesystem | null {
  if (u32le(bytes, at) !== 0xa92b4efc || u32le(bytes, at + 4) !== 1) return null;
  return named('linux_raid_member', label(bytes, at + 32, 32), uuidText(bytes, at + 16));
}

/** Superblock of a Linux software RAID, version 0.90, at `at`. */
export function oldRaidMember(bytes: Uint8Array, at: number): Filesystem | null {
  if (u32le(bytes, at) !== 0xa92b4efc || u32le(bytes, at + 4) !== 0) return null;
  return named('linux_raid_member');
}

/** File systems whose boot sector names them at byte 3. */
function bootSectorNamed(bytes: Uint8Array): Filesystem | null {
  if (hasText(bytes, 3, '-FVE-FS-')) return named('BitLocker');
  // BitLocker To Go keeps a FAT boot sector for old systems and names itself by a GUID.
  if (guidText(bytes, 424) === '4967D63B-2E29-4AD8-8399-F6A339E3D001') return named('BitLocker');
  if (hasText(bytes, 3, 'NTFS    ')) {
    const serial = Array.from({ length: 8 }, (_, index) => hexText(bytes, 79 - index, 1)).join('');
    return named('ntfs', null, serial.toUpperCase());
  }
  if (hasText(bytes, 3, 'EXFAT   ')) return named('exfat', null, volumeSerial(bytes, 100));
  if (hasText(bytes, 3, 'ReFS\0\0\0\0')) return named('ReFS');
  return null;
}

function xfs(bytes: Uint8Array): Filesystem | null {
  const block = u32be(bytes, 4);
  if (!hasText(bytes, 0, 'XFSB') || !isPowerOfTwo(block) || block < 512 || block > 65536) return null;
  return named('xfs', label(bytes, 108, 12), uuidText(bytes, 32));
}

function btrfs(bytes: Uint8Array): Filesystem | null {
  const base = 64 * 1024;
  if (!hasText(bytes, base + 64, '_BHRfS_M')) return null;
  return named('btrfs', label(bytes, base + 299, 256), uuidText(bytes, base + 32));
}

function ext(bytes: Uint8Array): Filesystem | null {
  const base = 1024;
  if (u16le(bytes, base + 56) !== 0xef53 || u32le(bytes, base + 24) > 6) return null;
  const compatible = u32le(bytes, base + 92);
  const incompatible = u32le(bytes, base + 96);
  const readOnlyCompatible = u32le(bytes, base + 100);
  // What ext3 knows: file types, journal recovery, meta block groups; sparse superblocks, large files, B-trees.
  const modern = (incompatible & ~0x16) !== 0 || (readOnlyCompatible & ~0x7) !== 0;
  let kind = 'ext2';
  if ((incompatible & 0x8) !== 0) kind = 'jbd';
  else if (modern) kind = 'ext4';
  else if ((compatible & 0x4) !== 0) kind = 'ext3';
  return named(kind, label(bytes, base + 120, 16), uuidText(bytes, base + 104));
}

function f2fs(bytes: Uint8Array): Filesystem | null {
  if (u32le(bytes, 1024) !== 0xf2f52010) return null;
  return named('f2fs', label(bytes, 1024 + 124, 1024, 'utf-16le'), uuidText(bytes, 1024 + 108));
}

function erofs(bytes: Uint8Array): Filesystem | null {
  if (u32le(bytes, 1024) !== 0xe0f5e1e2) return null;
  return named('erofs', label(bytes, 1024 + 64, 16), uuidText(bytes, 1024 + 48));
}

function apple(bytes: Uint8Array): Filesystem | null {
  if (hasText(bytes, 32, 'NXSB')) return named('apfs', null, uuidText(bytes, 72));
  if (hasText(bytes, 1024, 'H+') && u16be(bytes, 1026) === 4) return named('hfsplus');
  if (hasText(bytes, 1024, 'HX') && u16be(bytes, 1026) === 5) return named('hfsplus');
  return null;
}

function squashfs(bytes: Uint8Array): Filesystem | null {
  return hasText(bytes, 0, 'hsqs') && u16le(bytes, 28) === 4 ? named('squashfs') : null;
}

function iso9660(bytes: Uint8Array): Filesystem | null {
  const base = 32768;
  if (!hasText(bytes, base, '\x01CD001\x01')) return null;
  const dates = [830, 813].map((field) => label(bytes, base + field, 16, 'latin1') ?? '');
  const date = dates.find((text) => /^\d{16}$/.test(text) && !/^0+$/.test(text));
  const uuid =
    date
      ?.match(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/)
      ?.slice(1)
      .join('-') ?? null;
  return named('iso9660', label(bytes, base + 40, 32), uuid);
}

/** ECMA-167: a sequence of 2048-byte volume structure descriptors from byte 32768. */
function udf(bytes: Uint8Array): Filesystem | null {
  if (!hasText(bytes, 32769, 'BEA01')) return null;
  for (let at = 32768 + 2048; at < 32768 + 16 * 2048; at += 2048) {
    if (hasText(bytes, at + 1, 'NSR02') || hasText(bytes, at + 1, 'NSR03')) return named('udf');
  }
  return null;
}

function ufs(bytes: Uint8Array): Filesystem | null {
  for (const base of [65536, 8192, 0]) {
    const magic = u32le(bytes, base + 1372);
    if (magic !== 0x19540119 && !(magic === 0x00011954 && base === 8192)) continue;
    const id = [144, 148]
      .map((field) =>
        u32le(bytes, base + field)
          .toString(16)
          .padStart(8, '0'),
      )
      .join('');
    return named('ufs', label(bytes, base + 680, 32), /^0+$/.test(id) ? null : id);
  }
  return null;
}

function jfs(bytes: Uint8Array): Filesystem | null {
  if (!hasText(bytes, 32768, 'JFS1')) return null;
  return named('jfs', label(bytes, 32768 + 152, 16), uuidText(bytes, 32768 + 136));
}

function swap(bytes: Uint8Array): Filesystem | null {
  for (const page of [4096, 8192, 16384, 32768, 65536]) {
    if (hasText(bytes, page - 10, 'SWAPSPACE2')) {
      return named('swap', label(bytes, 1052, 16), uuidText(bytes, 1036));
    }
  }
  return null;
}

/** Geometry of a FAT volume, null when the boot sector is none (Microsoft FAT specification, sections 3.1 to 3.5). */
export interface FatGeometry {
  readonly bits: 12 | 16 | 32;
  readonly clusterBytes: number;
  /** Byte where the root directory starts, and its size (one cluster for FAT32), from the volume's start. */
  readonly rootStart: number;
  readonly rootBytes: number;
}

export function fatGeometry(bytes: Uint8Array): FatGeometry | null {
  const jump = u8(bytes, 0);
  const sector = u16le(bytes, 11);
  const perCluster = u8(bytes, 13);
  const reserved = u16le(bytes, 14);
  const fats = u8(bytes, 16);
  const rootEntries = u16le(bytes, 17);
  const sectors = u16le(bytes, 19) || u32le(bytes, 32);
  const perFat = u16le(bytes, 22) || u32le(bytes, 36);
  if (u16le(bytes, 510) !== 0xaa55 || (jump !== 0xeb && jump !== 0xe9)) return null;
  if (!isPowerOfTwo(sector) || sector < 512 || sector > 4096 || !isPowerOfTwo(perCluster)) return null;
  if (reserved === 0 || fats === 0 || fats > 4 || u8(bytes, 21) < 0xf0 || sectors === 0 || perFat === 0) {
    return null;
  }
  const rootBytes = Math.ceil((rootEntries * 32) / sector) * sector;
  const rootStart = (reserved + fats * perFat) * sector;
  const clusters = Math.floor((sectors * sector - rootStart - rootBytes) / (perCluster * sector));
  if (clusters <= 0) return null;
  const clusterBytes = perCluster * sector;
  // mkfs.vfat -F 32 makes small volumes with fewer clusters than the specification asks: no root entries is surer.
  if (rootEntries === 0 && u16le(bytes, 22) === 0) {
    const rootCluster = u32le(bytes, 44);
    if (rootCluster < 2 || rootCluster >= clusters + 2) return null;
    return {
      bits: 32,
      clusterBytes,
      rootStart: rootStart + (rootCluster - 2) * clusterBytes,
      rootBytes: clusterBytes,
    };
  }
  return { bits: clusters < 4085 ? 12 : 16, clusterBytes, rootStart, rootBytes };
}

function vfat(bytes: Uint8Array): Filesystem | null {
  const geometry = fatGeometry(bytes);
  if (!geometry) return null;
  const extended = geometry.bits === 32 ? 66 : 38;
  // Byte 0x29 (or 0x28) says that serial number and, with 0x29, label follow.
  const signature = u8(bytes, extended);
  const uuid = signature === 0x28 || signature === 0x29 ? volumeSerial(bytes, extended + 1) : null;
  const name = signature === 0x29 ? label(bytes, extended + 5, 11, 'latin1') : null;
  return named('vfat', name === 'NO NAME' ? null : name, uuid);
}

function volumeSerial(bytes: Uint8Array, at: number): string {
  return `${hexWord(u16le(bytes, at + 2))}-${hexWord(u16le(bytes, at))}`;
}

function hexWord(value: number): string {
  return value.toString(16).toUpperCase().padStart(4, '0');
}

function bsdLabel(bytes: Uint8Array): Filesystem | null {
  const found = u32le(bytes, 512) === 0x82564557 && u32le(bytes, 512 + 132) === 0x82564557;
  return found ? named('bsd-disklabel') : null;
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

/** Volume label in the root directory `entries` of a FAT volume (attribute 8), null when it has none. */
export function fatRootLabel(entries: Uint8Array): string | null {
  for (let at = 0; at + 32 <= entries.length && u8(entries, at) !== 0; at += 32) {
    const attributes = u8(entries, at + 11) & 0x3f;
    if (u8(entries, at) === 0xe5 || (attributes & 0x18) !== 0x08 || attributes === 0x0f) continue;
    return label(entries, at, 11, 'latin1');
  }
  return null;
}

/** Where the root directory of an exFAT volume starts, in bytes from the volume's start; null when absurd. */
export function exfatRoot(
  boot: Uint8Array,
): { readonly start: number; readonly clusterBytes: number } | null {
  const sectorShift = u8(boot, 108);
  const clusterShift = u8(boot, 109);
  if (sectorShift < 9 || sectorShift > 12 || sectorShift + clusterShift > 25) return null;
  const clusterBytes = 2 ** (sectorShift + clusterShift);
  const start = u32le(boot, 88) * 2 ** sectorShift + (u32le(boot, 96) - 2) * clusterBytes;
  return u32le(boot, 96) >= 2 ? { start, clusterBytes } : null;
}

/** Volume label in the root directory `entries` of an exFAT volume (entry type 0x83). */
export function exfatRootLabel(entries: Uint8Array): string | null {
  for (let at = 0; at + 32 <= entries.length && u8(entries, at) !== 0; at += 32) {
    if (u8(entries, at) === 0x83)
      return label(entries, at + 2, Math.min(u8(entries, at + 1), 11) * 2, 'utf-16le');
  }
  return null;
}

/** Where the record of `$Volume` (number 3 of the master file table) of an NTFS volume lies. */
export function ntfsVolumeRecord(
  boot: Uint8Array,
): { readonly start: number; readonly length: number } | null {
  const sector = u16le(boot, 11);
  const perCluster = u8(boot, 13);
  const cluster = sector * (perCluster > 0x80 ? 2 ** (256 - perCluster) : perCluster);
  const size = u8(boot, 64);
  const length = size > 0x7f ? 2 ** Math.min(256 - size, 31) : size * cluster;
  const table = u64le(boot, 48) * cluster;
  if (!Number.isSafeInteger(table + 3 * length) || length < 512 || length > 65536 || table === 0) return null;
  return { start: table + 3 * length, length };
}

/** Volume label in the `$Volume` record: its resident attribute of type 0x60. */
export function ntfsVolumeLabel(record: Uint8Array): string | null {
  if (!hasText(record, 0, 'FILE') || isZero(record, 0, record.length)) return null;
  let at = u16le(record, 20);
  for (let count = 0; count < 64 && at + 24 <= record.length; count++) {
    const type = u32le(record, at);
    const length = u32le(record, at + 4);
    if (type === 0xffffffff || length < 24) return null;
    if (type === 0x60 && u8(record, at + 8) === 0) {
      const name = label(
        record,
        at + u16le(record, at + 20),
        Math.min(u32le(record, at + 16), 256),
        'utf-16le',
      );
      return name && printable(name);
    }
    at += length;
  }
  return null;
}
