/** Disks as the window shows them, read from what `bty list disks --json` prints. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { nameIn } from './image.ts';

const text = Type.String({ maxLength: 4096 });
const maybe = Type.Union([text, Type.Null()]);
const bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const WirePartition = Type.Object({
  path: text,
  size_bytes: Type.Union([bytes, Type.Null()]),
  fstype: maybe,
  label: maybe,
  partlabel: maybe,
  mountpoints: Type.Array(text, { maxItems: 64 }),
  used_bytes: Type.Optional(Type.Union([bytes, Type.Null()])),
});

const WireRefusal = Type.Object({
  code: Type.String({ pattern: '^[A-Z_]{1,64}$' }),
  message: text,
  advice: text,
});

/** One of `disks[]`. Keys that are added over time are passed over. */
const WireDisk = Type.Object({
  path: text,
  size_bytes: bytes,
  type: Type.Union([Type.Literal('disk'), Type.Literal('loop')]),
  vendor: maybe,
  model: maybe,
  serial: maybe,
  tran: maybe,
  removable: Type.Boolean(),
  readonly: Type.Boolean(),
  diskseq: Type.Union([bytes, Type.Null()]),
  backing_file: maybe,
  system: Type.Boolean(),
  mountpoints: Type.Array(text, { maxItems: 64 }),
  /** Of a file system without partitions around it. */
  fstype: Type.Optional(maybe),
  label: Type.Optional(maybe),
  partitions: Type.Array(WirePartition, { maxItems: 512 }),
  refusals: Type.Array(WireRefusal, { maxItems: 64 }),
});

const WireList = Type.Object({
  schema_version: Type.Literal('1'),
  command: Type.Literal('list-disks'),
  disks: Type.Array(WireDisk, { maxItems: 4096 }),
});

export interface AppPartition {
  readonly path: string;
  /** Bytes, null where unknown. */
  readonly size: number | null;
  readonly fstype: string | null;
  readonly label: string | null;
  readonly mountpoints: readonly string[];
  /** Bytes in use in its file system, null where unknown. */
  readonly used: number | null;
}

/** Why a disk cannot be written now. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly advice: string;
}

export interface AppDisk {
  /** Changes whenever another disk or medium takes this place. */
  readonly id: string;
  /** `virtual` is a file that stands for a disk. */
  readonly kind: 'disk' | 'loop' | 'virtual';
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Vendor and model, or what else it is called. */
  readonly name: string;
  readonly serial: string | null;
  readonly diskseq: number | null;
  /** How it is attached: `usb`, `sata`, `nvme`, `mmc`, null when unknown. */
  readonly transport: string | null;
  readonly removable: boolean;
  readonly system: boolean;
  readonly partitions: readonly AppPartition[];
  /** Where it, or a part of it, is mounted. */
  readonly mounts: readonly string[];
  /** What keeps it from being written, whatever the image; empty when nothing does. */
  readonly refusals: readonly Refusal[];
}

/** Disks in what `bty list disks --json` printed; null when that is not such a list. */
export function disksIn(value: unknown): readonly AppDisk[] | null {
  if (!Check(WireList, value)) return null;
  return value.disks.map(diskOf);
}

/** The helper unmounts what is mounted, and the step for system disks is the window's own. */
const notHere = new Set(['TARGET_MOUNTED', 'TARGET_IS_SYSTEM']);

/** What stands where a name should: nothing, or the number of a maker. */
const nameless = /^(0x[0-9a-f]{4})?$/i;

function diskOf(disk: Static<typeof WireDisk>): AppDisk {
  const named = [disk.vendor, disk.model]
    .flatMap((part) => (nameless.test(part?.trim() ?? '') ? [] : [part?.trim()]))
    .join(' ');
  return {
    id: [disk.path, disk.diskseq ?? '', disk.serial ?? '', disk.size_bytes].join('|'),
    kind: disk.type,
    path: disk.path,
    size: disk.size_bytes,
    name: named || nameIn(disk.backing_file ?? disk.path),
    serial: disk.serial,
    diskseq: disk.diskseq,
    transport: disk.tran,
    removable: disk.removable,
    system: disk.system,
    partitions: partitionsOf(disk),
    mounts: [...disk.mountpoints, ...disk.partitions.flatMap(({ mountpoints }) => mountpoints)],
    refusals: disk.refusals.filter(({ code }) => !notHere.has(code)),
  };
}

/** What is on it; a file system that spans the disk without partitions is told as one. */
function partitionsOf(disk: Static<typeof WireDisk>): readonly AppPartition[] {
  const { path, size_bytes: size, fstype = null, label = null, mountpoints } = disk;
  if (disk.partitions.length === 0 && fstype !== null)
    return [{ path, size, fstype, label, mountpoints, used: null }];
  return disk.partitions.map((partition) => ({
    path: partition.path,
    size: partition.size_bytes,
    fstype: partition.fstype,
    label: partition.label ?? partition.partlabel,
    mountpoints: partition.mountpoints,
    used: partition.used_bytes ?? null,
  }));
}

/** Last characters of a serial number: enough to tell two sticks apart, too few to tell whose they are. */
export function serialTail(serial: string | null): string | null {
  const bare = serial?.replaceAll(/[^\p{L}\p{N}]/gu, '') ?? '';
  return bare === '' ? null : bare.length <= 4 ? bare : `…${bare.slice(-4)}`;
}

/** A disk that a person plausibly means to write: one that comes and goes. */
export function isExternal(disk: AppDisk): boolean {
  return disk.removable || disk.transport === 'usb' || disk.transport === 'mmc';
}

/** Why `disk` cannot take an image of `imageBytes` bytes; null when it can. The gravest reason comes first. */
export function obstacle(
  disk: AppDisk,
  imageBytes: number | null,
): { readonly kind: 'refused'; readonly refusal: Refusal } | { readonly kind: 'small' } | null {
  const [refusal] = disk.refusals;
  if (refusal) return { kind: 'refused', refusal };
  return imageBytes !== null && imageBytes > disk.size ? { kind: 'small' } : null;
}

/**
 * The disk of `disks` that `disk` was, wherever it is plugged in now; null when it is not there, or when more than
 * one could be it: cheap sticks share their serial numbers, or have none.
 */
export function sameDisk(disk: AppDisk, disks: readonly AppDisk[]): AppDisk | null {
  const same = disks.find(({ id }) => id === disk.id);
  if (same) return same;
  const alike = disks.filter(
    (other) => other.name === disk.name && other.size === disk.size && other.serial === disk.serial,
  );
  const [only] = alike;
  if (!only || alike.length > 1) return null;
  return disk.serial !== null || only.path === disk.path ? only : null;
}

/**
 * The disk to choose for the person: the only one that comes and goes and can take the image, when no other disk
 * that comes and goes is there to be confused with. Never a system disk.
 */
export function preselected(disks: readonly AppDisk[], imageBytes: number | null): AppDisk | null {
  const external = disks.filter((disk) => isExternal(disk) && !disk.system && disk.size > 0);
  const [only] = external;
  return only && external.length === 1 && obstacle(only, imageBytes) === null ? only : null;
}
