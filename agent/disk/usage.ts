/** Who uses which block device of Linux: mounts, swap, and what stands on disks. */
import { readFile } from 'node:fs/promises';
import {
  type BlockDevice,
  backingFileOf,
  blockByName,
  blockByNumber,
  describe,
  holdersOf,
  isLoop,
  partitionsOf,
  slavesOf,
} from './block.ts';
import type { DiskUse } from './disk.ts';
import { type Kernel, names, resolved } from './kernel.ts';

export interface Mount {
  /** Where it is mounted, as this process sees it. */
  readonly at: string;
  /** `major:minor` of every block device of the file system, none for tmpfs and the like. */
  readonly devices: readonly string[];
}

interface Loop {
  readonly device: BlockDevice;
  /** File or block device under it. */
  readonly backing: string;
  /** `major:minor` of the block device under it, null when that is a file. */
  readonly on: string | null;
}

/** What is in use at one moment. */
export interface Usage {
  readonly mounts: readonly Mount[];
  /** `major:minor` of swap partitions. */
  readonly swaps: readonly string[];
  /** Paths of swap files. */
  readonly swapFiles: readonly string[];
  readonly loops: readonly Loop[];
}

export interface MountLine {
  readonly number: string;
  readonly at: string;
  readonly source: string;
}

/** Reads mountinfo: proc_pid_mountinfo(5), fields 3, 5 and the second after the separator. */
export function parseMounts(text: string): readonly MountLine[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [, , number, , at] = fields;
    const source = separator === -1 ? undefined : fields[separator + 2];
    if (number === undefined || at === undefined || source === undefined || !/^\d+:\d+$/.test(number))
      return [];
    return [{ number, at: unescapeField(at), source: unescapeField(source) }];
  });
}

/** Reads /proc/swaps: proc_swaps(5), first column. */
export function parseSwaps(text: string): readonly string[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [name] = line.split(/\s/);
      return name ? [unescapeField(name)] : [];
    });
}

/** The kernel writes blank, tab, newline, backslash and `#` as three octal digits in these files. */
function unescapeField(field: string): string {
  return field.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** Takes stock of mounts, swap and loop devices. */
export async function readUsage(kernel: Kernel): Promise<Usage> {
  const [mountText, swapText, loops, pools] = await Promise.all([
    readFile(`${kernel.proc}/self/mountinfo`, 'utf8').catch(() => ''),
    readFile(`${kernel.proc}/swaps`, 'utf8').catch(() => ''),
    readLoops(kernel),
    readPools(kernel),
  ]);
  const mounts = await Promise.all(
    parseMounts(mountText).map(async (line) => ({
      at: line.at,
      devices: await devicesOfMount(kernel, line, pools),
    })),
  );
  const swapPaths = parseSwaps(swapText);
  const swapNumbers = await Promise.all(swapPaths.map((path) => kernel.deviceNumber(path)));
  return {
    mounts,
    swaps: swapNumbers.filter((number) => number !== null),
    swapFiles: swapPaths.filter((_, index) => swapNumbers[index] === null),
    loops,
  };
}

/** Block devices of one mount. btrfs and bcachefs show the major number 0 and only name devices in the source. */
export async function devicesOfMount(
  kernel: Kernel,
  line: MountLine,
  pools: readonly (readonly string[])[],
): Promise<readonly string[]> {
  const found = new Set<string>();
  if (!line.number.startsWith('0:')) found.add(line.number);
  else if (line.source.startsWith('/dev/')) {
    for (const path of line.source.split(':')) {
      const number = await kernel.deviceNumber(path);
      if (number !== null) found.add(number);
    }
  }
  for (const pool of pools) {
    if (pool.some((number) => found.has(number))) for (const number of pool) found.add(number);
  }
  return [...found];
}

/** Devices of every mounted btrfs file system, which may span several disks: /sys/fs/btrfs/UUID/devices. */
export async function readPools(kernel: Kernel): Promise<readonly (readonly string[])[]> {
  const folder = `${kernel.sys}/fs/btrfs`;
  return Promise.all(
    (await names(folder)).map(async (uuid) => {
      const members = await names(`${folder}/${uuid}/devices`);
      const devices = await Promise.all(members.map((name) => blockByName(kernel, name)));
      return devices.flatMap((device) => (device ? [device.number] : []));
    }),
  );
}

async function readLoops(kernel: Kernel): Promise<readonly Loop[]> {
  const candidates = (await names(`${kernel.sys}/class/block`)).filter((name) => /^loop\d+$/.test(name));
  const loops = await Promise.all(
    candidates.map(async (name) => {
      const device = await blockByName(kernel, name);
      const backing = device && (await backingFileOf(device));
      return device && backing ? { device, backing, on: await kernel.deviceNumber(backing) } : null;
    }),
  );
  return loops.filter((loop) => loop !== null);
}

/** A disk, its partitions, and everything that stands on them, at any depth. */
export async function descendantsOf(
  kernel: Kernel,
  usage: Usage,
  disk: BlockDevice,
): Promise<readonly { readonly device: BlockDevice; readonly holders: readonly BlockDevice[] }[]> {
  const seen = new Set<string>();
  const found: { device: BlockDevice; holders: readonly BlockDevice[] }[] = [];
  const waiting = [disk];
  for (let device = waiting.shift(); device; device = waiting.shift()) {
    if (seen.has(device.number)) continue;
    seen.add(device.number);
    const number = device.number;
    const [partitions, stacked] = await Promise.all([
      partitionsOf(kernel, device),
      holdersOf(kernel, device),
    ]);
    const loops = usage.loops.filter((loop) => loop.on === number).map((loop) => loop.device);
    const holders = [...stacked, ...loops];
    found.push({ device, holders });
    waiting.push(...partitions, ...holders);
  }
  return found;
}

/** Everything that keeps `disk` in use, its own mounts first. */
export async function usesOf(kernel: Kernel, usage: Usage, disk: BlockDevice): Promise<readonly DiskUse[]> {
  const uses: DiskUse[] = [];
  for (const { device, holders } of await descendantsOf(kernel, usage, disk)) {
    for (const mount of usage.mounts) {
      if (mount.devices.includes(device.number))
        uses.push({ kind: 'mount', device: device.path, at: mount.at });
    }
    if (usage.swaps.includes(device.number)) uses.push({ kind: 'swap', device: device.path });
    for (const holder of holders) {
      uses.push({ kind: 'holder', device: device.path, holder: await describe(holder) });
    }
  }
  return uses;
}

/** Numbers of everything that the block device `number` is stored on, itself and whole disks included. */
export async function foundationsOf(
  kernel: Kernel,
  usage: Usage,
  number: string,
): Promise<ReadonlySet<string>> {
  const seen = new Set<string>();
  const waiting = [number];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const device = await blockByNumber(kernel, next);
    if (!device) continue;
    if (device.partitionOf !== null) {
      const disk = await blockByName(kernel, device.partitionOf);
      if (disk) waiting.push(disk.number);
    }
    for (const slave of await slavesOf(kernel, device)) waiting.push(slave.number);
    if (isLoop(device)) {
      const backing = await backingFileOf(device);
      if (backing !== null) waiting.push(...(await devicesUnder(kernel, usage, backing)));
    }
  }
  return seen;
}

/** Numbers of the block devices that directly store `path`, which may itself be a block device. */
export async function devicesUnder(kernel: Kernel, usage: Usage, path: string): Promise<readonly string[]> {
  const device = await kernel.deviceNumber(path);
  if (device !== null) return [device];
  const fileSystem = await kernel.fileSystemNumber(path);
  if (fileSystem === null) return [];
  if (!fileSystem.startsWith('0:')) return [fileSystem];
  // A file system without a device number of its own (btrfs): the innermost mount above the file tells.
  const real = (await resolved(path)) ?? path;
  let best: Mount | undefined;
  for (const mount of usage.mounts) {
    const above = mount.at === '/' || real === mount.at || real.startsWith(`${mount.at}/`);
    if (above && (best === undefined || mount.at.length >= best.at.length)) best = mount;
  }
  return best?.devices ?? [];
}
