/** What goes wrong in a rack, and every kind of disk and image. Part of `npm run test:pxe` only: it takes an hour. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Bus, Guest, GuestDisk } from './guest.ts';
import { Rack } from './rack.ts';
import { agentStarts, noScene, phaseOf, Scene } from './scene.ts';

const execute = promisify(execFile);
const skip = noScene() || (process.env.BTY_PXE === 'all' ? false : 'takes an hour: npm run test:pxe runs it');
const timeout = 2_400_000;

describe('faults', { skip }, () => {
  let scene: Scene;
  let rack: Rack;
  before(
    async () => {
      scene = await Scene.make({ dhcp: 'full', guests: 4 });
      rack = new Rack(scene);
    },
    { timeout },
  );
  after(() => scene?.close());
  const deployed = (guest: Guest, mac: string, disk: GuestDisk) => rack.deployed(guest, mac, disk);

  const slowly = { writeRate: 2 << 20 };

  test(
    'an appliance that is killed in the middle and started again: the same flash goes on',
    { timeout },
    () =>
      rack.bound('killed', { disk: slowly }, async (guest, mac, disk) => {
        await rack.writing(mac, 8 << 20);
        await scene.appliance.kill();
        await pause(5000);
        await scene.appliance.run();
        await deployed(guest, mac, disk);
        assert.equal(guest.console.match(new RegExp(agentStarts, 'g'))?.length, 1, 'it was not booted anew');
      }),
  );

  test('a cable that is out for 20 seconds: the same flash goes on', { timeout }, () =>
    rack.bound('cable', { disk: slowly }, async (guest, mac, disk) => {
      await rack.writing(mac, 8 << 20);
      await guest.monitor('set_link', { name: 'n0', up: false });
      await pause(20_000);
      await guest.monitor('set_link', { name: 'n0', up: true });
      await deployed(guest, mac, disk);
    }),
  );

  test(
    'power that fails after the disk was read back and before the appliance has heard of it: not deployed, and flashed once more',
    {
      timeout,
    },
    () =>
      rack.bound('unheard', { disk: slowly }, async (guest, mac, disk) => {
        // What is left to write is on the machine by now.
        await rack.writing(mac, 36 << 20);
        await guest.monitor('set_link', { name: 'n0', up: false });
        await guest.sees(/Done: \S+ is on/, 200, 'done, unheard');
        await guest.cutPower();
        const torn = await scene.appliance.machine(mac);
        assert.ok(torn && phaseOf(torn) !== 'deployed');
        assert.equal(torn.last_flashed_at, null);
        const again = { name: 'unheard-again', firmware: 'bios', mac, tap: 0, disks: [disk] } as const;
        await scene.withGuest(again, (next) => deployed(next, mac, disk));
      }),
  );

  test(
    'power that fails between the last word and the restart: the next boot goes to the disk',
    {
      timeout,
    },
    () =>
      rack.bound('heard', {}, async (guest, mac, disk) => {
        await guest.sees(/Rebooting\./, 400, 'told');
        await guest.cutPower();
        const again = { name: 'heard-again', firmware: 'bios', mac, tap: 0, disks: [disk] } as const;
        await scene.withGuest(again, async (next) => {
          await next.sees(/BTY-MARKER one/, 200, 'the flashed system');
          assert.doesNotMatch(next.console, agentStarts);
          await scene.reaches(mac, 'deployed');
        });
        await scene.holdsImage(disk);
        const flashes = (await scene.appliance.events(mac)).filter(({ kind }) => kind === 'machine.flashed');
        assert.equal(flashes.length, 1);
      }),
  );

  test('a disk that is too small is refused before anything is written', { timeout }, async () => {
    const bytes = scene.image.bytes - (1 << 20);
    const old = Buffer.alloc(bytes, 0xa5);
    await writeFile(scene.disk('small').file, old);
    await rack.bound('small', { disk: { bytes } }, async (guest, mac, disk) => {
      await guest.sees(/FAILED: \S+ needs/, 400, 'refusal');
      await rack.failed(mac, 'preparing', 'TARGET_TOO_SMALL', /needs/);
      assert.equal(Buffer.compare(await readFile(disk.file), old), 0, 'nothing was written');
    });
  });

  test('a disk that vanishes is told as vanished', { timeout }, () =>
    rack.bound('vanished', { disk: { ...slowly, bus: 'usb' } }, async (guest, mac) => {
      await rack.writing(mac, 4 << 20);
      await guest.monitor('device_del', { id: 'disk0' });
      await guest.sees(/FAILED: /, 300, 'told');
      await rack.failed(mac, 'writing', 'DISK_VANISHED', /vanished|gone|disappeared/);
    }),
  );

  for (const bus of ['nvme', 'ahci', 'virtio', 'usb'] as const satisfies readonly Bus[]) {
    test(`a disk on ${bus}`, { timeout }, () => rack.bound(`bus${bus}`, { disk: { bus } }, deployed));
  }

  const packings = {
    gz: async (path: string) => gzipSync(await readFile(path)),
    xz: async (path: string) => {
      await execute('xz', ['--keep', '--force', '-1', path]);
      return readFile(`${path}.xz`);
    },
    qcow2: async (path: string) => {
      await execute('qemu-img', ['convert', '-O', 'qcow2', path, `${path}.qcow2`]);
      return readFile(`${path}.qcow2`);
    },
    img: async (path: string) => readFile(path),
  } as const;
  for (const [format, pack] of Object.entries(packings)) {
    test(`an image as ${format}`, { timeout }, async () => {
      const stored = await pack(scene.image.path);
      const name = { gz: 'f.img.gz', xz: 'f.img.xz', qcow2: 'f.qcow2', img: 'f.img' }[format] ?? format;
      const path = `${scene.lab.folder}/${name}`;
      await writeFile(path, stored);
      const sha256 = createHash('sha256').update(stored).digest('hex');
      await scene.appliance.upload(path, name, sha256);
      await rack.bound(`as${format}`, { sha256 }, deployed);
    });
  }

  test('"flash" for every job: flash, job 1 from the disk, flash again with another image, job 2', {
    timeout,
  }, async () => {
    const two = await scene.add('two');
    await rack.bound('jobs', { policy: 'flash' }, async (guest, mac, disk) => {
      await guest.sees(/Done: /, 400, 'flashed');
      await guest.sees(/BTY-MARKER one/, 200, 'job 1');
      await scene.reaches(mac, 'deployed');
      await scene.holdsImage(disk);
      // What job 1 leaves behind.
      await scribble(disk.file, 20 << 20);
      await scene.appliance.bind(mac, {
        image_sha256: two.sha256,
        boot_policy: 'flash',
        target_disk_serial: disk.serial,
      });
      await guest.monitor('system_reset');
      await guest.sees(agentStarts, 300, 'the agent again');
      await guest.sees(/Done: two\.img\.zst is on/, 400, 'flashed again');
      await guest.sees(/BTY-MARKER two/, 200, 'job 2');
      await scene.reaches(mac, 'deployed');
      await scene.holdsImage(disk, two);
      const flashes = (await scene.appliance.events(mac)).filter(({ kind }) => kind === 'machine.flashed');
      assert.deepEqual(
        flashes.map(({ details }) => details?.image_sha256),
        [scene.image.sha256, two.sha256],
      );
      await scene.toldFlash(mac);
    });
  });

  test('four machines at once', { timeout }, async () => {
    const began = performance.now();
    const machines = [0, 1, 2, 3].map((tap) => rack.bound(`together${tap}`, { tap }, deployed));
    // All of them have ended before the network is taken away.
    for (const ended of await Promise.allSettled(machines))
      if (ended.status === 'rejected') throw ended.reason;
    process.stderr.write(`four machines: ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
  });
});

/** Writes over a part of a disk that no running system looks at. */
async function scribble(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.alloc(1 << 20, 0x5a), 0, 1 << 20, at);
  } finally {
    await file.close();
  }
}
