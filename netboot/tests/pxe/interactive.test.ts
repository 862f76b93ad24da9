/** A person at the serial console of a netbooted machine picks image and disk. Part of `npm run test:pxe` only. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Guest } from './guest.ts';
import { agentStarts, noScene, Scene } from './scene.ts';

const skip = noScene() || (process.env.BTY_PXE === 'all' ? false : 'takes minutes: npm run test:pxe runs it');
const timeout = 2_400_000;
const redraw = '\u000c';

/** Presses the key again and again, and redraws the screen, until it shows what it leads to. */
async function pressed(guest: Guest, key: string, leadsTo: RegExp, most = 30): Promise<void> {
  for (let tries = 0; ; tries++) {
    guest.type(redraw);
    try {
      await guest.sees(leadsTo, 2);
      return;
    } catch (error) {
      if (tries === most) throw error;
    }
    if (tries % 3 === 0) guest.type(key);
  }
}

describe('an interactive plan', { skip }, () => {
  let scene: Scene;
  before(
    async () => {
      scene = await Scene.make({ dhcp: 'full' });
    },
    { timeout },
  );
  after(() => scene?.close());

  test('what a person picks at the serial console is written, told to the appliance, and booted', {
    timeout,
  }, async () => {
    const mac = '52:54:00:77:00:41';
    const target = scene.disk('picked');
    await scene.appliance.bind(mac, { boot_policy: 'tui', hostname: 'box-41' });
    await scene.withGuest(
      { name: 'picked', firmware: 'bios', mac, tap: 0, disks: [target] },
      async (guest) => {
        await guest.sees(agentStarts, 400, 'the agent');
        await guest.sees(/Waiting for a plan/, 300, 'inventory');
        await guest.sees(/1 Image from http/, 120, 'the screen');
        await guest.sees(/one\.img\.zst/, 60, 'the catalog');
        await pressed(guest, '\r', /Now pick the disk/);
        await pressed(guest, '\r', /\[ Flash! \]/);
        await pressed(guest, '\r', /\[ Write now \]/);
        const shown = guest.console;
        assert.match(shown, /box-41/);
        assert.match(shown, /\/dev\/vda .*PICKED/);
        // A review takes its key only after a moment, which is a long one on a busy host.
        await pressed(guest, '\r', /DO NOT REMOVE THE DISK/);
        await scene.appliance.until(mac, 'told of progress', 300, (machine) => {
          const state = machine.state as { disk: { serial: string | null } | null };
          return state.disk?.serial === 'PICKED';
        });
        await pressed(guest, '', /Written and verified/, 150);
        const told = await scene.appliance.until(
          mac,
          'flashed',
          60,
          (machine) => machine.last_flashed_at !== null,
        );
        assert.equal(told.boot_policy, 'tui');
        await scene.holdsImage(target);
        guest.type('\r');
        await guest.sees(/Rebooting\./, 60);
        await guest.sees(/BTY-MARKER one/, 200, 'the flashed system');
        await scene.reaches(mac, 'deployed');
        await scene.happened(mac, ['machine.inventoried', 'machine.flashed']);
      },
    );
  });
});
