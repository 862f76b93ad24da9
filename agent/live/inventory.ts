/** What this machine is: collected from sysfs and procfs, each part absent rather than wrong. */
import { readFile } from 'node:fs/promises';
import { availableParallelism, networkInterfaces, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Inventory, InventoryDisk, InventoryNic } from '../../shared/contract/agent.ts';
import { asFailure } from '../../shared/failure.ts';
import type { Disk } from '../disk/disk.ts';
import { type Kernel, names, readAttribute, kernel as realKernel, resolved } from '../disk/kernel.ts';
import { listDisks } from '../disk/list.ts';
import { runTool, type ToolRunner } from '../disk/tool.ts';
import { version } from '../version.ts';

/** A disk as the appliance sees it, with what only this machine needs to open it again. */
export interface LocalDisk extends InventoryDisk {
  readonly diskseq: number | null;
}

export interface InventoryOptions {
  readonly loops?: boolean;
  /** MAC address that the machine was booted from, lower case. */
  readonly booted?: string | null;
  readonly kernel?: Kernel;
  readonly run?: ToolRunner;
  readonly signal?: AbortSignal | undefined;
}

/** Disks that are told one by one: with them an inventory is well below `bodyBytes`. */
const mostDisks = 500;

/** Collects the inventory. A machine whose disks cannot be listed is told without them, and why. */
export async function takeInventory(options: InventoryOptions = {}): Promise<Inventory> {
  const { kernel = realKernel, booted = null, signal } = options;
  const problems: string[] = [];
  const [disks, nics, dmi, cpu, firmware, memory] = await Promise.all([
    localDisks(options).catch((error: unknown) => {
      signal?.throwIfAborted();
      problems.push(asFailure(error).message.slice(0, 1000));
      return [];
    }),
    nicsOf(kernel, booted),
    dmiOf(kernel),
    cpuOf(kernel),
    firmwareOf(kernel),
    memoryOf(kernel),
  ]);
  // Last: a driver asks for its firmware when its interface is switched on.
  problems.push(...(await missingFirmware()));
  if (disks.length > mostDisks) problems.push(`Of ${disks.length} disks the first ${mostDisks} are told.`);
  return {
    schema_version: 1,
    agent_version: version,
    kernel: release(),
    architecture: process.arch,
    firmware,
    dmi,
    cpu,
    memory_bytes: memory,
    disks: disks.map(({ diskseq: _diskseq, ...disk }) => disk).slice(0, mostDisks),
    nics: nics.slice(0, 256),
    problems: problems.slice(0, 64),
  };
}

/** The disks of this machine; loop devices too when `loops`, and then only the ones with a file under them. */
export async function localDisks(options: InventoryOptions = {}): Promise<readonly LocalDisk[]> {
  const { kernel = realKernel, loops = false, run = runTool, signal } = options;
  const disks = await listDisks({ loops, signal, kernel, run });
  return Promise.all(disks.map((disk) => localDisk(kernel, disk)));
}

async function localDisk(kernel: Kernel, disk: Disk): Promise<LocalDisk> {
  return {
    path: disk.path.slice(0, 256),
    size_bytes: disk.size,
    vendor: cut(disk.vendor),
    model: cut(disk.model),
    serial: cut(disk.serial),
    wwn: cut(await wwnOf(kernel, disk.path)),
    transport: disk.tran === null ? null : disk.tran.toLowerCase().slice(0, 32),
    rotational: disk.rotational,
    removable: disk.removable,
    readonly: disk.readonly,
    logical_block_size: disk.logicalBlockSize,
    diskseq: disk.diskseq,
  };
}

/** The kernel's own world wide names; what begins with "t10." is only vendor, model and serial number. */
async function wwnOf(kernel: Kernel, path: string): Promise<string | null> {
  const folder = join(kernel.sys, 'block', path.replace(/^\/dev\//, '').replaceAll('/', '!'));
  for (const name of ['wwid', 'device/wwid']) {
    const told = await readAttribute(join(folder, name));
    if (told !== null && /^(naa|eui|uuid|nvme)\./.test(told)) return told;
  }
  return null;
}

async function nicsOf(kernel: Kernel, booted: string | null): Promise<InventoryNic[]> {
  const addresses = networkInterfaces();
  const found: InventoryNic[] = [];
  for (const name of await names(join(kernel.sys, 'class/net'))) {
    const folder = join(kernel.sys, 'class/net', name);
    const driver = await resolved(join(folder, 'device/driver'));
    // Interfaces without a device behind them are made by the system: lo, bridges, tunnels.
    if ((await resolved(join(folder, 'device'))) === null) continue;
    const speed = Number((await readAttribute(join(folder, 'speed'))) ?? -1);
    const mac = ((await readAttribute(join(folder, 'address'))) ?? '').toLowerCase();
    found.push({
      name: name.slice(0, 32),
      mac: mac.slice(0, 64),
      driver: driver === null ? null : (driver.split('/').at(-1) ?? '').slice(0, 64),
      speed: Number.isInteger(speed) && speed > 0 ? speed : null,
      link: (await readAttribute(join(folder, 'carrier'))) === '1',
      addresses: (addresses[name] ?? []).flatMap(({ cidr }) => cidr ?? []).slice(0, 64),
      booted: mac !== '' && mac === booted,
    });
  }
  return found;
}

/** What makers leave in SMBIOS fields that they do not fill. */
const filler =
  /^(to be filled by o\.?e\.?m\.?|default string|system (manufacturer|product name|version|serial number)|not (specified|applicable|available)|none|unknown|o\.?e\.?m\.?|invalid|0+|x+|\.+|-+|n\/a|0123456789|123456789)$/i;

async function dmiOf(kernel: Kernel): Promise<Inventory['dmi']> {
  const read = async (name: string): Promise<string | null> => {
    const told = await readAttribute(join(kernel.sys, 'class/dmi/id', name));
    return told === null || filler.test(told) ? null : told.slice(0, 256);
  };
  const uuid = ((await read('product_uuid')) ?? '').toLowerCase();
  return {
    vendor: await read('sys_vendor'),
    product: await read('product_name'),
    version: await read('product_version'),
    serial: await read('product_serial'),
    uuid: /^(?!0{8}-0{4}|f{8}-f{4})[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid) ? uuid : null,
    board_vendor: await read('board_vendor'),
    board_name: await read('board_name'),
    board_serial: await read('board_serial'),
    bios_vendor: await read('bios_vendor'),
    bios_version: await read('bios_version'),
    bios_date: (await read('bios_date'))?.slice(0, 64) ?? null,
  };
}

async function cpuOf(kernel: Kernel): Promise<Inventory['cpu']> {
  const text = await readFile(join(kernel.proc, 'cpuinfo'), 'latin1').catch(() => '');
  const all = (name: string): string[] =>
    [...text.matchAll(new RegExp(`^${name}\\s*: *(.*)$`, 'gm'))].flatMap(([, value]) => value ?? []);
  const threads = all('processor').length || availableParallelism();
  const packages = all('physical id');
  const sockets = new Set(packages).size || 1;
  const cores =
    new Set(all('core id').map((core, index) => `${packages[index] ?? 0}/${core}`)).size || threads;
  return { model: cut(all('model name')[0] ?? null), sockets, cores, threads };
}

async function firmwareOf(kernel: Kernel): Promise<Inventory['firmware']> {
  const efi = join(kernel.sys, 'firmware/efi');
  if ((await resolved(efi)) === null) return { kind: 'bios', secure_boot: null };
  // UEFI specification 2.10, section 3.3: a variable's file holds four bytes of attributes, then its value.
  const variable = join(efi, 'efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c');
  const value = await readFile(variable).catch(() => null);
  return { kind: 'uefi', secure_boot: value === null || value.length < 5 ? null : value[4] === 1 };
}

async function memoryOf(kernel: Kernel): Promise<number> {
  const text = await readFile(join(kernel.proc, 'meminfo'), 'latin1').catch(() => '');
  const [, kilobytes] = /^MemTotal:\s+(\d+) kB/m.exec(text) ?? [];
  return kilobytes === undefined ? totalmem() : Number(kilobytes) * 1024;
}

/** Firmware files that drivers asked for in vain, as the kernel's log tells it. */
export function firmwareProblems(log: string): string[] {
  const pattern = /(\S+) (\S+?):? .*?(?:Direct firmware load for|firmware: failed to load) (\S+)/g;
  const found = new Map<string, string>();
  for (const [, driver, device, file] of log.matchAll(pattern)) {
    if (!driver || !device || !file) continue;
    const sentence = `The device ${device} (driver ${driver}) lacks its firmware ${file}; build the live system with vendor firmware.`;
    found.set(file, sentence.slice(0, 1000));
  }
  return [...found.values()];
}

async function missingFirmware(): Promise<string[]> {
  const log = await runTool({ tool: 'dmesg', args: [], purpose: 'read the log of the kernel' }).catch(
    () => '',
  );
  return firmwareProblems(log.replace(/^\[[^\]]*\] /gm, ''));
}

function cut(text: string | null): string | null {
  return text === null ? null : text.slice(0, 256);
}
