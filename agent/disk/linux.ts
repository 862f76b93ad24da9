import {
  type BlockDevice,
  backingFileOf,
  blockByName,
  isImitation,
  virtualKind,
  virtualKindByName,
} from './block.ts';
import { type Disk, sizeText } from './disk.ts';
import { gatherFacts, plainFacts, refusalsOf } from './guard.ts';
import { isUsb, transportOf } from './identity.ts';
import { type Kernel, readAttribute, kernel as realKernel } from './kernel.ts';
import { type LsblkNode, parseLsblk, usesInTree } from './lsblk.ts';
import { parseToolJson, runTool, type ToolCall, type ToolRunner } from './tool.ts';
import { readUsage, type Usage } from './usage.ts';

export interface ListOptions {
  /** Lists loop devices, too. */
  readonly loops?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly run?: ToolRunner;
  readonly kernel?: Kernel;
}

/**
 * The disks of a Linux machine by path, as lsblk(8) tells them; sysfs fills in what it leaves out where udev does
 * not run. Rejects with TOOL_MISSING or TOOL_FAILED.
 */
export async function listLinux(options: ListOptions = {}): Promise<readonly Disk[]> {
  const { kernel = realKernel, run = runTool, loops = false, signal } = options;
  const call: ToolCall = { tool: 'lsblk', args: ['-J', '-b', '-O'], purpose: 'list disks', signal };
  const [text, usage] = await Promise.all([run(call), readUsage(kernel)]);
  const nodes = parseLsblk(parseToolJson(call, text)).filter(
    (node) => node.type === 'disk' || (loops && node.type === 'loop'),
  );
  const disks = await Promise.all(nodes.map((node) => diskOf(kernel, usage, node)));
  return disks.filter((disk) => disk !== null).sort(byPath);
}

/** Orders sda before sdb before sdaa, and disk2 before disk10. */
export function byPath(one: Disk, other: Disk): number {
  return one.path.localeCompare(other.path, 'en', { numeric: true });
}

/** Null for what is no disk, though lsblk calls it one. */
async function diskOf(kernel: Kernel, usage: Usage, node: LsblkNode): Promise<Disk | null> {
  if (virtualKindByName(node.name) !== null) return null;
  if (node.size === 0 && (node.type === 'loop' || isImitation(node.name))) return null; // not connected
  const device = await blockByName(kernel, node.name);
  if (device && (await virtualKind(device)) !== null) return null;
  const facts = device
    ? await gatherFacts(kernel, device, null, usage)
    : plainFacts(node.size, node.readonly, null, usesInTree(node));
  const backingFile = device && node.type === 'loop' ? await backingFileOf(device) : null;
  const model = node.model ?? (device && (await modelOf(device)));
  return {
    path: node.path,
    size: node.size,
    sizeText: sizeText(node.size),
    kind: node.type === 'loop' ? 'loop' : 'disk',
    vendor: node.vendor,
    model,
    serial: node.serial ?? facts.serials[0] ?? null,
    tran: device && isUsb(device) ? 'usb' : (node.tran ?? (device && transportOf(device))),
    removable: node.removable,
    readonly: node.readonly || facts.readOnly,
    mountpoints: node.mountpoints,
    diskseq: facts.diskseq,
    wwn: node.wwn,
    fstype: node.fstype,
    label: node.label,
    logicalBlockSize: node.logicalBlockSize,
    physicalBlockSize: node.physicalBlockSize,
    rotational: node.rotational,
    backingFile,
    isSystem: facts.systemMounts.length > 0,
    usedBy: facts.uses,
    partitions: node.children
      .filter((child) => child.type === 'part')
      .map(({ path, size, label, fstype, mountpoints, partlabel, used }) => ({
        path,
        size,
        label,
        fstype,
        mountpoints,
        partlabel,
        used,
      })),
    refusals: refusalsOf(node.path, { ...facts, size: node.size, readOnly: node.readonly || facts.readOnly }),
  };
}

/** SCSI and NVMe disks have a model, memory cards a name. */
async function modelOf(device: BlockDevice): Promise<string | null> {
  return (
    (await readAttribute(`${device.directory}/device/model`)) ??
    readAttribute(`${device.directory}/device/name`)
  );
}
