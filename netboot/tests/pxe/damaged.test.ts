/** Live systems that did not arrive as they were built, or do not fit. Part of `npm run test:pxe` only. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { kernelOf } from './bare.ts';
import { Guest } from './guest.ts';
import { Lab } from './lab.ts';
import { builtLive } from './live.ts';
import { noScene } from './scene.ts';

const skip = noScene() || (process.env.BTY_PXE === 'all' ? false : 'npm run test:pxe runs it');
const timeout = 2_400_000;
/** What every alarm says at its end, and no healthy boot. */
const advice = /512 MB are needed\. The machine reboots in 60 seconds\./;

describe('a live system that is damaged', { skip }, () => {
  let lab: Lab;
  let kernel: string;
  let layers: ReadonlyMap<string, Buffer>;
  before(
    async () => {
      const live = await builtLive();
      lab = await Lab.create(1);
      kernel = await kernelOf(live, join(lab.folder, 'kernel'));
      layers = await layersOf(live);
    },
    { timeout },
  );
  after(() => lab?.close());

  /** Boots `initrd` and runs `use` with the machine, which is off when it would start over. */
  async function booted(
    name: string,
    initrd: readonly Uint8Array[],
    megabytes: number,
    use: (guest: Guest) => Promise<void>,
  ): Promise<void> {
    const path = join(lab.folder, `${name}.initrd`);
    await writeFile(path, Buffer.concat(initrd));
    const mac = '52:54:00:7a:00:01';
    const parameters = `quiet console=ttyS0 bty.server=http://${lab.address}:9 bty.mac=${mac}`;
    const guest = await Guest.start({
      ...{ lab, name, firmware: 'bios', mac, tap: 0, disks: [], megabytes, more: ['-no-reboot'] },
      kernel: { path: kernel, initrd: path, parameters },
    });
    try {
      await use(guest);
    } finally {
      await guest.cutPower();
      const stages = guest.stages.map((stage) => `${stage.name} ${stage.seconds.toFixed(1)}`);
      process.stderr.write(`${name}: seconds until ${stages.join(', ')}\n`);
    }
  }

  const part = (name: string): Buffer => {
    const found = layers.get(name);
    assert.ok(found, `the live system has the layer ${name}`);
    return found;
  };

  test('one whose tools did not arrive says so on the console, and why, and starts over', { timeout }, () =>
    booted('toolless', [part('base'), part('drivers'), part('agent')], 512, async (guest) => {
      await guest.sees(/bty: the live system cannot be started:/, 120, 'the alarm');
      await guest.sees(advice, 30, 'the advice');
      assert.match(guest.console, /system\.squashfs.*No such file or directory/);
      assert.match(guest.console, /It did not arrive whole, or it does not fit into the memory/);
      assert.match(guest.console, /It has 4\d\d MB; 512 MB are needed/);
      await guest.ended(120);
      assert.equal(guest.console.match(/cannot be started/g)?.length, 1, 'it is said once');
    }),
  );

  test('one that breaks off in its tools says so on the console', { timeout }, () =>
    booted('cut', [part('base'), part('system').subarray(0, 12 << 20)], 512, async (guest) => {
      await guest.sees(/bty: the live system cannot be started:/, 120, 'the alarm');
      await guest.sees(advice, 30, 'the advice');
    }),
  );

  test('one that does not fit into the memory says on the console how much there is', { timeout }, () =>
    booted('cramped', [...layers.values()], 144, async (guest) => {
      await guest.sees(/bty: the live system cannot be started:/, 120, 'the alarm');
      const [, memory] = await guest.sees(/It has (\d+) MB; 512 MB are needed/, 30, 'the memory');
      assert.ok(Number(memory) < 144, `${memory} MB`);
    }),
  );

  test('one of whose bytes another arrived says so on the console, and starts over', {
    timeout,
  }, () => {
    const system = Buffer.from(part('system'));
    const at = Math.floor(system.length * 0.75);
    system.writeUInt8(system.readUInt8(at) ^ 0x10, at);
    const initrd = [part('base'), system, part('drivers'), part('agent')];
    return booted('flipped', initrd, 512, async (guest) => {
      await guest.sees(/bty: the live system arrived damaged: \S+ has another SHA-256/, 240, 'the alarm');
      await guest.sees(/Nothing was written\. .* It reboots in 60 seconds\./, 30, 'the advice');
      await guest.ended(120);
      assert.equal(guest.console.match(/arrived damaged/g)?.length, 1, 'it is said once');
    });
  });
});

/** The archives of the initramfs in their order, by name, each with the zeros behind it. */
async function layersOf(live: string): Promise<ReadonlyMap<string, Buffer>> {
  const manifest = JSON.parse(await readFile(join(live, 'manifest.json'), 'utf8')) as {
    layers: { name: string; packed_bytes: number }[];
  };
  const initrd = await readFile(join(live, 'initrd'));
  const layers = new Map<string, Buffer>();
  let at = 0;
  for (const { name, packed_bytes } of manifest.layers) {
    const end = at + packed_bytes + (-packed_bytes & 511);
    layers.set(name, initrd.subarray(at, end));
    at = end;
  }
  return layers;
}
