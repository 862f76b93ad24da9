/** The live system for arm64 in an emulated machine. Only where `BTY_LIVE_ARM64` names its folder: it takes minutes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { cpioOfFile } from '../../../shared/archive/cpio.ts';
import { type Inventory, type Status, ticketPath } from '../../../shared/contract/agent.ts';
import { inFolder } from '../../disk/testing.ts';
import { lacks, MiB, makeImage } from '../look.ts';
import { mac, TestAppliance, token } from './appliance.ts';

const live = process.env.BTY_LIVE_ARM64 ?? '';
const skip =
  live === ''
    ? 'BTY_LIVE_ARM64 names no live system (npm run live -- --arch arm64 --to FOLDER)'
    : lacks('qemu-system-aarch64', 'qemu-system-arm');
const imageSize = 12 * MiB;

test(
  'an arm64 machine flashes its disk, tells it, and switches itself off',
  {
    skip,
    timeout: 1_200_000,
  },
  () =>
    inFolder(async (folder) => {
      const image = await makeImage(join(folder, 'image'), imageSize);
      const appliance = await TestAppliance.start(zstdCompressSync(image));
      try {
        const disk = join(folder, 'disk');
        await writeFile(disk, Buffer.alloc(imageSize, 0xa5));
        const initrd = join(folder, 'initrd');
        const ticket = Buffer.from(JSON.stringify({ token, ca_fingerprint: null }));
        await writeFile(
          initrd,
          Buffer.concat([cpioOfFile(ticketPath, ticket), await readFile(join(live, 'initrd'))]),
        );
        appliance.plans = [
          appliance.flashPlan(imageSize, { disk: { kind: 'serial', serial: 'ARM' }, after: 'poweroff' }),
        ];
        // The emulated network's own address for this machine.
        const server = `http://10.0.2.2:${new URL(appliance.address).port}`;
        const qemu = spawn(
          'qemu-system-aarch64',
          [
            ...[
              '-machine',
              'virt',
              '-cpu',
              'cortex-a72',
              '-m',
              '512',
              '-smp',
              '2',
              '-nodefaults',
              '-nographic',
            ],
            ...['-serial', 'stdio', '-kernel', join(live, 'vmlinuz'), '-initrd', initrd],
            ...['-append', `quiet console=ttyAMA0 bty.server=${server} bty.mac=${mac}`],
            ...['-netdev', 'user,id=n0', '-device', `virtio-net-pci,netdev=n0,mac=${mac},romfile=`],
            ...[
              '-drive',
              `if=none,id=d0,format=raw,file=${disk}`,
              '-device',
              'virtio-blk-pci,drive=d0,serial=ARM',
            ],
          ],
          { stdio: ['ignore', 'pipe', 'pipe'] },
        );
        let console = '';
        for (const stream of [qemu.stdout, qemu.stderr])
          stream.setEncoding('latin1').on('data', (text: string) => {
            console += text;
          });
        const timer = setTimeout(() => qemu.kill('SIGKILL'), 1_000_000);
        const [code] = await once(qemu, 'close');
        clearTimeout(timer);
        process.stderr.write(`${console.slice(-3000)}\n`);
        assert.equal(code, 0, console.slice(-4000));
        const status = appliance.of('status').at(-1)?.body as Status | undefined;
        assert.ok(status?.status === 'done' && status.verified, JSON.stringify(status));
        assert.equal(Buffer.compare(await readFile(disk), image), 0, 'the disk holds the image');
        const inventory = appliance.of('inventory')[0]?.body as Inventory;
        assert.equal(inventory.architecture, 'arm64');
        assert.deepEqual(appliance.faults, []);
      } finally {
        await appliance.close();
      }
    }),
);
