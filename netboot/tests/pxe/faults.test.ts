/** What goes wrong in a rack, and every kind of disk and image. Part of `npm run test:pxe` only: it takes an hour. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Bus, Guest, GuestDisk } from './guest.ts';
import { agentStarts, noScene, phaseOf, Scene } from './scene.ts';

const execute = promisify(execFile);
const skip = noScene() || (process.env.BTY_PXE === 'all' ? false : 'takes an hour: npm run test:pxe runs it');
const timeout = 900_000;

describe('faults', { skip }, () => {
  let scene: Scene;
  let next = 1;
  before(
    async () => {
      scene = await Scene.make({ dhcp: 'full', guests: 4 });
    },
    { timeout },
  );
  after(() => scene?.close());

  /** Binds a new machine to the image, boots it, and runs `use` with it. */
  async function bound(
    name: string,
    more: {
      readonly disk?: Partial<GuestDisk>;
      readonly sha256?: string;
      readonly policy?: string;
      readonly tap?: number;
    },
    use: (guest: Guest, mac: string, disk: GuestDisk) => Promise<void>,
  ): Promise<void> {
    const mac = `52:54:00:78:00:${(next++).toString(16).padStart(2, '0')}`;
    const disk = scene.disk(name, more.disk);
    await scene.appliance.bind(mac, {
      image_sha256: more.sha256 ?? scene.image.sha256,
      boot_policy: more.policy ?? 'flash-once',
      target_disk_serial: disk.serial,
    });
    await scene.withGuest({ name, firmware: 'bios', mac, tap: more.tap ?? 0, disks: [disk] }, (guest) =>
      use(guest, mac, disk),
    );
  }

  const writing = (mac: string, bytes: number) =>
    scene.appliance.until(mac, 'being written', 300, (machine) => {
      const state = machine.state as { step: string | null; bytes: number | null };
      return state.step === 'writing' && (state.bytes ?? 0) >= bytes;
    });

  async function deployed(guest: Guest, mac: string, disk: GuestDisk): Promise<void> {
    await guest.sees(/Done: \S+ is on/, 400, 'flashed');
    await guest.sees(/BTY-MARKER one/, 200, 'the flashed system');
    await scene.reaches(mac, 'deployed');
    await scene.holdsImage(disk);
  }

  async function failedWith(mac: string, code: string): Promise<void> {
    const machine = await scene.appliance.until(mac, `failed with ${code}`, 300, (each) => {
      const { failure } = each.state as { failure: { code: string } | null };
      return phaseOf(each) === 'failed' && failure?.code === code;
    });
    assert.equal(machine.last_flashed_at, null);
  }

  const slowly = { writeRate: 2 << 20 };

  test(
    'an appliance that is killed in the middle and started again: the same flash goes on',
    { timeout },
    () =>
      bound('killed', { disk: slowly }, async (guest, mac, disk) => {
        await writing(mac, 8 << 20);
        await scene.appliance.kill();
        await pause(5000);
        await scene.appliance.run();
        await deployed(guest, mac, disk);
        assert.equal(guest.console.match(new RegExp(agentStarts, 'g'))?.length, 1, 'it was not booted anew');
      }),
  );

  test('a cable that is out for 20 seconds: the same flash goes on', { timeout }, () =>
    bound('cable', { disk: slowly }, async (guest, mac, disk) => {
      await writing(mac, 8 << 20);
      await guest.monitor('set_link', { name: 'n0', up: false });
      await pause(20_000);
      await guest.monitor('set_link', { name: 'n0', up: true });
      await deployed(guest, mac, disk);
    }),
  );

  test('a disk that is too small is refused before anything is written', { timeout }, () =>
    bound('small', { disk: { bytes: scene.image.bytes - (1 << 20) } }, async (guest, mac) => {
      await guest.sees(/FAILED: \S+ needs/, 400, 'refusal');
      await failedWith(mac, 'TARGET_TOO_SMALL');
    }),
  );

  test('a disk that vanishes is told as vanished', { timeout }, () =>
    bound('vanished', { disk: { ...slowly, bus: 'usb' } }, async (guest, mac) => {
      await writing(mac, 4 << 20);
      await guest.monitor('device_del', { id: 'disk0' });
      await guest.sees(/FAILED: /, 300, 'told');
      await failedWith(mac, 'DISK_VANISHED');
    }),
  );

  for (const bus of ['nvme', 'ahci', 'virtio', 'usb'] as const satisfies readonly Bus[]) {
    test(`a disk on ${bus}`, { timeout }, () => bound(`bus${bus}`, { disk: { bus } }, deployed));
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
      await bound(`as${format}`, { sha256 }, deployed);
    });
  }

  test('"flash" for every job: flash, the job from the disk, flash again', { timeout }, () =>
    bound('jobs', { policy: 'flash' }, async (guest, mac, disk) => {
      await guest.sees(/Done: /, 400, 'flashed');
      await guest.sees(/BTY-MARKER one/, 200, 'job 1');
      await scene.reaches(mac, 'deployed');
      await scene.holdsImage(disk);
      await guest.monitor('system_reset');
      await guest.sees(agentStarts, 300, 'the agent again');
      await guest.sees(/Done: /, 400, 'flashed again');
      await guest.sees(/BTY-MARKER one/, 200, 'job 2');
      await scene.holdsImage(disk);
      const flashes = (await scene.appliance.events(mac)).filter(({ kind }) => kind === 'machine.flashed');
      assert.equal(flashes.length, 2);
    }),
  );

  test('four machines at once', { timeout }, async () => {
    const began = performance.now();
    await Promise.all([0, 1, 2, 3].map((tap) => bound(`together${tap}`, { tap }, deployed)));
    process.stderr.write(`four machines: ${((performance.now() - began) / 1000).toFixed(0)} s\n`);
  });
});
