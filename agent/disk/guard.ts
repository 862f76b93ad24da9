/** The one place that decides whether a disk may be written: facts in, failures out. */
import { stat } from 'node:fs/promises';
import { type Failure, type FailureReport, failure } from '../../shared/failure.ts';
import { type BlockDevice, backingFileOf, describe, isLoop, nodeOf, virtualKind } from './block.ts';
import { type DiskUse, systemMountsOf } from './disk.ts';
import { sequenceOf, serialsOf } from './identity.ts';
import type { Kernel } from './kernel.ts';
import { devicesUnder, foundationsOf, readUsage, type Usage, usesOf } from './usage.ts';

/** What a disk was when it was listed; a field left out or null is not compared. */
export interface ExpectedDisk {
  /** Bytes. */
  readonly size?: number | null | undefined;
  readonly serial?: string | null | undefined;
  readonly diskseq?: number | null | undefined;
}

interface CommonTarget {
  /** As the person named it. */
  readonly path: string;
  /** The disk that was listed: another one there now is TARGET_CHANGED. */
  readonly expected?: ExpectedDisk | undefined;
  /** The disk that the person demands (`--expect-serial`, `--expect-size`): another one is TARGET_UNEXPECTED. */
  readonly demanded?: Pick<ExpectedDisk, 'size' | 'serial'> | undefined;
  /** The file or device that the image is read from, when it is a local one. */
  readonly source?: { readonly path: string } | undefined;
  /** Bytes that will be written, null when unknown; then at least `imageAtLeast`. */
  readonly imageBytes?: number | null | undefined;
  readonly imageAtLeast?: number | undefined;
  readonly imageName: string;
}
/** A real disk. */
export interface DeviceTarget extends CommonTarget {
  readonly kind: 'device';
  readonly allowLoop: boolean;
  /** Treats the disk of the running system like any other disk, which still must not be in use. */
  readonly allowSystem?: boolean | undefined;
}
/** A file that stands for a disk. */
export interface VirtualTarget extends CommonTarget {
  readonly kind: 'virtual';
}
export type TargetSpec = DeviceTarget | VirtualTarget;

/** What a block device is. */
export interface DeviceNature {
  /** Path of the disk that it is a partition of. */
  readonly partitionOf: string | null;
  /** True for a loop device; `backing` is the file under it. */
  readonly loop: boolean;
  readonly backing: string | null;
  /** What it is instead of a disk, in words. */
  readonly virtual: string | null;
}

export interface TargetFacts {
  /** Null for a virtual disk file. */
  readonly nature: DeviceNature | null;
  /** Bytes. */
  readonly size: number;
  readonly readOnly: boolean;
  readonly serials: readonly string[];
  readonly diskseq: number | null;
  readonly uses: readonly DiskUse[];
  /** Where the running system is mounted from this disk. */
  readonly systemMounts: readonly string[];
  readonly holdsSource: boolean;
}

export async function natureOf(device: BlockDevice): Promise<DeviceNature> {
  const loop = isLoop(device);
  return {
    partitionOf: device.partitionOf === null ? null : nodeOf(device.partitionOf),
    loop,
    backing: loop ? await backingFileOf(device) : null,
    virtual: await virtualKind(device),
  };
}

/** Everything sysfs and procfs tell about `device`; `usage` is read unless it is given. */
export async function gatherFacts(
  kernel: Kernel,
  device: BlockDevice,
  source: string | null,
  usage?: Usage,
): Promise<TargetFacts> {
  const inUse = usage ?? (await readUsage(kernel));
  const [nature, serials, diskseq, uses, holdsSource] = await Promise.all([
    natureOf(device),
    serialsOf(kernel, device),
    sequenceOf(device),
    usesOf(kernel, inUse, device),
    source === null ? false : holds(kernel, inUse, device, source),
  ]);
  const { size, readOnly } = device;
  const systemMounts = systemMountsOf(uses);
  return { nature, size, readOnly, serials, diskseq, uses, systemMounts, holdsSource };
}

/** True when `path` is stored on the disk, or is the file under it when the disk is a loop device. */
async function holds(kernel: Kernel, usage: Usage, disk: BlockDevice, path: string): Promise<boolean> {
  const backing = await backingFileOf(disk);
  if (backing !== null && (await sameFile(backing, path))) return true;
  for (const number of await devicesUnder(kernel, usage, path)) {
    if ((await foundationsOf(kernel, usage, number)).has(disk.number)) return true;
  }
  return false;
}

/** True when both paths lead to one file. */
export async function sameFile(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map((path) => stat(path).catch(() => null)));
  return Boolean(first && second && first.dev === second.dev && first.ino === second.ino);
}

/** What is in use on a virtual disk file: a swap file, or the file under a loop device. */
export async function usesOfFile(usage: Usage, path: string): Promise<readonly DiskUse[]> {
  const uses: DiskUse[] = [];
  for (const swap of usage.swapFiles) {
    if (await sameFile(swap, path)) uses.push({ kind: 'swap', device: path });
  }
  for (const { device, backing } of usage.loops) {
    if (await sameFile(backing, path))
      uses.push({ kind: 'holder', device: path, holder: await describe(device) });
  }
  return uses;
}

/** Why a device is not a disk that can be flashed, whatever its state; null when it is one. */
export function judgeNature(spec: DeviceTarget, nature: DeviceNature): Failure | null {
  const target = spec.path;
  if (nature.partitionOf !== null)
    return failure('TARGET_IS_PARTITION', { target, disk: nature.partitionOf });
  if (nature.loop && !spec.allowLoop) {
    return failure('TARGET_IS_LOOP', { target, backing: nature.backing ?? 'no file' });
  }
  if (nature.virtual !== null) return failure('TARGET_IS_VIRTUAL', { target, what: nature.virtual });
  return null;
}

/** All reasons against writing to this target, the gravest first; empty when there is none. */
export function judge(spec: TargetSpec, facts: TargetFacts): readonly Failure[] {
  const target = spec.path;
  const { size, uses } = facts;
  if (spec.kind === 'device' && facts.nature !== null) {
    const wrong = judgeNature(spec, facts.nature);
    if (wrong) return [wrong];
  }
  const found: Failure[] = [];
  if (spec.kind === 'virtual' && (size === 0 || size % 512 !== 0)) {
    found.push(failure('TARGET_SIZE_INVALID', { target, targetBytes: size }));
  }
  if (spec.kind === 'device' && size === 0) found.push(failure('TARGET_NO_MEDIUM', { target }));

  const system = spec.kind === 'device' && !spec.allowSystem ? facts.systemMounts : [];
  if (system.length > 0) found.push(failure('TARGET_IS_SYSTEM', { target, mounts: system }));
  found.push(...judgeIdentity(spec, facts));

  const mounts = uses.flatMap((use) => (use.kind === 'mount' ? [use.at] : []));
  if (mounts.length > 0) found.push(failure('TARGET_MOUNTED', { target, mounts }));
  for (const use of uses) {
    if (use.kind === 'swap') found.push(failure('TARGET_SWAP', { target, device: use.device }));
  }
  const held = Map.groupBy(
    uses.filter((use) => use.kind === 'holder'),
    (use) => use.device,
  );
  for (const [device, holders] of held) {
    found.push(failure('TARGET_HELD', { target, device, holders: holders.map((use) => use.holder) }));
  }
  if (facts.holdsSource) found.push(failure('TARGET_HOLDS_SOURCE', { target, image: spec.imageName }));
  if (facts.readOnly) found.push(failure('TARGET_READ_ONLY', { target }));
  const small = tooSmall(spec, size);
  if (size > 0 && small) found.push(small);
  return found;
}

/** The refusal of an image that has more bytes than the disk; null when it fits, or may fit. */
export function tooSmall(
  spec: Pick<CommonTarget, 'path' | 'imageBytes' | 'imageAtLeast' | 'imageName'>,
  targetBytes: number,
): Failure | null {
  const { path: target, imageName: image, imageAtLeast = 0 } = spec;
  const atLeast = (spec.imageBytes ?? null) === null;
  const imageBytes = spec.imageBytes ?? imageAtLeast;
  if (imageBytes <= targetBytes) return null;
  return failure('TARGET_TOO_SMALL', { target, image, imageBytes, ...(atLeast && { atLeast }), targetBytes });
}

/** Why a flash of any image onto a disk with these facts would be refused. */
export function refusalsOf(path: string, facts: TargetFacts): readonly FailureReport[] {
  return judge({ kind: 'device', path, allowLoop: true, imageName: 'the image' }, facts).map((failure) =>
    failure.report(),
  );
}

/** Facts of a machine that cannot be asked more than a list tells. */
export function plainFacts(
  size: number,
  readOnly: boolean,
  serial: string | null,
  uses: readonly DiskUse[],
  systemMounts: readonly string[] = systemMountsOf(uses),
): TargetFacts {
  const serials = serial === null ? [] : [serial];
  return { nature: null, size, readOnly, serials, diskseq: null, uses, systemMounts, holdsSource: false };
}

function judgeIdentity(spec: TargetSpec, facts: TargetFacts): readonly Failure[] {
  const found: Failure[] = [];
  const target = spec.path;
  const checks = [
    { code: 'TARGET_UNEXPECTED', wanted: spec.demanded ?? {} },
    { code: 'TARGET_CHANGED', wanted: spec.expected ?? {} },
  ] as const;
  for (const { code, wanted } of checks) {
    const { size, serial, diskseq }: ExpectedDisk = wanted;
    const differs = (what: string, expected: string, actual: string): void => {
      found.push(failure(code, { target, what, expected, actual }));
    };
    if (typeof size === 'number' && size !== facts.size) {
      differs('size', `${size} bytes`, `${facts.size} bytes`);
    }
    if (typeof serial === 'string' && !facts.serials.some((known) => plain(known) === plain(serial))) {
      differs('serial number', serial, facts.serials[0] ?? 'unknown');
    }
    if (typeof diskseq === 'number' && facts.diskseq !== null && diskseq !== facts.diskseq) {
      differs('disk sequence number', `${diskseq}`, `${facts.diskseq}`);
    }
  }
  return found;
}

/** udev writes inner blanks of a serial number as underscores, sysfs as they are. */
function plain(serial: string): string {
  return serial.trim().replace(/[\s_]+/g, '_');
}
