/** What the tests of disks share: loop devices of their own, and kernels that never ran. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import type { DeviceTarget, TargetSpec, VirtualTarget } from './guard.ts';
import type { DiskHandle } from './handle.ts';
import type { Kernel } from './kernel.ts';
import { openDisk } from './open.ts';

const execute = promisify(execFile);

/** Runs a program to its end; resolves its standard output. */
export async function run(program: string, ...args: readonly string[]): Promise<string> {
  return (await execute(program, args)).stdout;
}

/** False where loop devices can be made, else the reason for a test to skip itself. */
export const noLoops: string | false =
  process.getuid?.() !== 0
    ? 'needs root to make loop devices'
    : existsSync('/dev/loop-control')
      ? false
      : 'needs the loop module of the kernel';

/** Runs `use` with a folder of its own, removed afterwards. */
export async function inFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-disk-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

export interface LoopOptions {
  /** Bytes. */
  readonly size?: number;
  /** Logical block size in bytes. */
  readonly blockSize?: number;
  readonly readOnly?: boolean;
}
export interface LoopDisk {
  readonly path: string;
  readonly backing: string;
  readonly folder: string;
}

/** Runs `use` with a loop device over a new sparse file. */
export async function withLoop<Result>(
  options: LoopOptions,
  use: (disk: LoopDisk) => Promise<Result>,
): Promise<Result> {
  return inFolder(async (folder) => {
    const backing = join(folder, 'disk.img');
    await writeFile(backing, '');
    await truncate(backing, options.size ?? 16 << 20);
    const flags = [
      ...(options.blockSize ? ['--sector-size', `${options.blockSize}`] : []),
      ...(options.readOnly ? ['--read-only'] : []),
    ];
    const path = (await run('losetup', '--show', '--find', ...flags, backing)).trim();
    try {
      return await use({ path, backing, folder });
    } finally {
      await run('losetup', '--detach', path);
    }
  });
}

/** A device as a target, loop devices allowed. */
export function deviceAt(path: string, more: Partial<DeviceTarget> = {}): DeviceTarget {
  return { kind: 'device', path, allowLoop: true, imageName: 'image.img', ...more };
}

/** A virtual disk file as a target. */
export function virtualAt(path: string, more: Partial<VirtualTarget> = {}): VirtualTarget {
  return { kind: 'virtual', path, imageName: 'image.img', ...more };
}

/** Runs `use` with an opened disk, closed afterwards. */
export async function withDisk(spec: TargetSpec, use: (disk: DiskHandle) => Promise<void>): Promise<void> {
  const disk = await openDisk(spec);
  try {
    await use(disk);
  } finally {
    await disk.close();
  }
}

/** Page-aligned bytes, as direct I/O wants them. */
export function pages(bytes: number, fill: number): Uint8Array {
  const count = Math.ceil(bytes / 65536);
  const memory = new WebAssembly.Memory({ initial: count, maximum: count, shared: true });
  return new Uint8Array(memory.buffer, 0, bytes).fill(fill);
}

export interface FakeDevice {
  readonly name: string;
  /** `major:minor`. */
  readonly number: string;
  /** Directory below /sys/devices that its own directory, named like it, lies in. */
  readonly at: string;
  /** Files in its directory, or beside it where the path goes up. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Names of the devices that stand on it. */
  readonly holders?: readonly string[];
}
export interface FakeMachine {
  readonly devices: readonly FakeDevice[];
  /** Content of /proc/self/mountinfo. */
  readonly mounts?: string;
  /** Content of /proc/swaps. */
  readonly swaps?: string;
  /** Files of the udev database by name. */
  readonly udev?: Readonly<Record<string, string>>;
  /** btrfs file systems by UUID: names of their devices. */
  readonly btrfs?: Readonly<Record<string, readonly string[]>>;
  /** Numbers of the file systems that hold these files. */
  readonly files?: Readonly<Record<string, string>>;
  /** Other paths of devices, for example `/dev/mapper/data-home`. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** Lays the files of a machine's kernel out below `folder`. */
export async function fakeKernel(folder: string, machine: FakeMachine): Promise<Kernel> {
  const sys = join(folder, 'sys');
  const directories = new Map<string, string>();
  for (const device of machine.devices) {
    const directory = join(sys, 'devices', device.at, device.name);
    directories.set(device.name, directory);
    const attributes = { dev: device.number, size: '2048', ro: '0', ...device.attributes };
    for (const [name, content] of Object.entries(attributes))
      await put(join(directory, name), `${content}\n`);
    await link(join(sys, 'class/block', device.name), directory);
    await link(join(sys, 'dev/block', device.number), directory);
  }
  const at = (name: string): string => directories.get(name) ?? '/nowhere';
  for (const device of machine.devices) {
    for (const holder of device.holders ?? []) {
      await link(join(at(device.name), 'holders', holder), at(holder));
      await link(join(at(holder), 'slaves', device.name), at(device.name));
    }
  }
  for (const [uuid, members] of Object.entries(machine.btrfs ?? {})) {
    for (const member of members) await link(join(sys, 'fs/btrfs', uuid, 'devices', member), at(member));
  }
  await put(join(folder, 'proc/self/mountinfo'), machine.mounts ?? '');
  await put(join(folder, 'proc/swaps'), machine.swaps ?? 'Filename\tType\tSize\tUsed\tPriority\n');
  for (const [name, content] of Object.entries(machine.udev ?? {}))
    await put(join(folder, 'udev', name), content);
  const numbers = new Map(machine.devices.map((device) => [`/dev/${device.name}`, device.number]));
  for (const [path, name] of Object.entries(machine.aliases ?? {})) {
    numbers.set(path, numbers.get(`/dev/${name}`) ?? '');
  }
  return {
    sys,
    proc: join(folder, 'proc'),
    udev: join(folder, 'udev'),
    deviceNumber: async (path) => numbers.get(path) ?? null,
    fileSystemNumber: async (path) => machine.files?.[path] ?? null,
  };
}

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content, 'latin1');
}

async function link(path: string, to: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await symlink(relative(dirname(path), to), path);
}
