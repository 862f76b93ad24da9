import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Stick } from '../../agent/stick/find.ts';
import { imagesName, shippedDisk } from '../../agent/stick/identity.ts';
import { prepareStick } from '../../agent/stick/prepare.ts';
import { makeVolume } from '../../agent/stick/volume.ts';
import { makeTable, type NewPartition, partitionTypes, tailSectors } from './gpt.ts';

const MiB = 1 << 20;
const missing = ['fsck.exfat', 'sgdisk'].filter(
  (tool) => !existsSync(`/usr/sbin/${tool}`) && !existsSync(`/sbin/${tool}`),
);
const skip = missing.length > 0 && `needs ${missing.join(', ')}`;

const first = 2048;
const imagesFirst = 4096;
const shipped = 48 * MiB;
const flashed = 90 * MiB;

/** A stick as somebody flashed it onto a larger one; `more` partitions follow. */
async function makeStick(path: string, more: readonly NewPartition[] = []): Promise<void> {
  const sectors = shipped / 512;
  const images = { start: imagesFirst * 512, bytes: 40 * MiB };
  const table = makeTable(shippedDisk, sectors, [
    {
      type: partitionTypes.basicData,
      guid: 'A0000000-0000-4000-8000-000000000001',
      name: 'bty',
      first,
      last: imagesFirst - 1,
    },
    {
      type: partitionTypes.basicData,
      guid: 'A0000000-0000-4000-8000-000000000002',
      name: imagesName,
      first: imagesFirst,
      last: imagesFirst + images.bytes / 512 - 1,
    },
    ...more,
  ]);
  const file = await open(path, 'w+');
  await file.truncate(flashed);
  await file.write(table.head, 0, table.head.length, 0);
  await file.write(table.tail, 0, table.tail.length, (sectors - tailSectors) * 512);
  const content = new Uint8Array(Buffer.from('somebody put this here\n'));
  const volume = makeVolume({
    label: imagesName,
    files: [{ name: 'mine.txt', content }],
    bytes: images.bytes,
    partitionSector: imagesFirst,
    serial: 1,
    seconds: 1_577_836_800,
  });
  for (const { at, bytes } of volume) await file.write(bytes, 0, bytes.length, images.start + at);
  await file.close();
}

const stickAt = async (path: string, more: Partial<Stick> = {}): Promise<Stick> => {
  const guid = execFileSync('sgdisk', ['--print', path], { encoding: 'utf8' });
  const [, sectors] =
    /Partition size: (\d+) sectors/.exec(execFileSync('sgdisk', ['--info=2', path], { encoding: 'utf8' })) ??
    [];
  return {
    path,
    size: (await readFile(path)).length,
    readOnly: false,
    hasPartitions: true,
    guid: /GUID\): (\S+)/.exec(guid)?.[1] ?? null,
    images: {
      number: 2,
      start: imagesFirst * 512,
      size: Number(sectors) * 512,
      type: partitionTypes.basicData,
      typeName: '',
      name: imagesName,
      uuid: null,
      bootable: false,
      filesystem: null,
    },
    imagesAreLast: true,
    ...more,
  };
};

async function judged(path: string): Promise<string> {
  const table = execFileSync('sgdisk', ['--verify', path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const volume = `${path}.volume`;
  const { images } = await stickAt(path);
  const whole = await readFile(path);
  await writeFile(volume, whole.subarray(images?.start, (images?.start ?? 0) + (images?.size ?? 0)));
  const told = execFileSync('fsck.exfat', ['-n', volume], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await rm(volume);
  assert.match(told, /: clean\. directories 1, files 1/);
  assert.ok(whole.includes('somebody put this here\n'));
  return table;
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-stick-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test(
  'a stick is taken whole at its first boot and never changed again, though it lies on a larger one later',
  { skip },
  () =>
    inFolder(async (folder) => {
      const path = join(folder, 'stick');
      await makeStick(path);
      assert.deepEqual(await prepareStick(await stickAt(path)), {
        kind: 'grown',
        bytes: 70 * MiB,
      });
      assert.match(await judged(path), /No problems found/);
      const before = await readFile(path);
      assert.deepEqual(await prepareStick(await stickAt(path)), { kind: 'settled' });
      assert.equal(Buffer.compare(await readFile(path), before), 0);
      await truncate(path, 2 * flashed);
      assert.deepEqual(await prepareStick(await stickAt(path)), { kind: 'settled' });
      assert.equal(Buffer.compare((await readFile(path)).subarray(0, flashed), before), 0);
    }),
);

test('a power cut before any of its writes leaves all files, and the next boot goes on', { skip }, () =>
  inFolder(async (folder) => {
    const [path, fresh] = [join(folder, 'stick'), join(folder, 'fresh')];
    await makeStick(fresh);
    let count = 0;
    await copyFile(fresh, path);
    await prepareStick(await stickAt(path), () => {
      count++;
    });
    assert.ok(count >= 10, `${count} writes`);
    for (let cut = 0; cut < count; cut++) {
      await copyFile(fresh, path);
      let done = 0;
      const stops = prepareStick(await stickAt(path), () => {
        if (done++ === cut) throw new Error('the power is gone');
      });
      await assert.rejects(stops, /the power is gone/);
      const again = await prepareStick(await stickAt(path));
      assert.notEqual(again.kind, 'left', `cut before write ${cut}`);
      assert.match(await judged(path), /No problems found/);
    }
  }),
);

test('what a person changed is left alone, and said', { skip }, () =>
  inFolder(async (folder) => {
    const path = join(folder, 'stick');
    await makeStick(path);
    const whole = await stickAt(path);
    assert.match(JSON.stringify(await prepareStick({ ...whole, readOnly: true })), /read-only/);
    assert.match(
      JSON.stringify(await prepareStick({ ...whole, imagesAreLast: false })),
      /Another partition lies behind/,
    );
    await makeStick(path);
    const file = await open(path, 'r+');
    await file.write(Buffer.from('NTFS    '), 0, 8, imagesFirst * 512 + 3);
    await file.close();
    const before = await readFile(path);
    assert.match(
      JSON.stringify(await prepareStick(await stickAt(path))),
      /is not exFAT, so it was left as it is/,
    );
    // Only the GUID of the disk and the checksums over it are new.
    const after = await readFile(path);
    assert.equal(
      Buffer.compare(after.subarray(1024, shipped - 512), before.subarray(1024, shipped - 512)),
      0,
    );
    assert.notEqual((await stickAt(path)).guid, shippedDisk);
  }),
);
