import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FlashEvent } from '../../shared/flash/event.ts';
import { FaultyDisk } from '../disk/faulty.ts';
import { inFolder } from '../disk/testing.ts';
import { imageBytes } from '../unpack/testing.ts';
import { flash } from './flash.ts';
import type { FlashTarget } from './plan.ts';
import { prepareFlash } from './prepare.ts';
import { diskAt, diskFile, neverEnding, plain } from './testing.ts';

const MiB = 1 << 20;
const image = imageBytes(8 * MiB + 5, 3);
const sha256 = createHash('sha256').update(image).digest('hex');

/** Flashes `image`; `each` sees every event, and may add disks. */
async function flashing(
  folder: string,
  targets: readonly FlashTarget[],
  each: (event: FlashEvent, add: (target: FlashTarget) => boolean) => void,
): Promise<{ events: readonly FlashEvent[]; late: (target: FlashTarget) => boolean }> {
  const path = join(folder, 'image.img');
  await writeFile(path, image);
  const prepared = await prepareFlash({ ...plain, image: path }, neverEnding.signal);
  let add: (target: FlashTarget) => boolean = () => assert.fail('the flash has not started');
  const onStart = (given: typeof add) => {
    add = given;
  };
  const events: FlashEvent[] = [];
  for await (const event of flash(prepared.plan, targets, { ...neverEnding, onStart })) {
    events.push(event);
    each(event, add);
  }
  await prepared.close();
  return { events, late: add };
}

const end = (events: readonly FlashEvent[]) => events.find((event) => event.kind === 'finished');

test('a disk that joins a running flash gets the whole image and belongs to the result', () =>
  inFolder(async (folder) => {
    const [first, second] = await Promise.all(
      ['one', 'two'].map((name) => diskFile(folder, 16 * MiB, 0xa5, name)),
    );
    assert.ok(first && second);
    let added = false;
    const { events, late } = await flashing(folder, [diskAt(first, 16 * MiB)], (event, add) => {
      if (event.kind !== 'phase' || event.phase !== 'verifying' || event.target !== first) return;
      assert.equal(add(diskAt(first, 16 * MiB)), false, 'what is being written cannot join');
      added = add(diskAt(second, 16 * MiB));
    });
    assert.ok(added);
    for (const path of [first, second]) {
      const result = events.find((event) => event.kind === 'target-finished' && event.target === path);
      assert.ok(result?.kind === 'target-finished' && result.outcome === 'done' && result.verified);
      assert.equal(Buffer.compare((await readFile(path)).subarray(0, image.length), image), 0);
    }
    const joined = events.findIndex(({ kind }) => kind === 'target-added');
    assert.ok(joined > 0 && joined < events.length - 1);
    const last = events.at(-1);
    assert.ok(last?.kind === 'finished' && last.outcome === 'done');
    assert.equal(last.sha256, sha256);
    assert.equal(late(diskAt(first, 16 * MiB)), false, 'nothing joins a flash that is over');
  }));

test('a disk that failed may be tried again, and its last try counts', () =>
  inFolder(async (folder) => {
    const path = await diskFile(folder, 16 * MiB, 0xa5);
    const other = await diskFile(folder, 16 * MiB, 0xa5, 'other');
    const faulty = diskAt(
      path,
      16 * MiB,
      (disk) => new FaultyDisk(disk, [{ on: 'write', at: 4 * MiB, kind: 'error', code: 'EIO' }]),
    );
    let again = 0;
    const { events } = await flashing(folder, [faulty, diskAt(other, 16 * MiB)], (event, add) => {
      if (event.kind !== 'target-finished' || event.target !== path || event.outcome !== 'failed') return;
      again++;
      assert.ok(add(diskAt(path, 16 * MiB)));
    });
    assert.equal(again, 1);
    const outcomes = events.flatMap((event) =>
      event.kind === 'target-finished' && event.target === path ? [event.outcome] : [],
    );
    assert.deepEqual(outcomes, ['failed', 'done']);
    const last = end(events);
    assert.ok(last?.kind === 'finished' && last.outcome === 'done', 'the failed try is made good');
    assert.equal(Buffer.compare((await readFile(path)).subarray(0, image.length), image), 0);
  }));

test('a disk that joins is refused alone, and the flash of the others stands', () =>
  inFolder(async (folder) => {
    const path = await diskFile(folder, 16 * MiB);
    const { events } = await flashing(folder, [diskAt(path, 16 * MiB)], (event, add) => {
      if (event.kind === 'phase' && event.phase === 'writing' && event.target === path)
        assert.ok(add(diskAt(join(folder, 'nothing'), 16 * MiB)));
    });
    const results = events.flatMap((event) => (event.kind === 'target-finished' ? [event] : []));
    assert.deepEqual(results.map(({ outcome }) => outcome).sort(), ['done', 'failed']);
    const refused = results.find(({ outcome }) => outcome === 'failed');
    assert.equal(refused?.failure?.code, 'TARGET_FILE_MISSING');
  }));
