/** The live stick in virtual PCs: `npm test` boots it once, `npm run test:media` in every way. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  buildIn,
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
const patience = 240;

test(
  'boots from USB by BIOS, takes the stick once, and writes an image of it onto a disk',
  { skip, timeout: 900_000 },
  () =>
    inFolder(async (folder) => {
      const built = await buildIn(folder);
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
        await machine.sees(/TARGET/, 60);
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

/** Picks the first image and the only disk that can be written, and waits for the end. */
async function flashByKeys(machine: PersonalMachine): Promise<void> {
  machine.type('\r');
  await machine.shows(/is picked\. Now pick the disk/, 60);
  machine.type('\r');
  await machine.shows(/\[ Flash! \]/, 60);
  machine.type('\r');
  await machine.shows(/write now/, 90);
  machine.type('\r');
  await machine.shows(/Written and verified/, patience);
}
