/** The live stick in virtual PCs: `npm test` boots it once, `npm run test:media` in every way. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { noScene, Scene } from '../../../netboot/tests/pxe/scene.ts';
import { run } from '../iso.ts';
import {
  all,
  buildIn,
  builtOnce,
  checkVolume,
  cutOut,
  emptyDisk,
  flashedStick,
  imagesOf,
  inFolder,
  noStick,
  testImage,
} from './kit.ts';
import { diskDevice, PersonalMachine, stickDevice } from './machine.ts';

const MB = 1e6;
const skip = noStick();
/** Seconds for a stage on a machine that does other work, too. */
const patience = 900;

test(
  'boots from USB by BIOS, takes the stick once, and writes an image of it onto a disk',
  { skip, timeout: 3_600_000 },
  () =>
    inFolder(async (folder) => {
      const built = await builtOnce();
      const image = await testImage(folder, 'one.img');
      const [stick, disk] = [join(folder, 'stick'), await emptyDisk(join(folder, 'disk'), 32 * MB)];
      await flashedStick(built, stick, 300 * 1024 * 1024, [{ name: 'one.img.zst', content: image.packed }]);
      const before = await imagesOf(built.image);
      const machine = await PersonalMachine.start({
        folder,
        firmware: 'bios',
        devices: [...stickDevice(stick, 'usb'), ...diskDevice(disk, 'TARGET')],
      });
      try {
        await machine.sees(/BTY_IMAGES now has 0\.\d GB/, patience);
        await machine.sees(/one\.img\.zst/, patience);
        await machine.sees(/TARGET/, patience);
        await flashByKeys(machine);
      } finally {
        await machine.cutPower();
      }
      const written = await readFile(disk);
      assert.equal(
        Buffer.compare(written.subarray(0, image.raw.length), image.raw),
        0,
        'the disk holds the image',
      );
      const after = await imagesOf(stick);
      assert.equal(after.start, before.start);
      assert.ok(after.bytes > before.bytes + 150 * MB, `${after.bytes} bytes`);
      await cutOut(stick, join(folder, 'volume'));
      assert.match(await checkVolume(join(folder, 'volume')), /files 4/);
    }),
);

const whenAll = skip || (all ? false : 'npm run test:media boots the stick in every way');

test('two builds are the same, byte for byte', { skip: whenAll, timeout: 3_600_000 }, () =>
  inFolder(async (folder) => {
    const digests = new Set<string>();
    for (const name of ['one', 'two']) {
      await mkdir(join(folder, name));
      const { image, sha256 } = await buildIn(join(folder, name));
      digests.add(
        `${createHash('sha256')
          .update(await readFile(image))
          .digest('hex')} ${sha256}`,
      );
    }
    assert.equal(digests.size, 1);
  }),
);

for (const [firmware, as] of [
  ['bios', 'cd'],
  ['uefi', 'cd'],
  ['uefi', 'usb'],
] as const)
  test(`boots as ${as} by ${firmware} and shows its images`, { skip: whenAll, timeout: 3_600_000 }, () =>
    inFolder(async (folder) => {
      const built = await builtOnce();
      const stick = join(folder, 'stick');
      await flashedStick(built, stick, built.bytes, [{ name: 'mine.img', content: new Uint8Array(4096) }]);
      const before = await readFile(stick);
      const disk = await emptyDisk(join(folder, 'disk'), 32 * MB);
      const machine = await PersonalMachine.start({
        folder,
        firmware,
        devices: [...stickDevice(stick, as), ...diskDevice(disk, 'TARGET')],
      });
      try {
        await machine.shows(/mine\.img/, 2 * patience);
        await machine.shows(/TARGET/, 60);
      } finally {
        await machine.cutPower();
      }
      if (as === 'cd') assert.equal(Buffer.compare(await readFile(stick), before), 0, 'nothing was written');
    }),
  );

test(
  'boots with Secure Boot, takes the server from bty.txt and writes an image of its catalog',
  {
    skip: whenAll || noScene(),
    timeout: 5_400_000,
  },
  () =>
    inFolder(async (folder) => {
      const built = await builtOnce();
      const scene = await Scene.make({ dhcp: 'full' });
      try {
        const stick = join(folder, 'stick');
        const settings = Buffer.from(`# a person wrote this\r\nbty.server=${scene.appliance.url}\r\n`);
        await flashedStick(built, stick, 200 * 1024 * 1024, [{ name: 'bty.txt', content: settings }]);
        await writesFromCatalog(folder, stick, scene, 'secure');
      } finally {
        await scene.close();
      }
    }),
);

test(
  'a stick that was built for a server begins with its catalog and writes an image of it',
  { skip: whenAll || noScene(), timeout: 5_400_000 },
  () =>
    inFolder(async (folder) => {
      const scene = await Scene.make({ dhcp: 'full' });
      try {
        const command = [join(import.meta.dirname, '..', 'run.ts'), 'usb', '--fast', '--to', folder];
        const quiet = '--disable-warning=ExperimentalWarning';
        await run(process.execPath, [quiet, ...command, '--server', scene.appliance.url]);
        await writesFromCatalog(folder, join(folder, 'bty-usb-x86_64.img'), scene, 'bios');
      } finally {
        await scene.close();
      }
    }),
);

test(
  'grows once over three boots and keeps what a person put there',
  { skip: whenAll, timeout: 5_400_000 },
  () =>
    inFolder(async (folder) => {
      const built = await builtOnce();
      const stick = join(folder, 'stick');
      const mine = Buffer.alloc(3_000_000, "somebody's bytes ");
      await flashedStick(built, stick, 160 * 1024 * 1024, [{ name: 'mine.img', content: mine }]);
      const after: Buffer[] = [];
      for (const boot of [1, 2, 3]) {
        if (boot === 3) await truncate(stick, 400 * 1024 * 1024);
        const machine = await PersonalMachine.start({
          folder,
          firmware: 'bios',
          devices: stickDevice(stick, 'usb'),
        });
        try {
          if (boot === 1) await machine.sees(/BTY_IMAGES now has/, 2 * patience);
          await machine.shows(/mine\.img/, 2 * patience);
          if (boot > 1) assert.doesNotMatch(machine.console, /BTY_IMAGES now has/);
        } finally {
          await machine.cutPower();
        }
        after.push(await readFile(stick));
      }
      const [first, second, third] = after;
      assert.ok(first && second && third);
      assert.equal(Buffer.compare(second, first), 0, 'the second boot writes nothing');
      assert.equal(
        Buffer.compare(third.subarray(0, first.length), first),
        0,
        'nor the third, on a larger stick',
      );
      assert.ok(first.includes(mine));
      await truncate(stick, 160 * 1024 * 1024);
      await cutOut(stick, join(folder, 'volume'));
      assert.match(await checkVolume(join(folder, 'volume')), /files 4/);
    }),
);

/** Boots `stick` beside the scene's appliance, and writes the image that it begins with: that of the catalog. */
async function writesFromCatalog(
  folder: string,
  stick: string,
  scene: Scene,
  firmware: 'bios' | 'secure',
): Promise<void> {
  const disk = await emptyDisk(join(folder, 'disk'), scene.image.bytes);
  const { program, args } = scene.lab.command('', []);
  const machine = await PersonalMachine.start({
    folder,
    firmware,
    prefix: [program, ...args.filter((word) => word !== '')],
    devices: [
      ...stickDevice(stick, 'usb'),
      ...diskDevice(disk, 'TARGET'),
      ...['-netdev', 'tap,id=n0,ifname=t0,script=no,downscript=no'],
      ...['-device', 'virtio-net-pci,netdev=n0,mac=52:54:00:77:09:01,romfile='],
    ],
  });
  try {
    await machine.shows(/one\.img\.zst/, 2 * patience);
    await flashByKeys(machine);
  } finally {
    await machine.cutPower();
  }
  const [written, wanted] = [await readFile(disk), await readFile(scene.image.path)];
  assert.equal(Buffer.compare(written, wanted), 0, 'the disk holds the image of the catalog');
}

/** Picks the first image and the only disk that can be written, and waits for the end. */
async function flashByKeys(machine: PersonalMachine): Promise<void> {
  machine.type('\r');
  await machine.shows(/is picked\. Now pick the disk/, patience);
  // The list of a server may be there before that of the disks.
  await machine.shows(/> +\/dev\/\S+ .*TARGET/, patience);
  machine.type('\r');
  await machine.shows(/\[ Flash! \]/, patience);
  machine.type('\r');
  await machine.shows(/write now/, patience);
  // A review takes its key only after a moment, which is a long one on a busy host.
  for (let tries = 1; ; tries++) {
    machine.type('\r');
    try {
      await machine.shows(/DO NOT REMOVE THE DISK|Written and verified/, 10);
      break;
    } catch (error) {
      if (tries === 9) throw error;
    }
  }
  await machine.shows(/Written and verified/, patience);
}
