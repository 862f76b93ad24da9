/** A bare machine boots from our appliance, flashes itself, reports, and runs what was flashed: the product in one run. */
import assert from 'node:assert/strict';
import { open, readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { agentStarts, noScene, phaseOf, Scene } from './scene.ts';

const skip = noScene();

describe('an appliance that leases addresses', { skip }, () => {
  let scene: Scene;
  before(
    async () => {
      scene = await Scene.make({ dhcp: 'full' });
    },
    { timeout: 3_600_000 },
  );
  after(() => scene?.close());

  test('BIOS: an unknown machine is discovered, leaves a disk with another serial number alone and says so, is flashed when its binding is corrected, and runs from its disk ever after', {
    timeout: 3_600_000,
  }, async () => {
    const mac = '52:54:00:77:00:01';
    const target = scene.disk('bios', { bus: 'ahci' });
    const old = Buffer.alloc(scene.image.bytes, 0xa5);
    await writeFile(target.file, old);
    const bind = (target_disk_serial: string) =>
      scene.appliance.bind(mac, {
        image_sha256: scene.image.sha256,
        boot_policy: 'flash-once',
        target_disk_serial,
      });
    await scene.withGuest({ name: 'bios', firmware: 'bios', mac, tap: 0, disks: [target] }, async (guest) => {
      await guest.sees(/iPXE/, 60, 'iPXE');
      await guest.sees(agentStarts, 300, 'the agent');
      await guest.sees(/Waiting for a plan/, 120, 'inventory');
      const known = await scene.appliance.until(mac, 'discovered', 60, () => true);
      assert.equal(known.boot_policy, 'tui');

      await bind('ANOTHER');
      await guest.sees(/FAILED: No disk of this machine is the one with serial number/, 120, 'refusal');
      const failed = await scene.reaches(mac, 'failed');
      const { failure } = failed.state as { failure: { code: string; message: string } };
      assert.equal(failure.code, 'DISK_NOT_HERE');
      assert.match(failure.message, /"ANOTHER".*\/dev\/sda.*serial BIOS/);
      assert.equal(Buffer.compare(await readFile(target.file), old), 0, 'nothing was written');

      await bind('BIOS');
      await guest.sees(/Plan: write/, 60, 'plan');
      await guest.sees(/Done: one\.img\.zst is on \/dev\/sda/, 240, 'flashed');
      await guest.sees(/BTY-MARKER one/, 150, 'the flashed system');
      const done = await scene.reaches(mac, 'deployed');
      assert.ok(done.last_flashed_at);
      await scene.holdsImage(target);
      await scene.happened(mac, ['machine.discovered', 'machine.inventoried', 'machine.flashed']);
      await guest.monitor('system_reset');
      await guest.sees(/BTY-MARKER one/, 90, 'the flashed system again');
      assert.doesNotMatch(guest.console.slice(guest.console.lastIndexOf('BTY-MARKER one')), agentStarts);
    });
    const flashes = (await scene.appliance.events(mac)).filter(({ kind }) => kind === 'machine.flashed');
    assert.equal(flashes.length, 1, 'it was flashed once');
  });

  test('power that fails in the middle leaves a blank disk that is never called deployed; the next boot flashes it whole', {
    timeout: 3_600_000,
  }, async () => {
    const mac = '52:54:00:77:00:03';
    const target = scene.disk('power', { bus: 'nvme' });
    await writeFile(target.file, Buffer.alloc(scene.image.bytes, 0xa5));
    await scene.appliance.bind(mac, {
      image_sha256: scene.image.sha256,
      boot_policy: 'flash-once',
      target_disk_serial: 'POWER',
    });
    const slow = { ...target, writeRate: 2 << 20 };
    await scene.withGuest({ name: 'power', firmware: 'bios', mac, tap: 0, disks: [slow] }, async (guest) => {
      await guest.sees(agentStarts, 300, 'the agent');
      await scene.appliance.until(mac, 'being written', 180, (each) => {
        const { step, bytes } = each.state as { step: string | null; bytes: number | null };
        return step === 'writing' && (bytes ?? 0) > 8 << 20;
      });
      await guest.cutPower();
    });
    const torn = await scene.appliance.machine(mac);
    assert.ok(torn && phaseOf(torn) !== 'deployed' && torn.last_flashed_at === null);
    const file = await open(target.file);
    const start = Buffer.alloc(1 << 20);
    await file.read(start, 0, start.length, 0);
    await file.close();
    assert.ok(
      start.every((byte) => byte === 0),
      'the start of the torn disk is blank',
    );
    await scene.withGuest(
      { name: 'power-again', firmware: 'bios', mac, tap: 0, disks: [target] },
      async (guest) => {
        await guest.sees(agentStarts, 300, 'the agent');
        await guest.sees(/Done: one\.img\.zst is on \/dev\/nvme0n1/, 180, 'flashed');
        await guest.sees(/BTY-MARKER one/, 150, 'the flashed system');
        await scene.reaches(mac, 'deployed');
        await scene.holdsImage(target);
      },
    );
  });
});

describe('an appliance beside another DHCP server', { skip }, () => {
  let scene: Scene;
  before(
    async () => {
      scene = await Scene.make({ dhcp: 'proxy' });
    },
    { timeout: 3_600_000 },
  );
  after(() => scene?.close());

  test('UEFI: an unknown machine is discovered, bound, flashed, and runs from its disk ever after', {
    timeout: 3_600_000,
  }, async () => {
    const mac = '52:54:00:77:00:11';
    // Larger than the image, so that the backup of its partition table has to move.
    const target = scene.disk('uefi', { bytes: scene.image.bytes + (16 << 20) });
    await scene.withGuest({ name: 'uefi', firmware: 'uefi', mac, tap: 0, disks: [target] }, async (guest) => {
      await guest.sees(/Start PXE over IPv4/, 60, 'PXE of the firmware');
      await guest.sees(/iPXE initialising devices/, 60, 'iPXE');
      await guest.sees(agentStarts, 300, 'the agent');
      await guest.sees(/Waiting for a plan/, 120, 'inventory');
      const known = await scene.appliance.until(mac, 'discovered', 60, () => true);
      assert.equal(known.boot_policy, 'tui');
      await scene.appliance.bind(mac, { image_sha256: scene.image.sha256, boot_policy: 'flash-once' });
      await guest.sees(/Done: one\.img\.zst is on \/dev\/vda/, 240, 'flashed');
      await guest.sees(/BTY-MARKER one/, 150, 'the flashed system');
      const done = await scene.reaches(mac, 'deployed');
      assert.ok(done.last_flashed_at);
      await scene.holdsFitted(target);
      await scene.happened(mac, ['machine.discovered', 'machine.inventoried', 'machine.flashed']);
      await guest.monitor('system_reset');
      await guest.sees(/Start PXE over IPv4/, 90);
      await guest.sees(/BTY-MARKER one/, 150, 'the flashed system again');
      assert.doesNotMatch(guest.console.slice(guest.console.lastIndexOf('Start PXE')), agentStarts);
    });
  });
});
