import { ExitCode } from '../../shared/failure.ts';
import type { Disk, DiskUse } from '../disk/disk.ts';
import { listDisks } from '../disk/list.ts';
import type { Command } from './command.ts';
import { print, printJson, table } from './output.ts';

/** `bty list disks` (bty-contract section 1.1). */
export const runListDisks: Command<'list disks'> = async (values, { signal }) => {
  const disks = await listDisks({ loops: values.all, signal });
  if (values.json) printJson('list-disks', { disks: disks.map(diskJson) });
  else print(diskTable(disks));
  return ExitCode.ok;
};

/** A disk as `--json` tells it: the ten keys of the contract first, then ours. */
export function diskJson(disk: Disk): Record<string, unknown> {
  return {
    path: disk.path,
    size: disk.sizeText,
    type: disk.kind,
    vendor: disk.vendor,
    model: disk.model,
    serial: disk.serial,
    tran: disk.tran,
    removable: disk.removable,
    readonly: disk.readonly,
    mountpoints: disk.mountpoints,
    size_bytes: disk.size,
    diskseq: disk.diskseq,
    logical_block_size: disk.logicalBlockSize,
    physical_block_size: disk.physicalBlockSize,
    rotational: disk.rotational,
    backing_file: disk.backingFile,
    wwn: disk.wwn,
    fstype: disk.fstype,
    label: disk.label,
    system: disk.isSystem,
    in_use: disk.usedBy.length > 0,
    used_by: disk.usedBy.map(useSentence),
    partitions: disk.partitions.map((partition) => ({
      path: partition.path,
      size_bytes: partition.size,
      fstype: partition.fstype,
      label: partition.label,
      partlabel: partition.partlabel,
      mountpoints: partition.mountpoints,
      used_bytes: partition.used,
    })),
    refusals: disk.refusals,
  };
}

function diskTable(disks: readonly Disk[]): string {
  return table(
    ['path', 'size', 'tran', 'vendor', 'model', 'serial', 'removable', 'use'],
    disks.map((disk) => [
      disk.path,
      disk.sizeText,
      disk.tran,
      disk.vendor,
      disk.model,
      disk.serial,
      disk.removable,
      useOf(disk),
    ]),
  );
}

/** What a person needs to know before choosing the disk, in a word or two. */
function useOf(disk: Disk): readonly string[] {
  const words: string[] = [];
  if (disk.isSystem) words.push('system');
  for (const use of disk.usedBy) {
    words.push(use.kind === 'mount' ? use.at : use.kind === 'swap' ? 'swap' : use.holder);
  }
  if (disk.backingFile !== null) words.push(`file ${disk.backingFile}`);
  if (disk.readonly) words.push('read-only');
  if (disk.size === 0) words.push('no medium');
  return [...new Set(words)];
}

function useSentence(use: DiskUse): string {
  switch (use.kind) {
    case 'mount':
      return `${use.device} is mounted at ${use.at}`;
    case 'swap':
      return `${use.device} is swap space`;
    case 'holder':
      return `${use.device} belongs to ${use.holder}`;
  }
}
