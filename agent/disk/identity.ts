/** What tells one disk of Linux from another: size, serial number, disk sequence number. */
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure } from '../../shared/failure.ts';
import { type BlockDevice, backingFileOf, blockByNumber } from './block.ts';
import { type Kernel, readAttribute, readNumber, kernel as realKernel, resolved, tidy } from './kernel.ts';

export interface DiskIdentity {
  /** Path without symbolic links. */
  readonly realPath: string;
  /** Bytes. */
  readonly size: number;
  /** The serial number as a list shows it. */
  readonly serial: string | null;
  /** Sequence number of the disk, null for files and before Linux 5.15. */
  readonly diskseq: number | null;
  /** `major:minor` of a block device, null for a file. */
  readonly rdev: string | null;
  /** Names the place where the bytes end up; equal for a loop device and the file under it. */
  readonly storage: string;
}

/**
 * The serial numbers a disk is known by, the one that lsblk(8) prints first. udev and sysfs may disagree on blanks
 * and on disks behind USB bridges, which have two.
 */
export async function serialsOf(kernel: Kernel, device: BlockDevice): Promise<readonly string[]> {
  const properties = await udevProperties(kernel, device.number);
  const known = [
    properties.get('ID_SCSI_SERIAL'),
    properties.get('SCSI_IDENT_SERIAL'),
    properties.get('ID_SERIAL_SHORT'),
    await readAttribute(`${device.directory}/device/serial`), // nvme, mmc
    await readAttribute(`${device.directory}/serial`), // virtio
    await usbSerial(kernel, device),
    await scsiSerial(device),
    properties.get('ID_SERIAL'), // vendor and model only, where the disk has no serial number
  ];
  const found = known.flatMap((text) => (text ? (tidy(text) ?? []) : []));
  return [...new Set(found)];
}

/** The properties that udev keeps of a block device, none where udev does not run. */
async function udevProperties(kernel: Kernel, number: string): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(`${kernel.udev}/b${number}`, 'utf8').catch(() => '');
  const properties = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, key, value] = /^E:([^=]+)=(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) properties.set(key, value);
  }
  return properties;
}

/** SCSI vital product data page 80h (SPC-4, 7.8.10): the serial number follows a header of 4 bytes. */
async function scsiSerial(device: BlockDevice): Promise<string | null> {
  const page = await readFile(`${device.directory}/device/vpd_pg80`).catch(() => null);
  return page && page.length > 4 ? tidy(page.subarray(4).toString('latin1')) : null;
}

/** usb-storage shows no page 80h; the USB device above the disk has the serial number. */
async function usbSerial(kernel: Kernel, device: BlockDevice): Promise<string | null> {
  if (!isUsb(device)) return null;
  const top = await resolved(kernel.sys);
  for (
    let directory = dirname(device.directory);
    directory !== top && directory.length > 1;
    directory = dirname(directory)
  ) {
    if ((await readAttribute(`${directory}/idVendor`)) !== null) return readAttribute(`${directory}/serial`);
  }
  return null;
}

/** USB disks are told by their place in sysfs: many say that they are not removable. */
export function isUsb(device: BlockDevice): boolean {
  return /\/usb\d+\//.test(device.directory);
}

/** How a disk is attached, as far as sysfs tells without udev. */
export function transportOf(device: BlockDevice): string | null {
  const { directory, name } = device;
  if (isUsb(device)) return 'usb';
  if (name.startsWith('nvme')) return 'nvme';
  if (name.startsWith('mmcblk')) return 'mmc';
  if (/^vd[a-z]/.test(name)) return 'virtio';
  if (/\/ata\d+\//.test(directory)) return 'sata';
  if (/\/virtio\d+\/host\d+\//.test(directory)) return 'virtio';
  return null;
}

export async function sequenceOf(device: BlockDevice): Promise<number | null> {
  return readNumber(`${device.directory}/diskseq`);
}

/**
 * Who the disk or virtual disk file at `path` is now, without opening it. Rejects with TARGET_NOT_FOUND or
 * TARGET_NOT_BLOCK.
 */
export async function identify(path: string, kernel: Kernel = realKernel): Promise<DiskIdentity> {
  const realPath = await resolved(path);
  if (realPath === null) throw failure('TARGET_NOT_FOUND', { target: path });
  const number = await kernel.deviceNumber(realPath);
  if (number === null) {
    const found = await stat(realPath).catch(() => null);
    if (!found?.isFile()) throw failure('TARGET_NOT_BLOCK', { target: path });
    const storage = `file ${found.dev}:${found.ino}`;
    return { realPath, size: found.size, serial: null, diskseq: null, rdev: null, storage };
  }
  const device = await blockByNumber(kernel, number);
  if (!device) throw failure('TARGET_NOT_FOUND', { target: path });
  const [[serial = null], diskseq, backing] = await Promise.all([
    serialsOf(kernel, device),
    sequenceOf(device),
    backingFileOf(device),
  ]);
  const under = backing === null ? null : await stat(backing).catch(() => null);
  const storage = under?.isFile() ? `file ${under.dev}:${under.ino}` : `device ${number}`;
  return { realPath, size: device.size, serial, diskseq, rdev: number, storage };
}

/** True when writing to one would write to the other. */
export function sameDisk(one: DiskIdentity, other: DiskIdentity): boolean {
  return one.storage === other.storage;
}
