/** What the keeper looks at before it touches a disk: is it the one that was listed, and is nothing in the way? */
import { asFailure, type Failure, failure } from '../../shared/failure.ts';
import type { HelperImage, HelperTarget } from '../../shared/helper/protocol.ts';
import { blockByNumber } from '../disk/block.ts';
import { systemMountsOf } from '../disk/disk.ts';
import type { DeviceTarget } from '../disk/guard.ts';
import { type DiskIdentity, identify, isUsb, sameDisk } from '../disk/identity.ts';
import { kernel } from '../disk/kernel.ts';
import { inspectTarget } from '../disk/target.ts';

export type DiskTarget = HelperTarget & { readonly kind: 'disk' };

/** Reasons against one target. */
export interface Refusal {
  readonly target: string;
  readonly failure: Failure;
}

/** Thrown when targets are refused; nothing was touched. */
export class Refusals extends Error {
  readonly refusals: readonly Refusal[];

  constructor(refusals: readonly Refusal[]) {
    super('targets are refused');
    this.refusals = refusals;
  }
}

export interface Checked {
  readonly spec: DeviceTarget;
  readonly identity: DiskIdentity;
  /** What has to be unmounted first, the deepest first. */
  readonly mounts: readonly string[];
}

/** The engine's name for `target`. The image's name stands in failures only. */
export function specOf(target: DiskTarget, image: HelperImage): DeviceTarget {
  const { path, size, serial, diskseq, allowLoop, allowSystemDisk } = target;
  return {
    kind: 'device',
    path,
    allowLoop,
    allowSystem: allowSystemDisk,
    expected: { size, serial, diskseq },
    ...(image.kind === 'file' ? { source: { path: image.path } } : {}),
    imageName: image.kind === 'catalog' ? image.name : image.kind === 'url' ? image.url : image.path,
  };
}

/** Looks at `target` without opening it. Throws Refusals. */
export async function checkDisk(target: DiskTarget, image: HelperImage, unmount: boolean): Promise<Checked> {
  const spec = specOf(target, image);
  const refuse = (...failures: readonly Failure[]) =>
    new Refusals(failures.map((each) => ({ target: target.path, failure: each })));
  const { failures, mountpoints } = await inspectTarget(spec);
  const mounts = unmount ? mayUnmount(target, mountpoints) : null;
  const lasting = failures.filter(({ code }) => code !== 'TARGET_MOUNTED' || mounts === null);
  if (lasting.length > 0) throw refuse(...lasting);
  try {
    const identity = await identify(target.path);
    await checkIdentity(target, identity);
    return { spec, identity, mounts: mounts ?? [] };
  } catch (error) {
    throw refuse(asFailure(error));
  }
}

/** Null when something is mounted there that must stay. */
function mayUnmount(target: DiskTarget, mountpoints: readonly string[]): readonly string[] | null {
  const system = systemMountsOf(mountpoints.map((at) => ({ kind: 'mount', device: target.path, at })));
  const never = target.allowSystemDisk ? system.filter((at) => at === '/' || at === '/usr') : system;
  return never.length > 0 ? null : [...mountpoints].sort((one, other) => other.length - one.length);
}

async function checkIdentity(target: DiskTarget, identity: DiskIdentity): Promise<void> {
  const { path, diskseq, transport } = target;
  if (diskseq === null && identity.diskseq !== null) {
    const problem = `${path} without the disk sequence number that this system gives it (${identity.diskseq})`;
    throw failure('HELPER_PROTOCOL', { problem });
  }
  const device = identity.rdev === null ? null : await blockByNumber(kernel, identity.rdev);
  const usb = device !== null && isUsb(device);
  // The words for transports differ between udev and sysfs, but for this one.
  if (transport === null || (transport === 'usb') === usb) return;
  const actual = usb ? 'usb' : 'not usb';
  throw failure('TARGET_CHANGED', { target: path, what: 'transport', expected: transport, actual });
}

/** Throws Refusals when two of these are one disk. `paths` and `identities` go together. */
export function checkTwice(all: readonly { readonly path: string; readonly identity: DiskIdentity }[]): void {
  for (const [index, one] of all.entries()) {
    const other = all.slice(0, index).find(({ identity }) => sameDisk(identity, one.identity));
    if (!other) continue;
    const { path } = one;
    throw new Refusals([
      { target: path, failure: failure('TARGET_TWICE', { target: path, other: other.path }) },
    ]);
  }
}
