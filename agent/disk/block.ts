/** One block device of Linux as sysfs tells it (Documentation/ABI/stable/sysfs-block of the kernel). */
import { basename, dirname } from 'node:path';
import { type Kernel, names, readAttribute, readNumber, resolved } from './kernel.ts';

export interface BlockDevice {
  /** Name in the kernel, for example `sda1`. */
  readonly name: string;
  readonly path: string;
  /** `major:minor`. */
  readonly number: string;
  /** Its directory in sysfs, without symbolic links. */
  readonly directory: string;
  /** Bytes. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Kernel name of the disk that this device is a partition of. */
  readonly partitionOf: string | null;
}

/** The block device `major:minor`, null when the kernel has none. */
export async function blockByNumber(kernel: Kernel, number: string): Promise<BlockDevice | null> {
  return blockAt(await resolved(`${kernel.sys}/dev/block/${number}`));
}

/** The block device with a kernel name, null when the kernel has none. */
export async function blockByName(kernel: Kernel, name: string): Promise<BlockDevice | null> {
  return blockAt(await resolved(`${kernel.sys}/class/block/${name}`));
}

async function blockAt(directory: string | null): Promise<BlockDevice | null> {
  if (directory === null) return null;
  const [number, sectors, readOnly, partition] = await Promise.all([
    readAttribute(`${directory}/dev`),
    readNumber(`${directory}/size`),
    readNumber(`${directory}/ro`),
    readNumber(`${directory}/partition`),
  ]);
  if (number === null) return null;
  const name = basename(directory);
  return {
    name,
    path: nodeOf(name),
    number,
    directory,
    size: (sectors ?? 0) * 512, // sysfs counts in 512 bytes whatever the block size is
    readOnly: readOnly === 1,
    partitionOf: partition === null ? null : basename(dirname(directory)),
  };
}

/** Path of a device by its kernel name; sysfs writes `!` for the `/` in names such as `cciss/c0d0`. */
export function nodeOf(name: string): string {
  return `/dev/${name.replaceAll('!', '/')}`;
}

/** The partitions of a disk that the kernel knows. */
export async function partitionsOf(kernel: Kernel, disk: BlockDevice): Promise<readonly BlockDevice[]> {
  const candidates = (await names(disk.directory)).filter((name) => name.startsWith(disk.name));
  const found = await Promise.all(candidates.map((name) => blockByName(kernel, name)));
  return found.filter((device) => device?.partitionOf === disk.name).filter((device) => device !== null);
}

/** The devices that stand directly on this one: LVM, RAID, encryption, multipath, bcache. */
export async function holdersOf(kernel: Kernel, device: BlockDevice): Promise<readonly BlockDevice[]> {
  return related(kernel, device, 'holders');
}

/** The devices that this one stands on directly. */
export async function slavesOf(kernel: Kernel, device: BlockDevice): Promise<readonly BlockDevice[]> {
  return related(kernel, device, 'slaves');
}

async function related(kernel: Kernel, device: BlockDevice, side: string): Promise<readonly BlockDevice[]> {
  const found = await Promise.all(
    (await names(`${device.directory}/${side}`)).map((name) => blockByName(kernel, name)),
  );
  return found.filter((other) => other !== null);
}

/** File under a loop device, null for others and for a loop device without one. */
export async function backingFileOf(device: BlockDevice): Promise<string | null> {
  return readAttribute(`${device.directory}/loop/backing_file`);
}

export function isLoop(device: BlockDevice): boolean {
  return /^loop\d+$/.test(device.name);
}

/** What a stacked or imitated device is, in words; null for a disk that can be flashed (and for loop devices). */
export async function virtualKind(device: BlockDevice): Promise<string | null> {
  if (/^(dm-|md\d|md_)/.test(device.name)) return describe(device);
  const named = virtualKindByName(device.name);
  if (named !== null) return named;
  if ((await names(`${device.directory}/slaves`)).length > 0) return 'a volume that stands on other disks';
  // Network and test disks look like disks to everyone; anything else without hardware does not.
  const imitated = isLoop(device) || isImitation(device.name);
  return device.directory.includes('/devices/virtual/block/') && !imitated ? 'a virtual block device' : null;
}

/** As `virtualKind`, from the kernel's name alone. */
export function virtualKindByName(name: string): string | null {
  if (name.startsWith('zram')) return 'compressed memory';
  if (/^ram\d/.test(name)) return 'a RAM disk';
  if (/^sr\d/.test(name)) return 'an optical drive';
  if (/^fd\d/.test(name)) return 'a floppy drive';
  if (name.startsWith('mtdblock')) return 'raw flash memory';
  if (/^mmcblk\d+(boot\d|rpmb|gp\d)/.test(name))
    return `a hardware partition of ${/^mmcblk\d+/.exec(name)?.[0]}`;
  if (/^(dm-|md\d|md_|zd|bcache|drbd)/.test(name)) return 'a volume that stands on other disks';
  return null;
}

/** True for the names of disks that programs and tests play: network, null and userspace block devices. */
export function isImitation(name: string): boolean {
  return /^(nbd|nullb|ublkb)\d/.test(name);
}

/** A holder in words, for example `the LVM volume data-home (dm-0)`. */
export async function describe(device: BlockDevice): Promise<string> {
  const { directory, name } = device;
  if (name.startsWith('dm-')) {
    const [title, uuid] = await Promise.all([
      readAttribute(`${directory}/dm/name`),
      readAttribute(`${directory}/dm/uuid`),
    ]);
    // device-mapper users put their name before the first dash of the UUID they choose.
    const owner = uuid?.split('-')[0]?.toLowerCase() ?? '';
    const what =
      { lvm: 'LVM volume', crypt: 'encrypted volume', mpath: 'multipath device' }[owner] ??
      'device-mapper volume';
    return `the ${what} ${title ?? name}${title === null ? '' : ` (${name})`}`;
  }
  if (name.startsWith('md')) {
    const level = await readAttribute(`${directory}/md/level`);
    return `the RAID array ${name}${level === null ? '' : ` (${level})`}`;
  }
  if (isLoop(device)) return `the loop device ${name}`;
  return device.path;
}
