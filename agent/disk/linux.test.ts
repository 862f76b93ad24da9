import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { failure } from '../../shared/failure.ts';
import type { Disk } from './disk.ts';
import { sizeText } from './disk.ts';
import { listLinux } from './linux.ts';
import { parseLsblk, usesInTree } from './lsblk.ts';
import { type FakeMachine, fakeKernel, inFolder, noLoops, run, withLoop } from './testing.ts';
import { runTool } from './tool.ts';

async function recorded(name: string): Promise<string> {
  return readFile(new URL(`./fixtures/${name}`, import.meta.url), 'utf8');
}

function listed(output: string, machine: FakeMachine = { devices: [] }): Promise<readonly Disk[]> {
  return inFolder(async (folder) =>
    listLinux({ kernel: await fakeKernel(folder, machine), run: async () => output }),
  );
}

test('a workstation shows its disks in order, without floppy, optical drive, zram and eMMC boot areas', async () => {
  const disks = await listed(await recorded('lsblk-2.38-workstation.json'));
  const rows = disks.map((disk) =>
    [
      disk.path,
      disk.sizeText,
      disk.tran,
      disk.vendor,
      disk.model,
      disk.serial,
      disk.removable,
      disk.readonly,
    ].join('|'),
  );
  assert.deepEqual(rows, [
    '/dev/mmcblk0|29.7G|mmc|||0x8c7b2a11|false|false',
    '/dev/nvme0n1|931.5G|nvme||Samsung SSD 970 EVO Plus 1TB|S4EWNX0R123456X|false|false',
    '/dev/sda|3.6T|sata|ATA|WDC WD40EFRX-68N32N0|WD-WCC7K4XL1234|false|false',
    '/dev/sdb|3.6T|sata|ATA|WDC WD40EFRX-68N32N0|WD-WCC7K4XL5678|false|false',
    '/dev/sdc|57.3G|usb|SanDisk|Ultra USB 3.0|4C530001230613116284|true|false',
    '/dev/sdd|0B|usb|Generic|STORAGE DEVICE|000000001532|true|false',
    '/dev/sde|14.8G|usb|Generic|Flash_Disk|FBH1603170700235|true|true',
  ]);
});

test('each disk of the workstation says what uses it and why it would be refused', async () => {
  const disks = await listed(await recorded('lsblk-2.38-workstation.json'));
  const reasons = Object.fromEntries(
    disks.map((disk) => [
      disk.path.slice(5),
      disk.refusals.map((refusal) => refusal.code.replace('TARGET_', '')),
    ]),
  );
  assert.deepEqual(reasons, {
    mmcblk0: [],
    nvme0n1: ['IS_SYSTEM', 'MOUNTED', 'SWAP', 'HELD', 'HELD'],
    sda: ['MOUNTED', 'HELD'],
    sdb: ['MOUNTED', 'HELD'],
    sdc: ['MOUNTED'],
    sdd: ['NO_MEDIUM'],
    sde: ['READ_ONLY'],
  });
  const [, system, raid, , stick] = disks;
  assert.equal(system?.isSystem, true);
  assert.deepEqual(
    system?.usedBy.map((use) =>
      use.kind === 'mount' ? use.at : use.kind === 'swap' ? use.device : use.holder,
    ),
    [
      '/boot/efi',
      '/boot',
      'the encrypted volume nvme0n1p3_crypt',
      'the LVM volume vg-root',
      '/',
      'the LVM volume vg-swap_1',
      '/dev/mapper/vg-swap_1',
    ],
  );
  assert.equal(raid?.isSystem, false);
  assert.ok(disks.some(({ wwn }) => wwn === '0x50014ee2b9d7a8c1'));
  assert.match(raid?.refusals[1]?.message ?? '', /\/dev\/sda1 belongs to the RAID array md0\.$/);
  assert.deepEqual(stick?.partitions, [
    {
      path: '/dev/sdc1',
      size: 61529391104,
      label: 'HOLIDAY',
      fstype: 'exfat',
      mountpoints: ['/media/anna/HOLIDAY'],
      partlabel: null,
      used: 12884901888,
    },
  ]);
});

test('the strings and single mount points of old lsblk versions are understood', async () => {
  const [system, stick, ...rest] = await listed(await recorded('lsblk-2.27-virtual.json'));
  assert.deepEqual(rest, []);
  assert.deepEqual([system?.path, system?.size, system?.rotational], ['/dev/sda', 21474836480, true]);
  assert.deepEqual(
    system?.refusals.map((refusal) => refusal.code),
    ['TARGET_IS_SYSTEM', 'TARGET_MOUNTED', 'TARGET_SWAP'],
  );
  assert.deepEqual([stick?.removable, stick?.sizeText, stick?.refusals], [true, '28.8G', []]);
});

test('sysfs fills in what lsblk cannot tell without udev', async () => {
  const place = 'pci0000:00/0000:00:14.0/usb2/2-1';
  const [disk] = await listed(
    JSON.stringify({
      blockdevices: [{ name: 'sdb', type: 'disk', size: 2097152, serial: null, tran: null }],
    }),
    {
      devices: [
        {
          name: '2-1',
          number: '0:0',
          at: 'pci0000:00/0000:00:14.0/usb2',
          attributes: { idVendor: '0951', serial: 'K1' },
        },
        {
          name: 'sdb',
          number: '8:16',
          at: `${place}/2-1:1.0/host6/target6:0:0/6:0:0:0/block`,
          attributes: { size: '4096', diskseq: '12', 'device/model': 'DataTraveler 3.0' },
        },
      ],
      mounts: '36 1 8:16 / /media/stick rw - ext4 /dev/sdb rw\n',
    },
  );
  assert.deepEqual(
    [disk?.serial, disk?.tran, disk?.diskseq, disk?.model, disk?.usedBy],
    ['K1', 'usb', 12, 'DataTraveler 3.0', [{ kind: 'mount', device: '/dev/sdb', at: '/media/stick' }]],
  );
});

test('a network disk is listed only while it is connected, a loop device only on request', async () => {
  const output = JSON.stringify({
    blockdevices: [
      { name: 'nbd0', type: 'disk', size: 0 },
      { name: 'nbd1', type: 'disk', size: 1024 },
      { name: 'loop1', type: 'loop', size: 1024 },
      { name: 'sda10', type: 'disk', size: 1024 },
      { name: 'sda9', type: 'disk', size: 1024 },
    ],
  });
  const disks = await listed(output);
  assert.deepEqual(
    disks.map((disk) => disk.path),
    ['/dev/nbd1', '/dev/sda9', '/dev/sda10'],
  );
});

test('a loop device is listed with its backing file and true identity', { skip: noLoops }, () =>
  withLoop({ size: 3 << 20, blockSize: 4096 }, async ({ path, backing }) => {
    const disks = await listLinux({ loops: true });
    const disk = disks.find((candidate) => candidate.path === path);
    assert.ok(disk);
    assert.deepEqual(
      [disk.kind, disk.size, disk.sizeText, disk.backingFile, disk.serial, disk.tran, disk.logicalBlockSize],
      ['loop', 3 << 20, '3M', backing, null, null, 4096],
    );
    assert.equal(typeof disk.diskseq, 'number');
    assert.ok(!(await listLinux()).some((candidate) => candidate.path === path));
  }),
);

test('listing this machine takes less than half a second', {
  skip: process.platform !== 'linux' && 'lists Linux',
}, async () => {
  // What a machine that is busy with other things adds is not the same each time.
  const times: number[] = [];
  while (times.length < 60 && Math.min(...times) >= 500) {
    const start = performance.now();
    await listLinux();
    times.push(performance.now() - start);
  }
  assert.ok(Math.min(...times) < 500, `took ${times.join(', ')} ms`);
});

test('sizes are written as lsblk writes them', { skip: noLoops }, async () => {
  const known: readonly (readonly [number, string])[] = [
    [0, '0B'],
    [512, '512B'],
    [1023, '1023B'],
    [1024, '1K'],
    [1 << 20, '1M'],
    [1000204886016, '931.5G'],
    [1073741312, '1024M'],
    [15931539456, '14.8G'],
    [8 * 2 ** 60, '8E'],
  ];
  for (const [bytes, text] of known) assert.equal(sizeText(bytes), text);
  for (const size of [512, 1024 * 1023 + 512, 1048064, (1 << 20) + 51200, 99 * (1 << 20) + 4096]) {
    await withLoop({ size }, async ({ path }) => {
      const text = await run('lsblk', '--noheadings', '--nodeps', '--output', 'SIZE', path);
      assert.equal(sizeText(size), text.trim());
    });
  }
});

test('a missing lsblk, one that fails, one that hangs and one that prints nonsense are told apart', async () => {
  await inFolder(async (folder) => {
    const kernel = await fakeKernel(folder, { devices: [] });
    const list = (run: typeof runTool): Promise<unknown> => listLinux({ kernel, run });
    await assert.rejects(
      list((call) => runTool({ ...call, tool: 'lsblk-absent' })),
      { code: 'TOOL_MISSING', exitCode: 4 },
    );
    await assert.rejects(
      list((call) => runTool({ ...call, tool: 'false' })),
      {
        code: 'TOOL_FAILED',
        message: '"false" could not list disks: it ended with status 1',
      },
    );
    await assert.rejects(
      list((call) => runTool({ ...call, tool: 'sleep', args: ['60'], timeout: 20 })),
      /no answer within 0.02 seconds/,
    );
    await assert.rejects(
      list((call) => runTool({ ...call, tool: 'ls', args: ['--absent'] })),
      /"ls" could not list disks: ls: /,
    );
    await assert.rejects(
      list(async () => 'NAME SIZE'),
      { code: 'TOOL_FAILED' },
    );
    const signal = AbortSignal.abort(failure('CANCELLED', {}));
    await assert.rejects(listLinux({ kernel, signal }), { code: 'CANCELLED' });
    const controller = new AbortController();
    const hanging = listLinux({
      kernel,
      signal: controller.signal,
      run: (call) => runTool({ ...call, tool: 'sleep', args: ['60'] }),
    });
    setImmediate(() => controller.abort(failure('CANCELLED', {})));
    await assert.rejects(hanging, { code: 'CANCELLED' });
  });
});

test('any JSON at all is read as a tree without a fault', () => {
  const key = fc.constantFrom(
    'name',
    'kname',
    'path',
    'type',
    'size',
    'mountpoints',
    'children',
    'blockdevices',
    'ro',
    'serial',
  );
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 1 }),
      fc.dictionary(key, tie('value'), { maxKeys: 5 }),
      fc.array(tie('value'), { maxLength: 4 }),
    ),
  })).value;
  fc.assert(
    fc.property(tree, (value) => {
      for (const node of [...parseLsblk(value), ...parseLsblk({ blockdevices: value })]) {
        assert.ok(node.name.length > 0 && Number.isSafeInteger(node.size));
        usesInTree(node);
      }
    }),
  );
});

test('a tree of absurd depth or width is cut off', () => {
  let deep: object = { name: 'x' };
  for (let depth = 0; depth < 1000; depth++) deep = { name: 'x', children: [deep] };
  const wide = Array.from({ length: 5000 }, (_, index) => ({ name: `x${index}` }));
  assert.equal(JSON.stringify(parseLsblk({ blockdevices: [deep] })).match(/"name"/g)?.length, 17);
  assert.equal(parseLsblk({ blockdevices: wide }).length, 1000);
});
