import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { inFolder, type LoopDisk, noLoops } from '../disk/testing.ts';
import { hasNoTable, isOld, isZero, lacks, looksBlank, MiB, makeImage, withOldDisk } from './look.ts';
import { alive, type Ended, flashArgs, Program, runProgram } from './program.ts';

const skip = noLoops || lacks('sgdisk', 'gdisk') || lacks('sfdisk', 'fdisk');
const diskSize = 16 * MiB;
const imageSize = 12 * MiB;

/** Numbers below `most`, the same in every run. */
function dice(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
}

/** When the program is killed: at a line, or after so many bytes of the image went into its pipe. */
type Moment =
  | { readonly kind: 'line'; readonly event: string }
  | { readonly kind: 'fed'; readonly bytes: number };

const moments: readonly ((roll: (most: number) => number) => Moment)[] = [
  () => ({ kind: 'line', event: 'started' }),
  () => ({ kind: 'line', event: 'clearing' }),
  () => ({ kind: 'line', event: 'writing' }),
  (roll) => ({ kind: 'fed', bytes: 4 * MiB + roll(imageSize - 5 * MiB) }),
  (roll) => ({ kind: 'fed', bytes: 4 * MiB + roll(imageSize - 5 * MiB) }),
  (roll) => ({ kind: 'fed', bytes: imageSize - 1 - roll(MiB) }),
  () => ({ kind: 'line', event: 'flushing' }),
  () => ({ kind: 'line', event: 'verifying' }),
  () => ({ kind: 'line', event: 'synced' }),
  () => ({ kind: 'line', event: 'done' }),
];

async function killed(moment: Moment, disk: LoopDisk, image: Buffer): Promise<Ended> {
  const program: Program = new Program(flashArgs('-', disk.path), {
    feed: true,
    onLine: ({ event }) => {
      if (moment.kind === 'line' && moment.event === event) program.kill('SIGKILL');
    },
  });
  if (moment.kind === 'line') {
    void program.feed(image);
    program.endOfInput();
  } else {
    await program.feed(image.subarray(0, moment.bytes));
    await program.line(({ event }) => event === 'writing');
    program.kill('SIGKILL');
  }
  const ended = await program.ended;
  assert.ok(ended.signal === 'SIGKILL' || ended.code === 0, ended.stderr);
  return ended;
}

/** Asserts that the disk is what its last line said, or looks blank, or was not touched. */
async function isHonest(ended: Ended, moment: Moment, disk: LoopDisk, image: Buffer): Promise<void> {
  const found = await readFile(disk.backing);
  const seen = new Set(ended.lines.map(({ event }) => event));
  const whole = Buffer.compare(found.subarray(0, imageSize), image) === 0;
  if (seen.has('done')) {
    assert.ok(whole, 'what is called done is on the disk');
  } else if (moment.kind === 'fed') {
    looksBlank(found);
    await hasNoTable(disk.path);
  } else if (seen.has('writing')) {
    // Between the write of the start and the line that tells of it, the image is whole.
    if (!whole) {
      assert.ok(isZero(found.subarray(0, MiB)), 'the disk cannot boot');
      await hasNoTable(disk.path);
    }
    assert.ok(isZero(found.subarray(-MiB)), 'no backup of the old table is left');
  } else if (!isZero(found.subarray(-MiB))) {
    assert.ok(isOld(found.subarray(10 * MiB, -MiB)), 'the disk was not written before it was cleared');
  }
}

test('a flash that is killed at any moment does not lie, and the next one succeeds', { skip }, () =>
  inFolder(async (folder) => {
    const roll = dice(20);
    const path = join(folder, 'image.img');
    const image = await makeImage(path, imageSize);
    for (const choose of moments) {
      const moment = choose(roll);
      await withOldDisk({ size: diskSize, table: true }, async (disk) => {
        try {
          const ended = await killed(moment, disk, image);
          await isHonest(ended, moment, disk, image);
          const next = await runProgram(flashArgs(path, disk.path));
          assert.equal(next.code, 0, next.stderr);
          const found = await readFile(disk.backing);
          assert.equal(Buffer.compare(found.subarray(0, imageSize), image), 0);
        } catch (error) {
          throw new Error(`killed at ${JSON.stringify(moment)}`, { cause: error });
        }
      });
    }
  }),
);

test(
  'the child that unpacks xz does not outlive a flash that is killed',
  {
    skip: skip || lacks('xz', 'xz-utils'),
  },
  () =>
    withOldDisk({ size: diskSize }, async (disk) => {
      const image = await makeImage(join(disk.folder, 'image.img'), 5 * MiB);
      const stored = execFileSync('xz', ['-0', '--stdout'], { input: image, maxBuffer: 1 << 26 });
      const program = new Program(flashArgs('-', disk.path), { feed: true });
      await program.feed(stored);
      await program.line(({ event }) => event === 'writing');
      const family = await program.descendants();
      assert.equal(family.length, 1);
      program.kill('SIGKILL');
      await program.ended;
      // It ends by itself when nobody feeds it or takes what it gives.
      const deadline = performance.now() + 120_000;
      while ((await alive(family)).length > 0 && performance.now() < deadline) await pause(20);
      assert.deepEqual(await alive(family), []);
    }),
);
