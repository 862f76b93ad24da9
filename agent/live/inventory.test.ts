import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { bodyBytes, checkMessage, Inventory } from '../../shared/contract/agent.ts';
import { failure } from '../../shared/failure.ts';
import { type Kernel, kernel as realKernel } from '../disk/kernel.ts';
import { lacks } from '../tests/look.ts';
import { firmwareProblems, takeInventory } from './inventory.ts';

const skip = lacks('lsblk', 'util-linux');

async function withKernel(
  files: Readonly<Record<string, string>>,
  use: (kernel: Kernel) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-inventory-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), content, 'latin1');
    }
    await use({ ...realKernel, sys: join(folder, 'sys'), proc: join(folder, 'proc') });
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('the inventory of this machine is one that the appliance accepts', { skip }, async () => {
  const inventory = await takeInventory();
  assert.deepEqual(checkMessage(Inventory, inventory).kind, 'valid');
  assert.ok(inventory.cpu.threads > 0 && inventory.memory_bytes > 0);
});

test('a machine whose disks cannot be listed tells all the rest, and why', () =>
  withKernel({ 'sys/class/dmi/id/sys_vendor': 'Supermicro\n' }, async (kernel) => {
    const problem = { tool: 'lsblk', purpose: 'list disks', problem: 'it gave no answer within 30 seconds' };
    const run = async () => {
      throw failure('TOOL_FAILED', problem);
    };
    const inventory = await takeInventory({ kernel, run });
    assert.equal(inventory.dmi.vendor, 'Supermicro');
    assert.deepEqual(inventory.disks, []);
    assert.match(inventory.problems.join(), /lsblk.*no answer within 30 seconds/);
    assert.equal(checkMessage(Inventory, inventory).kind, 'valid');
  }));

test('the inventory of a machine with a thousand disks is one that the appliance takes', () =>
  withKernel({}, async (kernel) => {
    const blockdevices = Array.from({ length: 1000 }, (_each, index) => ({
      ...{ name: `sd${index}`, path: `/dev/sd${index}`, type: 'disk', size: 16e12, rm: false, ro: false },
      ...{
        model: 'ST16000NM001G-2KK103',
        vendor: 'SEAGATE',
        serial: `ZL2${index}`.padEnd(32, '0'),
        tran: 'sas',
      },
    }));
    const inventory = await takeInventory({ kernel, run: async () => JSON.stringify({ blockdevices }) });
    assert.equal(checkMessage(Inventory, inventory).kind, 'valid');
    assert.ok(JSON.stringify(inventory).length < bodyBytes);
    assert.match(inventory.problems.join(), /Of 1000 disks the first 500 are told/);
  }));

test("a maker's fillers and impossible UUIDs are told as nothing", { skip }, () =>
  withKernel(
    {
      'sys/class/dmi/id/sys_vendor': 'Supermicro\n',
      'sys/class/dmi/id/product_name': 'To Be Filled By O.E.M.\n',
      'sys/class/dmi/id/product_serial': '0123456789\n',
      'sys/class/dmi/id/product_uuid': 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n',
      'sys/class/dmi/id/board_serial': 'Default string\n',
      'sys/class/dmi/id/board_name': 'X11\n',
    },
    async (kernel) => {
      const { dmi, firmware } = await takeInventory({ kernel });
      assert.deepEqual(
        [dmi.vendor, dmi.product, dmi.serial, dmi.uuid, dmi.board_serial, dmi.board_name],
        ['Supermicro', null, null, null, null, 'X11'],
      );
      assert.deepEqual(firmware, { kind: 'bios', secure_boot: null });
    },
  ),
);

test('UEFI is told with the state of Secure Boot, as far as the firmware says it', { skip }, async () => {
  const variable = 'sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';
  for (const [content, secure_boot] of [
    ['\x06\0\0\0\x01', true],
    ['\x06\0\0\0\x00', false],
    ['', null],
  ] as const) {
    await withKernel({ [variable]: content }, async (kernel) => {
      assert.deepEqual((await takeInventory({ kernel })).firmware, { kind: 'uefi', secure_boot });
    });
  }
});

test(
  'the interface that the machine booted from is marked, and made-up interfaces are left out',
  { skip },
  () =>
    withKernel(
      {
        'sys/devices/pci0/net/eno1/address': '52:54:00:AA:00:01\n',
        'sys/devices/pci0/net/eno1/carrier': '1\n',
        'sys/devices/pci0/net/eno1/speed': '10000\n',
        'sys/class/net/lo/address': '00:00:00:00:00:00\n',
      },
      async (kernel) => {
        await symlink('../../devices/pci0/net/eno1', join(kernel.sys, 'class/net/eno1'));
        await symlink('../..', join(kernel.sys, 'devices/pci0/net/eno1/device'));
        const { nics } = await takeInventory({ kernel, booted: '52:54:00:aa:00:01' });
        assert.deepEqual(nics, [
          {
            name: 'eno1',
            mac: '52:54:00:aa:00:01',
            driver: null,
            speed: 10_000,
            link: true,
            addresses: [],
            booted: true,
          },
        ]);
      },
    ),
);

test('a device whose firmware is missing is named once with the file that it lacks', () => {
  const log = [
    'r8169 0000:03:00.0: firmware: failed to load rtl_nic/rtl8168h-2.fw (-2)',
    'r8169 0000:03:00.0: firmware: failed to load rtl_nic/rtl8168h-2.fw (-2)',
    'r8169 0000:03:00.0: Direct firmware load for rtl_nic/rtl8168h-2.fw failed with error -2',
    'usb 1-1: new high-speed USB device',
  ].join('\n');
  const problems = firmwareProblems(log);
  assert.equal(problems.length, 1);
  assert.match(
    problems[0] ?? '',
    /0000:03:00\.0 \(driver r8169\) lacks its firmware rtl_nic\/rtl8168h-2\.fw/,
  );
});
