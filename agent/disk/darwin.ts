import { failure } from '../../shared/failure.ts';
import { type Disk, type DiskUse, type Partition, sizeText, systemMountsOf } from './disk.ts';
import { asCount, asFields, asFlag, asList, asText, type Fields } from './fields.ts';
import { plainFacts, refusalsOf } from './guard.ts';
import { byPath, type ListOptions } from './linux.ts';
import { parsePlist } from './plist.ts';
import { runTool, type ToolCall, type ToolRunner } from './tool.ts';

/**
 * The disks of a Mac by path, as diskutil(8) tells them. An APFS container shows as a disk of its own there; here
 * its volumes belong to the disk that stores it. Rejects with TOOL_MISSING or TOOL_FAILED.
 */
export async function listDarwin(options: ListOptions = {}): Promise<readonly Disk[]> {
  const { run = runTool, loops = false, signal } = options;
  const list = asFields(await diskutil(run, ['list', '-plist'], signal));
  const wholes = asList(list.AllDisksAndPartitions).map(asFields);
  const containers = wholes.filter((whole) => asList(whole.APFSPhysicalStores).length > 0);
  const disks = await Promise.all(
    wholes
      .filter((whole) => !containers.includes(whole))
      .map(async (whole) => {
        const identifier = asText(whole.DeviceIdentifier);
        if (identifier === null) return null;
        const info = asFields(await diskutil(run, ['info', '-plist', identifier], signal));
        const image = asText(info.BusProtocol) === 'Disk Image';
        if (image ? !loops : asText(info.VirtualOrPhysical) === 'Virtual') return null;
        return diskOf(identifier, whole, info, containers);
      }),
  );
  return disks.filter((disk) => disk !== null).sort(byPath);
}

async function diskutil(run: ToolRunner, args: readonly string[], signal?: AbortSignal): Promise<unknown> {
  const call: ToolCall = { tool: 'diskutil', args, purpose: 'list disks', signal };
  const text = await run(call);
  try {
    return parsePlist(text);
  } catch (error) {
    const problem = `its property list cannot be read (${error instanceof Error ? error.message : error})`;
    throw failure('TOOL_FAILED', { tool: call.tool, purpose: call.purpose, problem }, error);
  }
}

const buses: Readonly<Record<string, string>> = {
  USB: 'usb',
  SATA: 'sata',
  ATA: 'sata',
  SAS: 'sas',
  'PCI-Express': 'nvme',
  PCI: 'nvme',
  'Apple Fabric': 'nvme',
  'Secure Digital': 'mmc',
  Thunderbolt: 'thunderbolt',
  FireWire: 'firewire',
  'Fibre Channel Interface': 'fc',
  'Disk Image': 'image',
};

function diskOf(identifier: string, whole: Fields, info: Fields, containers: readonly Fields[]): Disk {
  const path = `/dev/${identifier}`;
  const size = asCount(info.TotalSize) ?? asCount(info.Size) ?? asCount(whole.Size) ?? 0;
  const entries = asList(whole.Partitions).map(asFields);
  const partitions = entries.flatMap((entry) => partitionOf(entry, containers) ?? []);
  const own = placesOf(whole);
  const uses: DiskUse[] = [
    ...own.map((at): DiskUse => ({ kind: 'mount', device: path, at })),
    ...partitions.flatMap((partition) =>
      partition.mountpoints.map((at): DiskUse => ({ kind: 'mount', device: partition.path, at })),
    ),
  ];
  // Two keys say it: whether the medium takes writes at all, and whether this Mac lets us.
  const readonly = asFlag(info.WritableMedia) === false || asFlag(info.Writable) === false;
  const solid = asFlag(info.SolidState);
  const blockSize = asCount(info.DeviceBlockSize);
  return {
    path,
    size,
    sizeText: sizeText(size),
    kind: asText(info.BusProtocol) === 'Disk Image' ? 'loop' : 'disk',
    vendor: null,
    model: asText(info.MediaName) ?? asText(info.IORegistryEntryName),
    serial: null, // diskutil does not tell it
    tran: buses[asText(info.BusProtocol) ?? ''] ?? null,
    removable: asFlag(info.RemovableMediaOrExternalDevice) ?? asFlag(info.RemovableMedia) ?? false,
    readonly,
    mountpoints: own,
    diskseq: null,
    wwn: null,
    fstype: null,
    label: null,
    logicalBlockSize: blockSize,
    physicalBlockSize: null,
    rotational: solid === null ? null : !solid,
    backingFile: null,
    isSystem: systemMountsOf(uses).length > 0,
    usedBy: uses,
    partitions,
    refusals: refusalsOf(path, plainFacts(size, readonly, null, uses)),
  };
}

function partitionOf(entry: Fields, containers: readonly Fields[]): Partition | null {
  const identifier = asText(entry.DeviceIdentifier);
  if (identifier === null) return null;
  const volumes = containers
    .filter((container) =>
      asList(container.APFSPhysicalStores).some(
        (store) => asText(asFields(store).DeviceIdentifier) === identifier,
      ),
    )
    .flatMap((container) => asList(container.APFSVolumes).map(asFields));
  return {
    path: `/dev/${identifier}`,
    size: asCount(entry.Size) ?? 0,
    label: asText(entry.VolumeName),
    fstype: asText(entry.Content),
    mountpoints: [...placesOf(entry), ...volumes.flatMap(placesOf)],
    partlabel: null,
    used: asCount(entry.CapacityInUse),
  };
}

/** Where a volume is mounted; macOS starts from a sealed snapshot of its system volume, which is listed below it. */
function placesOf(entry: Fields): readonly string[] {
  const snapshots = asList(entry.MountedSnapshots).map((snapshot) => asFields(snapshot).SnapshotMountPoint);
  return [entry.MountPoint, ...snapshots].flatMap((place) => asText(place) ?? []);
}
