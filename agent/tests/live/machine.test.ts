/**
 * The live system as the whole of an emulated machine. Only where `BTY_LIVE` or, for arm64, `BTY_LIVE_ARM64` names its
 * folder: each takes minutes.
 */
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
import { authority } from '../../live/testing.ts';
import { lacks, MiB, makeImage } from '../look.ts';
import { mac, TestAppliance, token } from './appliance.ts';

const { BTY_LIVE: x64 = '', BTY_LIVE_ARM64: arm64 = '' } = process.env;
const imageSize = 12 * MiB;
const timeout = 1_200_000;
/** Address of this machine in the emulated network. */
const host = '10.0.2.2';

interface Emulated {
  /** Folder of the live system. */
  readonly live: string;
  readonly qemu: string;
  readonly machine: readonly string[];
  readonly console: string;
  readonly tls: boolean;
  /** Further words of the kernel's command line. */
  readonly more?: string;
}

/** Flashes an empty disk, and resolves the inventory and what stood on the console. */
async function flashes(emulated: Emulated): Promise<{ inventory: Inventory; shown: string }> {
  return inFolder(async (folder) => {
    const { live, qemu, machine } = emulated;
    const image = await makeImage(join(folder, 'image'), imageSize);
    const secure = emulated.tls ? await authority(folder, host) : undefined;
    const appliance = await TestAppliance.start(zstdCompressSync(image), secure);
    try {
      const disk = join(folder, 'disk');
      await writeFile(disk, Buffer.alloc(imageSize, 0xa5));
      const initrd = join(folder, 'initrd');
      const ticket = JSON.stringify({ token, ca_fingerprint: secure?.fingerprint ?? null });
      const archives = [cpioOfFile(ticketPath, Buffer.from(ticket)), await readFile(join(live, 'initrd'))];
      await writeFile(initrd, Buffer.concat(archives));
      const serial = { kind: 'serial', serial: 'TARGET' } as const;
      appliance.plans = [appliance.flashPlan(imageSize, { disk: serial, after: 'poweroff' })];
      const server = appliance.address.replace('127.0.0.1', host);
      const line = `quiet console=${emulated.console} bty.server=${server} bty.mac=${mac} ${emulated.more ?? ''}`;
      const running = spawn(
        qemu,
        [
          ...[...machine, '-m', '512', '-smp', '2', '-nodefaults', '-nographic', '-serial', 'stdio'],
          ...['-kernel', join(live, 'vmlinuz'), '-initrd', initrd, '-append', line],
          ...['-netdev', 'user,id=n0', '-device', `virtio-net-pci,netdev=n0,mac=${mac},romfile=`],
          ...['-drive', `if=none,id=d0,format=raw,file=${disk}`],
          ...['-device', 'virtio-blk-pci,drive=d0,serial=TARGET'],
        ],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let shown = '';
      for (const stream of [running.stdout, running.stderr])
        stream.setEncoding('latin1').on('data', (text: string) => {
          shown += text;
        });
      const timer = setTimeout(() => running.kill('SIGKILL'), timeout - 60_000);
      const [code] = await once(running, 'close');
      clearTimeout(timer);
      assert.equal(code, 0, shown.slice(-4000));
      const status = appliance.of('status').at(-1)?.body as Status | undefined;
      assert.ok(status?.status === 'done' && status.verified, JSON.stringify(status));
      assert.equal(Buffer.compare(await readFile(disk), image), 0, 'the disk holds the image');
      assert.deepEqual(appliance.faults, []);
      return { inventory: appliance.of('inventory')[0]?.body as Inventory, shown };
    } finally {
      await appliance.close();
    }
  });
}

test('an arm64 machine flashes its disk, tells it, and switches itself off', {
  skip:
    arm64 === '' ? 'BTY_LIVE_ARM64 names no live system' : lacks('qemu-system-aarch64', 'qemu-system-arm'),
  timeout,
}, async () => {
  const { inventory } = await flashes({
    ...{ live: arm64, qemu: 'qemu-system-aarch64', console: 'ttyAMA0', tls: false },
    machine: ['-machine', 'virt', '-cpu', 'cortex-a72'],
  });
  assert.equal(inventory.architecture, 'arm64');
});

test('a machine whose clock stands decades before the certificates flashes its disk over TLS, past a card without a network', {
  skip: x64 === '' ? 'BTY_LIVE names no live system' : lacks('qemu-system-x86_64', 'qemu-system-x86'),
  timeout,
}, async () => {
  // A loader that did not fill in its setting, and a first card whose cable leads nowhere.
  const more = 'BOOTIF=01-$netX dyndbg="file x +p"';
  const dead = ['-netdev', 'hubport,id=dead,hubid=1', '-device', 'e1000,netdev=dead,romfile=,addr=0x2'];
  const { shown, inventory } = await flashes({
    ...{ live: x64, qemu: 'qemu-system-x86_64', console: 'ttyS0', tls: true },
    machine: [...['-machine', 'q35,accel=tcg', '-cpu', 'max', '-rtc', 'base=2001-01-01T00:00:00'], ...dead],
    more,
  });
  const cards = inventory.nics.map(({ driver, booted, addresses }) => [
    driver,
    booted,
    addresses.some((each) => each.includes('.')),
  ]);
  assert.deepEqual(cards.sort(), [
    ['e1000', false, false],
    ['virtio_net', true, true],
  ]);
  assert.match(shown, /The clock was \d+ seconds slow; it was set\./);
  assert.doesNotMatch(shown, /does not answer/);
});
