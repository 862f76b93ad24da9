/** The output of lsblk(8) as a tree of block devices. */
import type { DiskUse } from './disk.ts';
import { asCount, asFields, asFlag, asList, asText } from './fields.ts';

export interface LsblkNode {
  readonly path: string;
  /** Name in the kernel. */
  readonly name: string;
  /** `disk`, `part`, `loop`, `lvm`, `crypt`, `raid1`, `rom` ... */
  readonly type: string;
  /** Bytes. */
  readonly size: number;
  readonly readonly: boolean;
  readonly removable: boolean;
  readonly rotational: boolean | null;
  readonly vendor: string | null;
  readonly model: string | null;
  readonly serial: string | null;
  readonly tran: string | null;
  /** `[SWAP]` for swap space. */
  readonly mountpoints: readonly string[];
  readonly label: string | null;
  readonly fstype: string | null;
  readonly partlabel: string | null;
  /** Bytes in use in a mounted file system. */
  readonly used: number | null;
  readonly wwn: string | null;
  readonly logicalBlockSize: number | null;
  readonly physicalBlockSize: number | null;
  readonly children: readonly LsblkNode[];
}

const deepest = 16;

/** The devices in parsed JSON; what is not one is left out. */
export function parseLsblk(value: unknown): readonly LsblkNode[] {
  return parseNodes(asFields(value).blockdevices, 0);
}

function parseNodes(value: unknown, depth: number): readonly LsblkNode[] {
  if (!Array.isArray(value) || depth > deepest) return [];
  return asList(value).flatMap((entry) => parseNode(entry, depth) ?? []);
}

function parseNode(value: unknown, depth: number): LsblkNode | null {
  const fields = asFields(value);
  const title = asText(fields.name);
  const name = asText(fields.kname) ?? title;
  if (name === null || title === null) return null;
  return {
    path: asText(fields.path) ?? `/dev/${name}`,
    name,
    type: asText(fields.type) ?? '',
    size: asCount(fields.size) ?? 0,
    readonly: asFlag(fields.ro) ?? false,
    removable: asFlag(fields.rm) ?? false,
    rotational: asFlag(fields.rota),
    vendor: asText(fields.vendor),
    model: asText(fields.model),
    serial: asText(fields.serial),
    tran: asText(fields.tran),
    // One column before util-linux 2.37, a list of all mount points since.
    mountpoints: asList(fields.mountpoints ?? fields.mountpoint).flatMap((place) => asText(place) ?? []),
    label: asText(fields.label),
    fstype: asText(fields.fstype),
    partlabel: asText(fields.partlabel),
    used: asCount(fields.fsused),
    wwn: asText(fields.wwn),
    logicalBlockSize: asCount(fields['log-sec']),
    physicalBlockSize: asCount(fields['phy-sec']),
    children: parseNodes(fields.children, depth + 1),
  };
}

/** What uses a disk as far as the tree tells. */
export function usesInTree(node: LsblkNode): readonly DiskUse[] {
  const own = node.mountpoints.map(
    (at): DiskUse =>
      at === '[SWAP]' ? { kind: 'swap', device: node.path } : { kind: 'mount', device: node.path, at },
  );
  const above = node.children.flatMap((child): readonly DiskUse[] =>
    child.type === 'part'
      ? usesInTree(child)
      : [{ kind: 'holder', device: node.path, holder: holderIn(child) }, ...usesInTree(child)],
  );
  return [...own, ...above];
}

function holderIn(node: LsblkNode): string {
  const known: Readonly<Record<string, string>> = {
    lvm: 'the LVM volume',
    crypt: 'the encrypted volume',
    mpath: 'the multipath device',
    loop: 'the loop device',
  };
  const what = node.type.startsWith('raid') ? 'the RAID array' : (known[node.type] ?? 'the volume');
  return `${what} ${node.path.replace(/^\/dev\/(mapper\/)?/, '')}`;
}
