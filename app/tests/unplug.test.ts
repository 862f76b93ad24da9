import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Faucet, faucet } from './faucet.ts';
import { loopDisk, type ValveDisk, valveDisk } from './loop.ts';
import { helpersOf, until } from './processes.ts';
import { noise } from './sample.ts';
import { chooseAddress, diskRow, flash, inspected, lane, result, whyNoFaults, whyNoWindow } from './steps.ts';
import { openApp } from './window.ts';

const skip = whyNoWindow() || whyNoFaults();
const MiB = 1 << 20;

/** What holds a disk up so that it is found in a phase, and the words of the window for that phase. */
interface Phase {
  readonly words: string;
  /** What is held up then: the words are there before it. */
  readonly waits: 'writes' | 'flushes';
  readonly before?: (disk: ValveDisk) => Promise<void>;
  /** What is done when the disk is found in an earlier phase. */
  readonly at?: string;
  readonly during?: (disk: ValveDisk, source: Faucet) => Promise<void>;
}
const phases: readonly Phase[] = [
  { words: 'Clearing the start', waits: 'writes', before: (disk) => disk.wish('hold-writes') },
  {
    words: 'Flushing to the disk (can take minutes)',
    waits: 'flushes',
    // The start is flushed when it was cleared, too.
    at: 'Writing',
    during: async (disk, source) => {
      await disk.wish('hold-flushes');
      source.open();
    },
  },
  {
    words: 'Writing the start and checking it',
    waits: 'writes',
    before: (disk) => disk.wish('hold-reads'),
    at: 'Verifying',
    // The start is the last that is written, after all else was read back.
    during: async (disk) => {
      await disk.wish('hold-writes');
      await disk.unwish('hold-reads');
    },
  },
];

test('a disk that is unplugged is told as gone, whatever is being done to it', { skip }, async () => {
  await using source = await faucet(noise(8 * MiB, 4), 4 * MiB);
  // All are there from the start: a list that changes under a click would be another story.
  await using disks = new AsyncDisposableStack();
  const brief = disks.use(await loopDisk(12 * MiB));
  const lost: ValveDisk[] = [];
  for (const _phase of phases) lost.push(disks.use(await valveDisk(12 * MiB)));
  await using desk = await openApp({ settings: { allowLoops: true } });
  const { page, app } = desk;
  await chooseAddress(page, source.url);
  await inspected(page, 'slow.img');

  // While the person reads what will be done.
  await diskRow(page, brief.path).click();
  await page.getByText('Everything on it will be lost').waitFor();
  await brief.unplug();
  await page.getByText('Now choose the disk').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Flash', exact: true }).last().isDisabled(), true);

  for (const [index, { words, waits, before, at, during }] of phases.entries()) {
    const disk = lost[index];
    assert.ok(disk);
    await before?.(disk);
    await flash(page, disk.path);
    if (at !== undefined) {
      await lane(page, disk.path).getByText(at, { exact: true }).waitFor();
      await during?.(disk, source);
    }
    await lane(page, disk.path).getByText(words, { exact: true }).waitFor();
    await disk.waits(waits);
    await disk.unplug();
    await result(page, 'Not written');
    const told = (await lane(page, disk.path).textContent()) ?? '';
    assert.match(told, /disappeared/, `${words}: ${told}`);
    await page.getByText('plug it in again to try it anew').waitFor();
    const retry = page.getByRole('button', { name: 'Try the failed one again' });
    assert.equal(await retry.isDisabled(), true, 'what is not there cannot be tried again');
    await until(async () => (await helpersOf(app.process().pid ?? 0)).length === 0, 'the helper has ended');
    await page.getByRole('button', { name: 'Flash another' }).click();
  }
  assert.deepEqual(desk.complaints, []);
});
