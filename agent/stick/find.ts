/** Finds the stick that the running system was booted from among the disks and virtual CDs. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { blockByName } from '../disk/block.ts';
import { type Kernel, names } from '../disk/kernel.ts';
import { readGpt } from '../inspect/gpt.ts';
import type { Partition } from '../inspect/table.ts';
import type { RandomReader } from '../source/source.ts';
import { imagesName } from './identity.ts';

export interface Stick {
  /** The whole disk, as `/dev/sdb`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** A virtual CD, or a disk that its switch protects. */
  readonly readOnly: boolean;
  /** False for a CD, whose partitions the kernel does not look for. */
  readonly hasPartitions: boolean;
  /** GUID of the disk. */
  readonly guid: string | null;
  /** The partition for images; null where a person removed it. */
  readonly images: Partition | null;
  /** Whether another partition lies behind it. */
  readonly imagesAreLast: boolean;
}

/** All media whose first partition is `system`: more than one where two sticks of one build are plugged in. */
export async function findSticks(system: string, kernel: Kernel): Promise<readonly Stick[]> {
  const found: Stick[] = [];
  for (const name of await names(`${kernel.sys}/class/block`)) {
    const device = await blockByName(kernel, name);
    if (!device || device.partitionOf !== null || device.size === 0) continue;
    if (/^(ram|zram|fd)\d/.test(name)) continue;
    const file = await open(device.path, constants.O_RDONLY).catch(() => null);
    if (!file) continue;
    try {
      const table = await tableOf(file, device.size);
      if (!table?.partitions.some(({ uuid }) => uuid?.toUpperCase() === system.toUpperCase())) continue;
      const images = table.partitions.find((each) => each.name === imagesName) ?? null;
      const isCd = /^sr\d/.test(name);
      found.push({
        path: device.path,
        size: device.size,
        readOnly: device.readOnly || isCd,
        hasPartitions: !isCd,
        guid: table.id,
        images,
        imagesAreLast: images !== null && table.partitions.every(({ start }) => start <= images.start),
      });
    } catch {
      // A medium that cannot be read is not the one that this system was read from.
    } finally {
      await file.close();
    }
  }
  return found;
}

async function tableOf(file: FileHandle, size: number): ReturnType<typeof readGpt> {
  const reader: RandomReader = {
    size,
    read: async (into, position) => (await file.read(into, 0, into.length, position)).bytesRead,
  };
  return readGpt(reader, { reachable: size, diskBytes: size }, false);
}

/** Path of partition `number` of a disk: names that end in a digit get a "p" between. */
export function partitionPath(disk: string, number: number): string {
  return /\d$/.test(disk) ? `${disk}p${number}` : `${disk}${number}`;
}
