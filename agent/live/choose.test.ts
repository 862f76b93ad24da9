import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DiskRule, InventoryDisk } from '../../shared/contract/agent.ts';
import { chooseDisk } from './choose.ts';

const disk = (more: Partial<InventoryDisk>): InventoryDisk => ({
  path: '/dev/sda',
  size_bytes: 500e9,
  vendor: null,
  model: 'Disk',
  serial: 'S1',
  wwn: null,
  transport: 'sata',
  rotational: true,
  removable: false,
  readonly: false,
  logical_block_size: 512,
  ...more,
});
const sata = disk({});
const nvme = disk({
  path: '/dev/nvme0n1',
  serial: 'S 2',
  wwn: 'eui.0011',
  transport: 'nvme',
  rotational: false,
  size_bytes: 1e12,
  model: 'Fast SSD',
});
const stick = disk({ path: '/dev/sdb', serial: null, transport: 'usb', removable: true, size_bytes: 8e9 });
const all = [sata, nvme, stick];

test('a serial number is compared without regard to blanks, and a WWN is as good', () => {
  assert.equal(chooseDisk({ kind: 'serial', serial: ' S1 ' }, all), sata);
  assert.equal(chooseDisk({ kind: 'serial', serial: 'S_2' }, all), nvme);
  assert.equal(chooseDisk({ kind: 'serial', serial: 'eui.0011' }, all), nvme);
});

test('a serial number that is not here is refused, and the disks that are here are named', () => {
  assert.throws(() => chooseDisk({ kind: 'serial', serial: 'S9' }, all), {
    code: 'DISK_NOT_HERE',
    message: /"S9".*\/dev\/sda.*serial S1.*\/dev\/nvme0n1/,
  });
  assert.throws(() => chooseDisk({ kind: 'only' }, []), { code: 'DISK_NOT_HERE', message: /no disk at all/ });
});

test('a blank serial number in a plan fits no disk, not even one without any', () => {
  assert.throws(() => chooseDisk({ kind: 'serial', serial: ' ' }, [stick]), { code: 'DISK_NOT_HERE' });
  assert.throws(() => chooseDisk({ kind: 'serial', serial: '_' }, [disk({ serial: '' })]), {
    code: 'DISK_NOT_HERE',
  });
});

test('two disks with one serial number are refused', () => {
  const twin = disk({ path: '/dev/sdc' });
  assert.throws(() => chooseDisk({ kind: 'serial', serial: 'S1' }, [...all, twin]), {
    code: 'DISK_AMBIGUOUS',
    message: /\/dev\/sda.*\/dev\/sdc/,
  });
});

test('"only" means the one fixed disk and refuses two', () => {
  assert.equal(chooseDisk({ kind: 'only' }, [stick, sata]), sata);
  assert.throws(() => chooseDisk({ kind: 'only' }, all), { code: 'DISK_AMBIGUOUS' });
  assert.throws(() => chooseDisk({ kind: 'only' }, [stick, disk({ readonly: true })]), {
    code: 'DISK_NOT_HERE',
  });
});

test('a rule by model, transport, size or kind finds its disk', () => {
  const rules: readonly (readonly [DiskRule, InventoryDisk])[] = [
    [{ kind: 'match', model: 'fast' }, nvme],
    [{ kind: 'match', transport: 'NVMe' }, nvme],
    [{ kind: 'match', rotational: true }, sata],
    [{ kind: 'match', max_bytes: 600e9 }, sata],
    [{ kind: 'match', min_bytes: 600e9 }, nvme],
    [{ kind: 'match', transport: 'usb' }, stick],
  ];
  for (const [rule, wanted] of rules) assert.equal(chooseDisk(rule, all), wanted, JSON.stringify(rule));
  assert.throws(() => chooseDisk({ kind: 'match' }, all), { code: 'DISK_AMBIGUOUS' });
});

test('whatever the disks are, what is chosen is the only one that any order of them gives', () => {
  const disks = fc.array(
    fc.record({
      serial: fc.constantFrom(null, '', 'S1', 'S 1', 'S2'),
      removable: fc.boolean(),
      readonly: fc.boolean(),
      size_bytes: fc.constantFrom(0, 1e9, 2e9),
    }),
    { maxLength: 4 },
  );
  const rules = fc.constantFrom<DiskRule>(
    { kind: 'only' },
    { kind: 'serial', serial: 'S1' },
    { kind: 'match', min_bytes: 15e8 },
  );
  const chosen = (rule: DiskRule, from: readonly InventoryDisk[]): InventoryDisk | null => {
    try {
      return chooseDisk(rule, from);
    } catch {
      return null;
    }
  };
  fc.assert(
    fc.property(disks, rules, (parts, rule) => {
      const made = parts.map((part, index) => disk({ ...part, path: `/dev/sd${index}` }));
      const found = chosen(rule, made);
      assert.equal(chosen(rule, made.toReversed()), found);
      if (found) for (const other of made) if (other !== found) assert.equal(chosen(rule, [other]), null);
    }),
  );
});
