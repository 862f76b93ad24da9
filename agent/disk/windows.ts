import { type Disk, type DiskUse, type Partition, sizeText } from './disk.ts';
import { asCount, asFields, asFlag, asList, asText, type Fields } from './fields.ts';
import { plainFacts, refusalsOf } from './guard.ts';
import { byPath, type ListOptions } from './linux.ts';
import { parseToolJson, runTool, type ToolCall } from './tool.ts';

/** One program for PowerShell 5.1 and newer: what Get-Disk, Get-Partition and Get-Volume tell, as one JSON value. */
export const script = `
$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = [Text.Encoding]::UTF8
@{
  disks = @(Get-Disk | Select-Object Number, FriendlyName, Manufacturer, Model, SerialNumber, Size, BusType,
    IsReadOnly, IsSystem, IsBoot, IsOffline, LogicalSectorSize, PhysicalSectorSize, Location)
  partitions = @(Get-Partition | Select-Object DiskNumber, PartitionNumber, Size, Type, IsBoot, IsSystem, AccessPaths)
  volumes = @(Get-Volume | Select-Object Path, FileSystem, FileSystemLabel, DriveType, Size, SizeRemaining)
  media = @(Get-PhysicalDisk | Select-Object DeviceId, MediaType)
} | ConvertTo-Json -Depth 4 -Compress
`;

/** The disks of a Windows machine by number. Rejects with TOOL_MISSING or TOOL_FAILED. */
export async function listWindows(options: ListOptions = {}): Promise<readonly Disk[]> {
  const { run = runTool, loops = false, signal } = options;
  const args = ['-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-Command', script];
  // A cold PowerShell that loads the storage module takes its time.
  const call: ToolCall = { tool: 'powershell.exe', args, purpose: 'list disks', signal, timeout: 30_000 };
  const found = asFields(parseToolJson(call, await run(call)));
  const partitions = asList(found.partitions).map(asFields);
  const volumes = asList(found.volumes).map(asFields);
  const media = asList(found.media).map(asFields);
  return asList(found.disks)
    .flatMap((disk) => diskOf(asFields(disk), partitions, volumes, media) ?? [])
    .filter((disk) => loops || disk.kind !== 'loop')
    .sort(byPath);
}

/** MSFT_Disk.BusType: by name from PowerShell's type extensions, by number without them. */
const buses: Readonly<Record<string, string>> = {
  SCSI: 'scsi',
  ATAPI: 'ata',
  ATA: 'ata',
  '1394': 'firewire',
  'Fibre Channel': 'fc',
  USB: 'usb',
  RAID: 'raid',
  iSCSI: 'iscsi',
  SAS: 'sas',
  SATA: 'sata',
  SD: 'mmc',
  MMC: 'mmc',
  NVMe: 'nvme',
  'File Backed Virtual': 'image',
};
const busNumbers: Readonly<Record<number, string>> = {
  1: 'SCSI',
  2: 'ATAPI',
  3: 'ATA',
  4: '1394',
  6: 'Fibre Channel',
  7: 'USB',
  8: 'RAID',
  9: 'iSCSI',
  10: 'SAS',
  11: 'SATA',
  12: 'SD',
  13: 'MMC',
  15: 'File Backed Virtual',
  16: 'Spaces',
  17: 'NVMe',
};

function diskOf(
  fields: Fields,
  allPartitions: readonly Fields[],
  volumes: readonly Fields[],
  media: readonly Fields[],
): Disk | null {
  const number = asCount(fields.Number);
  const bus = busNumbers[asCount(fields.BusType) ?? -1] ?? asText(fields.BusType);
  // A storage space stands on other disks.
  if (number === null || bus === 'Spaces' || bus === 'Storage Spaces') return null;
  const path = `\\\\.\\PhysicalDrive${number}`;
  const size = asCount(fields.Size) ?? 0;
  const own = allPartitions.filter((partition) => asCount(partition.DiskNumber) === number);
  const partitions = own.map((partition) => partitionOf(path, partition, volumes));
  const uses = partitions.flatMap((partition) =>
    partition.mountpoints.map((at): DiskUse => ({ kind: 'mount', device: partition.path, at })),
  );
  const running = asFlag(fields.IsSystem) === true || asFlag(fields.IsBoot) === true;
  const systemMounts = running ? systemPlaces(own) : [];
  const readonly = asFlag(fields.IsReadOnly) ?? false;
  const serial = asText(fields.SerialNumber);
  const medium = media.find((entry) => asText(entry.DeviceId) === `${number}`)?.MediaType;
  const removable = own.some((partition) => volumesOf(partition, volumes).some(isRemovable));
  return {
    path,
    size,
    sizeText: sizeText(size),
    kind: bus === 'File Backed Virtual' ? 'loop' : 'disk',
    vendor: asText(fields.Manufacturer),
    model: asText(fields.Model) ?? asText(fields.FriendlyName),
    serial,
    tran: buses[bus ?? ''] ?? null,
    removable: removable || bus === 'USB' || bus === 'SD' || bus === 'MMC',
    readonly,
    mountpoints: [],
    diskseq: null,
    wwn: null,
    fstype: null,
    label: null,
    logicalBlockSize: asCount(fields.LogicalSectorSize),
    physicalBlockSize: asCount(fields.PhysicalSectorSize),
    // MSFT_PhysicalDisk.MediaType: 3 HDD, 4 SSD
    rotational: medium === 'HDD' || medium === 3 ? true : medium === 'SSD' || medium === 4 ? false : null,
    backingFile: bus === 'File Backed Virtual' ? asText(fields.Location) : null,
    isSystem: running,
    usedBy: uses,
    partitions,
    refusals: refusalsOf(path, plainFacts(size, readonly, serial, uses, systemMounts)),
  };
}

/** Names of the partitions that Windows runs and starts from. */
function systemPlaces(partitions: readonly Fields[]): readonly string[] {
  const found = partitions.flatMap((partition) => {
    if (asFlag(partition.IsBoot) === true) return lettersOf(partition)[0] ?? 'the Windows partition';
    return asFlag(partition.IsSystem) === true ? 'the boot partition' : [];
  });
  return found.length > 0 ? found : ['Windows'];
}

function partitionOf(disk: string, fields: Fields, volumes: readonly Fields[]): Partition {
  const [volume] = volumesOf(fields, volumes);
  return {
    path: `${disk}, partition ${asCount(fields.PartitionNumber) ?? 0}`,
    size: asCount(fields.Size) ?? 0,
    label: volume ? asText(volume.FileSystemLabel) : null,
    fstype: volume ? asText(volume.FileSystem) : null,
    mountpoints: lettersOf(fields),
    partlabel: asText(fields.Type),
    used: volume ? usedOf(volume) : null,
  };
}

function usedOf(volume: Fields): number | null {
  const [size, left] = [asCount(volume.Size), asCount(volume.SizeRemaining)];
  return size === null || left === null ? null : size - left;
}

/** Every partition with a volume has a path such as `\\?\Volume{...}\`; letters and folders come before it. */
function lettersOf(partition: Fields): readonly string[] {
  return pathsOf(partition).filter((path) => !path.startsWith('\\\\?\\'));
}

function volumesOf(partition: Fields, volumes: readonly Fields[]): readonly Fields[] {
  const paths = pathsOf(partition);
  return volumes.filter((volume) => paths.includes(asText(volume.Path) ?? ''));
}

function pathsOf(partition: Fields): readonly string[] {
  return asList(partition.AccessPaths).flatMap((path) => asText(path) ?? []);
}

/** MSFT_Volume.DriveType: 2 is removable. */
function isRemovable(volume: Fields): boolean {
  return volume.DriveType === 'Removable' || volume.DriveType === 2;
}
