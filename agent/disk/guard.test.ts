import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FailureCode } from '../../shared/failure.ts';
import { blockByName } from './block.ts';
import { type DeviceTarget, gatherFacts, judge } from './guard.ts';
import { serialsOf, transportOf } from './identity.ts';
import { type Kernel, numberOf } from './kernel.ts';
import { type FakeDevice, type FakeMachine, fakeKernel, inFolder } from './testing.ts';
import { parseMounts, parseSwaps } from './usage.ts';

const scsi = 'pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block';
const usb = 'pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block';

function disk(name: string, number: string, more: Partial<FakeDevice> = {}): FakeDevice {
  return { name, number, at: scsi, ...more, attributes: { size: '4096', ...more.attributes } };
}
function part(of: string, index: number, number: string, more: Partial<FakeDevice> = {}): FakeDevice {
  const at = `${more.at ?? scsi}/${of}`;
  return {
    name: `${of}${index}`,
    number,
    ...more,
    at,
    attributes: { partition: `${index}`, ...more.attributes },
  };
}
function stacked(name: string, number: string, more: Partial<FakeDevice> = {}): FakeDevice {
  return { name, number, at: 'virtual/block', ...more };
}
const mount = (number: string, at: string, source: string, type = 'ext4'): string =>
  `36 1 ${number} / ${at} rw,relatime shared:1 - ${type} ${source} rw\n`;

/** Sentences against writing to `name` on `machine`. */
async function against(
  machine: FakeMachine,
  name: string,
  more: Partial<DeviceTarget> = {},
): Promise<readonly { code: FailureCode; message: string }[]> {
  const spec: DeviceTarget = {
    kind: 'device',
    path: `/dev/${name}`,
    allowLoop: false,
    imageName: 'a.img',
    ...more,
  };
  return onMachine(machine, async (kernel) => {
    const device = await blockByName(kernel, name);
    assert.ok(device);
    return judge(spec, await gatherFacts(kernel, device, spec.source?.path ?? null));
  });
}
function onMachine<Result>(machine: FakeMachine, use: (kernel: Kernel) => Promise<Result>): Promise<Result> {
  return inFolder(async (folder) => use(await fakeKernel(folder, machine)));
}
async function assertCodes(
  found: Promise<readonly { code: FailureCode; message: string }[]>,
  codes: readonly FailureCode[],
  sentence?: RegExp,
): Promise<void> {
  const failures = await found;
  assert.deepEqual(
    failures.map((failure) => failure.code),
    codes,
  );
  if (sentence) assert.match(failures.map((failure) => failure.message).join('\n'), sentence);
}

test('an unused disk with partitions and old signatures may be written', () =>
  assertCodes(against({ devices: [disk('sdb', '8:16'), part('sdb', 1, '8:17')] }, 'sdb'), []));

test('a mount of a partition, also a bind mount with a blank in its name, is named', () =>
  assertCodes(
    against(
      {
        devices: [disk('sdb', '8:16'), part('sdb', 1, '8:17'), disk('sdc', '8:32')],
        mounts:
          mount('8:17', '/media/my\\040stick', '/dev/sdb1') +
          mount('8:17', '/srv', '/dev/sdb1') +
          mount('8:32', '/x', '/dev/sdc'),
      },
      'sdb',
    ),
    ['TARGET_MOUNTED'],
    /mounted at \/media\/my stick, \/srv\.$/,
  ));

test('an LVM volume that is mounted makes its disk the system disk, held and mounted', () =>
  assertCodes(
    against(
      {
        devices: [
          disk('sda', '8:0'),
          part('sda', 1, '8:1'),
          part('sda', 2, '8:2', { holders: ['dm-0'] }),
          stacked('dm-0', '253:0', { attributes: { 'dm/name': 'debian-root', 'dm/uuid': 'LVM-abc' } }),
        ],
        mounts:
          mount('253:0', '/', '/dev/mapper/debian-root') + mount('8:1', '/boot/efi', '/dev/sda1', 'vfat'),
      },
      'sda',
    ),
    ['TARGET_IS_SYSTEM', 'TARGET_MOUNTED', 'TARGET_HELD'],
    /runs from \(\/boot\/efi, \/\)[\s\S]*\/dev\/sda2 belongs to the LVM volume debian-root \(dm-0\)\.$/,
  ));

test('a volume two levels above the disk is found: file system on LVM on RAID', () =>
  assertCodes(
    against(
      {
        devices: [
          disk('sda', '8:0'),
          part('sda', 1, '8:1', { holders: ['md0'] }),
          disk('sdb', '8:16', { holders: ['md0'] }),
          stacked('md0', '9:0', { attributes: { 'md/level': 'raid1' }, holders: ['dm-3'] }),
          stacked('dm-3', '253:3', { attributes: { 'dm/name': 'vg-data', 'dm/uuid': 'LVM-x' } }),
        ],
        mounts: mount('253:3', '/srv/data', '/dev/mapper/vg-data', 'xfs'),
      },
      'sdb',
    ),
    ['TARGET_MOUNTED', 'TARGET_HELD', 'TARGET_HELD'],
    /\/dev\/sdb belongs to the RAID array md0 \(raid1\)\.\n.*\/dev\/md0 belongs to the LVM volume vg-data \(dm-3\)/,
  ));

test('an unmounted RAID or encrypted volume still holds its disk', () =>
  assertCodes(
    against(
      {
        devices: [
          disk('nvme0n1', '259:0', { at: 'pci0/nvme/nvme0', holders: ['dm-1', 'dm-2'] }),
          stacked('dm-1', '253:1', { attributes: { 'dm/name': 'secret', 'dm/uuid': 'CRYPT-LUKS2-1' } }),
          stacked('dm-2', '253:2'),
        ],
      },
      'nvme0n1',
    ),
    ['TARGET_HELD'],
    /belongs to the encrypted volume secret \(dm-1\), the device-mapper volume dm-2\.$/,
  ));

test('swap on a partition and on a volume is found', async () => {
  const machine: FakeMachine = {
    devices: [
      disk('sda', '8:0'),
      part('sda', 1, '8:1'),
      disk('sdb', '8:16', { holders: ['dm-0'] }),
      stacked('dm-0', '253:0', { attributes: { 'dm/name': 'vg-swap', 'dm/uuid': 'LVM-y' } }),
    ],
    swaps:
      'Filename Type Size Used Priority\n/dev/sda1 partition 1 0 -2\n/dev/mapper/swap partition 1 0 -3\n/swapfile file 1 0 -4\n',
    aliases: { '/dev/mapper/swap': 'dm-0' },
  };
  await assertCodes(against(machine, 'sda'), ['TARGET_SWAP'], /\/dev\/sda1 is swap space/);
  await assertCodes(against(machine, 'sdb'), ['TARGET_SWAP', 'TARGET_HELD'], /\/dev\/dm-0 is swap space/);
});

test('every disk of a btrfs file system is in use, though only one is named as its source', async () => {
  const machine: FakeMachine = {
    devices: [disk('sda', '8:0'), part('sda', 2, '8:2'), disk('sdb', '8:16'), disk('sdc', '8:32')],
    mounts: mount('0:31', '/', '/dev/sda2', 'btrfs'),
    btrfs: { 'uuid-1': ['sda2', 'sdb'] },
    files: { '/home/me/a.img': '0:55' },
  };
  await assertCodes(against(machine, 'sdb'), ['TARGET_IS_SYSTEM', 'TARGET_MOUNTED']);
  await assertCodes(against(machine, 'sdc'), []);
  const holding = against(machine, 'sda', { source: { path: '/home/me/a.img' } });
  await assertCodes(holding, ['TARGET_IS_SYSTEM', 'TARGET_MOUNTED', 'TARGET_HOLDS_SOURCE']);
});

test('a file in memory below a mounted disk is not on that disk', () =>
  assertCodes(
    against(
      {
        devices: [disk('sdb', '8:16')],
        mounts: mount('8:16', '/data', '/dev/sdb') + mount('0:40', '/data/tmp', 'tmpfs', 'tmpfs'),
        files: { '/data/tmp/a.img': '0:40' },
      },
      'sdb',
      { source: { path: '/data/tmp/a.img' } },
    ),
    ['TARGET_MOUNTED'],
  ));

test('an image on a loop device, on a volume, on a partition is on that disk', () =>
  assertCodes(
    against(
      {
        devices: [
          disk('sdb', '8:16'),
          part('sdb', 1, '8:17', { holders: ['dm-0'] }),
          stacked('dm-0', '253:0'),
          stacked('loop3', '7:3', { attributes: { 'loop/backing_file': '/srv/inner.img' } }),
        ],
        files: { '/srv/inner.img': '253:0', '/mnt/a.img': '7:3' },
      },
      'sdb',
      { source: { path: '/mnt/a.img' } },
    ),
    ['TARGET_HELD', 'TARGET_HOLDS_SOURCE'],
  ));

test('the medium that a live system runs from is a system disk', () =>
  assertCodes(
    against(
      {
        devices: [disk('sdb', '8:16', { at: usb }), part('sdb', 1, '8:17', { at: usb })],
        mounts:
          mount('0:30', '/', 'overlay', 'overlay') +
          mount('8:17', '/run/live/medium', '/dev/sdb1', 'iso9660'),
      },
      'sdb',
    ),
    ['TARGET_IS_SYSTEM', 'TARGET_MOUNTED'],
  ));

test('what is no whole disk is refused by what it is, whatever its state', async () => {
  const devices = [
    disk('sda', '8:0'),
    part('sda', 1, '8:1', { holders: ['dm-0', 'md127'] }),
    stacked('dm-0', '253:0', { attributes: { 'dm/name': 'mpatha', 'dm/uuid': 'mpath-3600' } }),
    stacked('md127', '9:127'),
    stacked('zram0', '252:0', { attributes: { size: '0' } }),
    stacked('ram0', '1:0'),
    stacked('zd0', '230:0'),
    stacked('foo0', '240:0'),
    stacked('bcache0', '251:0'),
    stacked('loop0', '7:0', { attributes: { 'loop/backing_file': '/a.img' } }),
    stacked('nbd0', '43:0'),
    disk('sr0', '11:0'),
    disk('fd0', '2:0', { at: 'platform/floppy.0/block' }),
    disk('mtdblock0', '31:0', { at: 'platform/spi/block' }),
    disk('mmcblk0', '179:0', { at: 'platform/mmc0/block' }),
    disk('mmcblk0boot0', '179:8', { at: 'platform/mmc0/block/mmcblk0', attributes: { ro: '1' } }),
  ];
  const kinds: Record<string, RegExp> = {
    'dm-0': /is the multipath device mpatha \(dm-0\), which/,
    md127: /is the RAID array md127, which/,
    zram0: /is compressed memory/,
    ram0: /is a RAM disk/,
    zd0: /is a volume that stands on other disks/,
    bcache0: /is a volume that stands on other disks/,
    foo0: /is a virtual block device/,
    sr0: /is an optical drive/,
    fd0: /is a floppy drive/,
    mtdblock0: /is raw flash memory/,
    mmcblk0boot0: /is a hardware partition of mmcblk0,/,
  };
  for (const [name, sentence] of Object.entries(kinds)) {
    await assertCodes(against({ devices }, name), ['TARGET_IS_VIRTUAL'], sentence);
  }
  await assertCodes(against({ devices }, 'sda1'), ['TARGET_IS_PARTITION'], /partition of \/dev\/sda,/);
  await assertCodes(against({ devices }, 'loop0'), ['TARGET_IS_LOOP'], /over \/a\.img,/);
  await assertCodes(against({ devices }, 'nbd0'), []);
  await assertCodes(against({ devices }, 'mmcblk0'), []);
});

test('a read-only disk, an empty reader and a small disk are told apart', async () => {
  const devices = [
    disk('sdb', '8:16', { attributes: { ro: '1' } }),
    disk('sdc', '8:32', { attributes: { size: '0' } }),
    disk('sdd', '8:48', { attributes: { size: '8' } }),
  ];
  await assertCodes(against({ devices }, 'sdb'), ['TARGET_READ_ONLY']);
  await assertCodes(against({ devices }, 'sdc', { imageBytes: 5000 }), ['TARGET_NO_MEDIUM']);
  await assertCodes(against({ devices }, 'sdd', { imageBytes: 4097 }), ['TARGET_TOO_SMALL']);
  await assertCodes(against({ devices }, 'sdd', { imageBytes: 4096 }), []);
  await assertCodes(against({ devices }, 'sdd', { imageBytes: null }), []);
  const least = { imageBytes: null, imageAtLeast: 4097 };
  const sentence = /needs at least 4097 bytes/;
  await assertCodes(against({ devices }, 'sdd', least), ['TARGET_TOO_SMALL'], sentence);
  await assertCodes(against({ devices }, 'sdd', { imageBytes: null, imageAtLeast: 4096 }), []);
  // What is known goes before what is counted.
  await assertCodes(against({ devices }, 'sdd', { imageBytes: 4096, imageAtLeast: 5000 }), []);
});

test('a disk is recognised by any of its serial numbers, whatever became of the blanks in it', async () => {
  const machine: FakeMachine = {
    devices: [
      disk('sdb', '8:16', {
        attributes: { 'device/vpd_pg80': '\0\x80\0\x0c  WD WX 12345', diskseq: '9' },
      }),
    ],
    udev: { 'b8:16': 'S:disk/by-id/x\nE:ID_SERIAL_SHORT=WD_WX_99\nE:ID_SERIAL=WDC_WD_WX_99\n' },
  };
  for (const serial of ['WD WX 12345', 'WD_WX_12345', ' WD_WX_99 ', 'WDC_WD_WX_99']) {
    await assertCodes(against(machine, 'sdb', { expected: { serial, size: 2 << 20, diskseq: 9 } }), []);
  }
  await assertCodes(against(machine, 'sdb', { expected: { serial: null, diskseq: null } }), []);
  const other = against(machine, 'sdb', { expected: { serial: 'WD' }, demanded: { serial: 'ZZ', size: 1 } });
  await assertCodes(
    other,
    ['TARGET_UNEXPECTED', 'TARGET_UNEXPECTED', 'TARGET_CHANGED'],
    /serial number is WD_WX_99, expected ZZ/,
  );
  await assertCodes(
    against(machine, 'sdb', { expected: { diskseq: 8 } }),
    ['TARGET_CHANGED'],
    /sequence number is 9, it was 8/,
  );
});

test('serial number and transport are found without udev, per kind of disk', () =>
  onMachine(
    {
      devices: [
        disk('sdb', '8:16', { at: usb, attributes: { 'device/vendor': 'Kingston' } }),
        disk('vda', '254:0', {
          at: 'pci0000:00/0000:00:04.0/virtio1/block',
          attributes: { serial: 'VIRT-1\0\0' },
        }),
        disk('nvme0n1', '259:0', {
          at: 'pci0000:00/0000:01:00.0/nvme/nvme0',
          attributes: { 'device/serial': 'S4EV  ' },
        }),
        disk('mmcblk0', '179:0', {
          at: 'platform/mmc0/mmc0:0001/block',
          attributes: { 'device/serial': '0xb2c0' },
        }),
        disk('sda', '8:0', { attributes: { 'device/vpd_pg80': '\0\x80\0\x06S3Y9NB' } }),
        disk('sdc', '8:32', {
          at: 'pci0/virtio3/host4/target4:0:0/4:0:0:0/block',
          attributes: { 'device/vpd_pg80': '\0\x80\0\0' },
        }),
        // The USB device directory carries the serial number; this entry only lays its files there.
        {
          name: '2-1',
          number: '0:0',
          at: 'pci0000:00/0000:00:14.0/usb2',
          attributes: { idVendor: '0951', serial: '60A44C' },
        },
      ],
    },
    async (kernel) => {
      const found: Record<string, unknown> = {};
      for (const name of ['sda', 'sdb', 'sdc', 'vda', 'nvme0n1', 'mmcblk0']) {
        const device = await blockByName(kernel, name);
        assert.ok(device);
        found[name] = [transportOf(device), ...(await serialsOf(kernel, device))];
      }
      assert.deepEqual(found, {
        sda: ['sata', 'S3Y9NB'],
        sdb: ['usb', '60A44C'],
        sdc: ['virtio'],
        vda: ['virtio', 'VIRT-1'],
        nvme0n1: ['nvme', 'S4EV'],
        mmcblk0: ['mmc', '0xb2c0'],
      });
    },
  ));

test('device numbers are unpacked as makedev(3) packs them', () => {
  assert.equal(numberOf(0x801n), '8:1');
  assert.equal(numberOf(259n << 8n), '259:0');
  assert.equal(numberOf((8n << 8n) | 0x12n | (0x3n << 20n)), '8:786'); // minor 0x312
  assert.equal(numberOf((1n << 44n) | (0xfffn << 8n)), `${0x1000 + 0xfff}:0`);
});

test('mount and swap tables of any content are read without a fault', () => {
  assert.deepEqual(parseMounts(`${mount('8:17', '/a\\134b', '/dev/sdb1')}garbage\n1 2 3:4 / /x rw -\n`), [
    { number: '8:17', at: '/a\\b', source: '/dev/sdb1' },
  ]);
  assert.deepEqual(parseSwaps('Filename\n/dev/dm-1  partition 1\n\n/with\\040blank file 2\n'), [
    '/dev/dm-1',
    '/with blank',
  ]);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      for (const line of parseMounts(text)) assert.match(line.number, /^\d+:\d+$/);
      parseSwaps(text);
    }),
  );
});
