/** Which disk of this machine a plan means. Never a guess: none or two are a refusal. */
import type { DiskRule, InventoryDisk } from '../../shared/contract/agent.ts';
import { failure } from '../../shared/failure.ts';

/** The one disk that fits `rule`. Throws DISK_NOT_HERE or DISK_AMBIGUOUS. */
export function chooseDisk<Candidate extends InventoryDisk>(
  rule: DiskRule,
  disks: readonly Candidate[],
): Candidate {
  const fitting = disks.filter((disk) => fits(rule, disk));
  const [first, second] = fitting;
  const wanted = ruleText(rule);
  if (first === undefined) {
    const found = disks.length === 0 ? 'no disk at all' : disks.map(diskText).join('; ');
    throw failure('DISK_NOT_HERE', { wanted, found });
  }
  if (second !== undefined)
    throw failure('DISK_AMBIGUOUS', { wanted, found: fitting.map(diskText).join('; ') });
  return first;
}

function fits(rule: DiskRule, disk: InventoryDisk): boolean {
  if (disk.size_bytes === 0) return false;
  switch (rule.kind) {
    case 'serial': {
      const wanted = plain(rule.serial);
      return (
        wanted !== '' && [disk.serial, disk.wwn].some((known) => known !== null && plain(known) === wanted)
      );
    }
    case 'match':
      return (
        !disk.readonly &&
        // Card readers and sticks are meant only by those who say so.
        (!disk.removable || rule.transport !== undefined) &&
        (rule.model === undefined || (disk.model ?? '').toLowerCase().includes(rule.model.toLowerCase())) &&
        (rule.transport === undefined || disk.transport === rule.transport.toLowerCase()) &&
        (rule.rotational === undefined || disk.rotational === rule.rotational) &&
        disk.size_bytes >= (rule.min_bytes ?? 0) &&
        disk.size_bytes <= (rule.max_bytes ?? Number.POSITIVE_INFINITY)
      );
    case 'only':
      return !disk.removable && !disk.readonly;
  }
}

/** udev writes the blanks in a serial number as underscores, sysfs as they are. */
function plain(serial: string): string {
  return serial.trim().replace(/[\s_]+/g, '_');
}

/** A rule in words that go on "No disk is ...". */
export function ruleText(rule: DiskRule): string {
  switch (rule.kind) {
    case 'serial':
      return `the one with serial number ${JSON.stringify(rule.serial)}`;
    case 'match': {
      const parts = [
        ...(rule.model === undefined ? [] : [`has ${JSON.stringify(rule.model)} in its model`]),
        ...(rule.transport === undefined ? [] : [`is attached by ${rule.transport}`]),
        ...(rule.rotational === undefined ? [] : [rule.rotational ? 'rotates' : 'does not rotate']),
        ...(rule.min_bytes === undefined ? [] : [`holds at least ${rule.min_bytes} bytes`]),
        ...(rule.max_bytes === undefined ? [] : [`holds at most ${rule.max_bytes} bytes`]),
      ];
      return parts.length === 0 ? 'a fixed disk' : `one that ${parts.join(' and ')}`;
    }
    case 'only':
      return 'its only fixed disk';
  }
}

/** A disk for a person: path, size, model and serial number. */
export function diskText(disk: InventoryDisk): string {
  const name = [disk.vendor, disk.model].filter(Boolean).join(' ');
  const serial = disk.serial === null ? 'without a serial number' : `serial ${disk.serial}`;
  return `${disk.path} (${[sizeText(disk.size_bytes), name, serial].filter(Boolean).join(', ')})`;
}

function sizeText(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(0)} MB`;
}
