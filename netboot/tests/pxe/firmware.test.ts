/** UEFI firmware that boots by HTTP, and that is told what to boot next. Part of `npm run test:pxe` only. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { agentStarts, noScene, Scene } from './scene.ts';

const skip = noScene() || (process.env.BTY_PXE === 'all' ? false : 'npm run test:pxe runs it');
const timeout = 2_400_000;

describe('UEFI HTTP boot', { skip }, () => {
  let scene: Scene;
  before(
    async () => {
      scene = await Scene.make({ dhcp: 'full' });
    },
    { timeout },
  );
  after(() => scene?.close());

  test('an unknown machine is discovered, bound, flashed, and runs from its disk ever after', {
    timeout,
  }, async () => {
    const mac = '52:54:00:79:00:01';
    const target = scene.disk('http', { bytes: scene.image.bytes + (16 << 20) });
    await scene.withGuest(
      { name: 'http', firmware: 'uefi-http', mac, tap: 0, disks: [target] },
      async (guest) => {
        await guest.sees(/Start HTTP Boot over IPv4/, 90, 'HTTP boot of the firmware');
        await guest.sees(/URI: http:\/\/10\.77\.0\.1:8080\/boot\/\S+/, 30, 'its address');
        await guest.sees(/iPXE initialising devices/, 60, 'iPXE');
        await guest.sees(agentStarts, 300, 'the agent');
        await guest.sees(/Waiting for a plan/, 120, 'inventory');
        await scene.appliance.until(mac, 'discovered', 10, () => true);
        await scene.appliance.bind(mac, { image_sha256: scene.image.sha256, boot_policy: 'flash-once' });
        await guest.sees(/Done: one\.img\.zst is on \/dev\/vda/, 240, 'flashed');
        await guest.sees(/BTY-MARKER one/, 150, 'the flashed system');
        await scene.reaches(mac, 'deployed');
        await scene.holdsFitted(target);
        await scene.happened(mac, ['machine.discovered', 'machine.inventoried', 'machine.flashed']);
        await guest.monitor('system_reset');
        await guest.sees(/Start HTTP Boot over IPv4/, 90);
        await guest.sees(/BTY-MARKER one/, 150, 'the flashed system again');
        assert.doesNotMatch(guest.console.slice(guest.console.lastIndexOf('Start HTTP')), agentStarts);
      },
    );
    const steps = ['discover', 'offer=http', 'ack', 'file=binary', 'script=disk', 'local-boot'];
    await scene.told(mac, 0, [...steps, 'local-boot'], 'local-boot');
    await scene.told(mac, 1, steps, 'local-boot');
    const flashed = await scene.told(
      mac,
      2,
      ['offer=http', 'file=binary', 'plan=interactive', 'done'],
      'done',
    );
    const [first] = flashed.steps;
    assert.equal(first?.architecture, 16, 'x64 UEFI HTTP (RFC 5970, IANA)');
    assert.match(String(first?.vendorClass), /^HTTPClient/);
  });
});

describe('a boot entry', { skip }, () => {
  let scene: Scene;
  before(
    async () => {
      scene = await Scene.make({ dhcp: 'full', settings: ['--boot-entry', 'keep'] });
    },
    { timeout },
  );
  after(() => scene?.close());

  test('the firmware boots the flashed disk next without asking the network, and the network again after that', {
    timeout,
  }, async () => {
    const mac = '52:54:00:79:00:02';
    const target = scene.disk('entry');
    await scene.appliance.bind(mac, { image_sha256: scene.image.sha256, boot_policy: 'flash-once' });
    await scene.withGuest(
      { name: 'entry', firmware: 'uefi', mac, tap: 0, disks: [target] },
      async (guest) => {
        await guest.sees(agentStarts, 300, 'the agent');
        await guest.sees(/The firmware was told to boot \/dev\/vda next \(entry [0-9A-F]{4}\)/, 240, 'entry');
        await guest.sees(/Done: one\.img\.zst is on \/dev\/vda/, 60, 'flashed');
        const from = guest.console.length;
        await guest.sees(/BTY-MARKER one/, 150, 'the flashed system');
        assert.doesNotMatch(guest.console.slice(from), /Start PXE/, 'the disk was booted at once');
        assert.equal((await scene.appliance.boots(mac)).length, 1);
        await guest.monitor('system_reset');
        await guest.sees(/Start PXE over IPv4/, 90, 'the network again');
        await guest.sees(/BTY-MARKER one/, 150, 'the flashed system again');
        await scene.reaches(mac, 'deployed');
      },
    );
    await scene.toldFlash(mac);
    const events = await scene.appliance.events(mac);
    const notices = events.find(({ kind }) => kind === 'machine.flashed')?.details?.notices;
    assert.match(String(notices), /told to boot \/dev\/vda next/);
  });
});
