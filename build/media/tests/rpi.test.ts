/**
 * The appliance for the Raspberry Pi, as far as it can be tried without the board: what lies on the card, and its
 * system on a virtual machine of the same architecture, started from the kernel of the card.
 */
import assert from 'node:assert/strict';
import { copyFile, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../../test/port.ts';
import { run } from '../iso.ts';
import { buildPi, piTools } from '../rpi.ts';
import { stateSector } from '../server.ts';
import { missingTools } from '../tools.ts';
import { all, inFolder } from './kit.ts';
import { diskDevice, PersonalMachine } from './machine.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const skip =
  missingTools([...piTools, 'sfdisk', 'qemu-system-aarch64']) ||
  (process.getuid?.() === 0 ? false : 'the image is built by root') ||
  (all ? false : 'npm run test:media builds the appliance for the Raspberry Pi');
const patience = 900;
const start = 4 << 20;
/** An imitated processor on a busy machine needs longer to find a device than systemd waits. */
const slowly = `systemd.default_device_timeout_sec=${patience}`;

interface Entry {
  readonly start: number;
  readonly size: number;
  readonly type: string;
  readonly bootable?: boolean;
}

/** What the appliance answers with, as soon as it does. */
async function served(port: number, path: string): Promise<Buffer> {
  const limit = performance.now() + patience * 1000;
  for (;;) {
    const signal = AbortSignal.timeout(60_000);
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal }).catch(() => null);
    const body = answer?.ok ? await answer.arrayBuffer().catch(() => null) : null;
    if (body) return Buffer.from(body);
    assert.ok(performance.now() < limit, `${path} is not answered: ${answer?.status}`);
    await pause(1000);
  }
}

/** The menu waits for the pages no longer than a real board needs for them; Enter shows it again. */
async function seesPassword(pi: PersonalMachine): Promise<void> {
  for (let times = 0; times < 10; times++) {
    const [, password] = await pi.sees(/The password of the operator is (\w+)|9 power off\s+> /, patience);
    if (password !== undefined) return;
    pi.type('\r');
  }
  throw new Error(`bty-web does not begin:\n${pi.console.slice(-3000)}`);
}

async function tableOf(disk: string): Promise<readonly Entry[]> {
  const told = JSON.parse(await run('sfdisk', ['--json', disk])) as {
    partitiontable: { label: string; partitions: readonly Entry[] };
  };
  assert.equal(told.partitiontable.label, 'dos');
  return told.partitiontable.partitions;
}

test(
  'lies on the card as a board wants it, and its system serves, grows and keeps its state',
  {
    skip,
    timeout: 3_600_000,
  },
  () =>
    inFolder(async (folder) => {
      const cache = join(root, '.cache', 'live');
      const built = await buildPi({ to: folder, cache, level: 1, refresh: false, say: () => {} });
      const [boot, system] = await tableOf(built.image);
      assert.deepEqual([boot?.type, boot?.bootable, boot?.start], ['c', true, start / 512]);
      assert.equal(system?.type, '83');
      assert.equal(((system?.start ?? 0) + (system?.size ?? 0)) * 512, built.bytes);
      assert.ok((system?.start ?? 0) + (system?.size ?? 0) < stateSector);

      const drive = `${built.image}@@${start}`;
      const got = async (name: string): Promise<string> => {
        await run('mcopy', ['-n', '-i', drive, `::${name}`, join(folder, name)]);
        return join(folder, name);
      };
      const config = await readFile(await got('config.txt'), 'utf8');
      assert.match(config, /^arm_64bit=1$/m);
      const [kernel = '', initrd = ''] = [/^kernel=(\S+)$/m, /^initramfs (\S+)$/m].map(
        (what) => what.exec(config)?.[1],
      );
      const words = (await readFile(await got('cmdline.txt'), 'utf8')).trim();
      assert.match(
        words,
        /^console=ttyAMA10,115200 console=ttyS1,115200 console=tty0 root=LABEL=BTY_SYSTEM /,
      );
      // What the boot loaders in the boards' own memories look for.
      for (const name of ['start4.elf', 'fixup4.dat', 'bcm2711-rpi-4-b.dtb', 'LICENCE.broadcom'])
        await got(name);
      assert.match(await run('mdir', ['-b', '-i', drive, '::overlays']), /::\/overlays\/\S+\.dtbo/);
      const five = await readFile(await got('bcm2712-rpi-5-b.dtb'), 'latin1');
      assert.ok(five.includes('raspberrypi,rp1-gem'), 'the network card of a Pi 5 is described');
      const image = await readFile(await got(kernel));
      assert.equal(image.toString('latin1', 56, 60), 'ARMd', 'a kernel that needs no unpacking');

      const disk = join(folder, 'disk');
      await copyFile(built.image, disk);
      await truncate(disk, 9e9);
      const port = await freePort();
      const switchedOn = async () =>
        PersonalMachine.start({
          folder,
          firmware: {
            kernel: join(folder, kernel),
            initrd: await got(initrd),
            // Linux asks its driver for the first port that is named, and for no other where that is not there.
            words: `${words.replace('console=ttyAMA10,115200 ', '').replace('console=tty0', 'console=ttyAMA0')} ${slowly}`,
          },
          devices: [
            ...diskDevice(disk, 'CARD', 1),
            ...['-netdev', `user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:${port}-:8080`],
            ...['-device', 'virtio-net-pci,netdev=n0,romfile='],
          ],
        });
      let pi = await switchedOn();
      try {
        await pi.sees(/the state is on \/dev\/vda3/, patience);
        await seesPassword(pi);
        await pi.sees(/Network boot: off/, patience);
        await pi.sees(/9 power off\s+> /, patience);
        pi.type('2\r');
        await pi.sees(/Name: /, patience);
        pi.type('pi-server\r');
        await pi.sees(/== bty appliance \S+ on pi-server/, patience);
        await pi.sees(/9 power off\s+> /, patience);
        assert.deepEqual(JSON.parse((await served(port, '/healthz')).toString()), { status: 'ok' });
        // What the machines that it boots are given: its own system is of another architecture.
        const given = await served(port, '/boot/bty-netboot-x86_64.vmlinuz');
        assert.equal(given.toString('latin1', 0x202, 0x206), 'HdrS', 'a kernel for PCs');
        pi.type('7\r');
        await pi.sees(/comes back here/, patience);
        // The words that are awaited do not stand in what is typed.
        pi.type(
          "systemctl --failed --plain --no-legend | sed 's/^/FAI''LED /'; findmnt -no SOURCE /boot/firmware\r",
        );
        pi.type("echo UNITS''-END; exit\r");
        const from = pi.console.length;
        await pi.sees(/UNITS-END/, patience);
        assert.doesNotMatch(pi.console.slice(from), /FAILED/, 'every unit runs');
        assert.match(
          pi.console.slice(from),
          /^\/dev\/vda1$/m,
          'the boot partition is where updates look for it',
        );
        await pi.sees(/9 power off\s+> /, patience);
        pi.type('9\r');
        await pi.ended(patience);
      } finally {
        await pi.cutPower();
      }
      const [, grown, state] = await tableOf(disk);
      assert.ok((grown?.size ?? 0) > (system?.size ?? 0));
      assert.equal(state?.start, stateSector);
      assert.ok((state?.start ?? 0) + (state?.size ?? 0) > 9e9 / 512 - 8192);

      // A new card image over it: its name is one of the state.
      await run('dd', [`if=${built.image}`, `of=${disk}`, 'bs=4M', 'conv=notrunc', 'status=none']);
      assert.equal((await tableOf(disk)).length, 2);
      pi = await switchedOn();
      try {
        await pi.sees(/the state is on \/dev\/vda3/, patience);
        await pi.sees(/== bty appliance \S+ on pi-server/, patience);
      } finally {
        await pi.cutPower();
      }
    }),
);
