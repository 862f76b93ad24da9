import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { failure } from '../failure.ts';
import { advance, idle } from '../flash/advance.ts';
import type { FlashEvent, TargetResult } from '../flash/event.ts';
import {
  type BatchState,
  isBusy,
  isUntouched,
  type JobState,
  lanesOf,
  newJob,
  shareOfBatch,
  worstOf,
} from './batch.ts';
import { commandFor, quoted } from './command.ts';
import { parseCall } from './contract.ts';
import { type AppDisk, disksIn, obstacle, preselected, sameDisk, serialTail } from './disk.ts';
import { type AppImage, imageIn, nameIn } from './image.ts';
import { reportOf } from './report.ts';
import { defaultSettings, historyIn, recentIn, remembered, settingsIn } from './settings.ts';

const disk = (over: Partial<AppDisk> = {}): AppDisk => ({
  id: `${over.path ?? '/dev/sdb'}|1`,
  kind: 'disk',
  path: '/dev/sdb',
  size: 32e9,
  name: 'SanDisk Ultra',
  serial: 'ABC123454F2A',
  diskseq: 7,
  transport: 'usb',
  removable: true,
  system: false,
  partitions: [],
  mounts: [],
  refusals: [],
  ...over,
});
const image: AppImage = {
  location: '/home/ann/my images/debian.img.zst',
  name: 'debian.img.zst',
  format: 'img.zst',
  storedBytes: 5e8,
  imageBytes: 2e9,
  atLeastBytes: null,
  entry: null,
  scheme: 'gpt',
  partitions: [],
  filesystem: null,
  sha256: null,
  notes: [],
  warnings: [],
  problem: null,
};
const about = {
  version: '1',
  electron: '2',
  platform: 'linux',
  locale: 'en',
  privileged: false,
  home: '/home/ann',
};

const wire = {
  schema_version: '1',
  command: 'list-disks',
  disks: [
    {
      path: '/dev/sdb',
      size: '29.8G',
      type: 'disk',
      vendor: '0x1af4',
      model: 'Ultra ',
      serial: 'S1',
      tran: 'usb',
      removable: true,
      readonly: false,
      mountpoints: [],
      size_bytes: 32e9,
      diskseq: 9,
      backing_file: null,
      system: true,
      partitions: [
        {
          path: '/dev/sdb1',
          size_bytes: 1e9,
          fstype: 'vfat',
          label: null,
          partlabel: 'EFI',
          mountpoints: ['/boot'],
        },
      ],
      refusals: [
        { code: 'TARGET_MOUNTED', message: 'm', advice: 'a', details: {} },
        { code: 'TARGET_SWAP', message: 's', advice: 'a', details: {} },
      ],
      added_later: 1,
    },
  ],
};

test('a list of disks is read whatever is added to it, and nothing else is', () => {
  const [found] = disksIn(wire) ?? [];
  assert.equal(found?.name, 'Ultra');
  assert.deepEqual(found?.mounts, ['/boot']);
  assert.equal(found?.partitions[0]?.label, 'EFI');
  assert.deepEqual(
    found?.refusals.map(({ code }) => code),
    ['TARGET_SWAP'],
    'the helper unmounts, and the window asks about system disks',
  );
  fc.assert(fc.property(fc.jsonValue(), (value) => disksIn(value) === null));
});

test('a file system without partitions around it is told as what is on the disk', () => {
  const [found] =
    disksIn({
      ...wire,
      disks: [
        { ...wire.disks[0], partitions: [], fstype: 'exfat', label: 'PHOTOS', mountpoints: ['/media/a'] },
      ],
    }) ?? [];
  assert.deepEqual(
    found?.partitions.map(({ path, label, fstype }) => [path, label, fstype]),
    [['/dev/sdb', 'PHOTOS', 'exfat']],
  );
  assert.deepEqual(found?.mounts, ['/media/a']);
});

test('a disk that was plugged in again is known by all that it says of itself, and never guessed', () => {
  const lost = disk();
  const moved = disk({ id: '/dev/sdc|9', path: '/dev/sdc', diskseq: 9 });
  assert.equal(sameDisk(lost, [disk({ path: '/dev/sdd', serial: 'X' }), moved]), moved);
  assert.equal(sameDisk(lost, [disk({ id: 'a', size: 64e9 }), disk({ id: 'b', name: 'Other' })]), null);
  const twin = disk({ id: '/dev/sdd|10', path: '/dev/sdd' });
  assert.equal(sameDisk(lost, [moved, twin]), null, 'cheap sticks share their serial numbers');
  const bare = disk({ serial: null });
  assert.equal(sameDisk(bare, [disk({ id: 'n', serial: null, path: '/dev/sdc' })]), null);
  const back = disk({ id: 'n', serial: null });
  assert.equal(sameDisk(bare, [back]), back);
});

test('only a disk that cannot be confused with another is chosen for the person', () => {
  const fixed = disk({ path: '/dev/nvme0n1', removable: false, transport: 'nvme' });
  assert.equal(preselected([fixed, disk()], 2e9)?.path, '/dev/sdb');
  assert.equal(preselected([disk(), disk({ path: '/dev/sdc' })], 2e9), null);
  assert.equal(preselected([disk({ size: 1e9 })], 2e9), null);
  assert.equal(preselected([disk({ system: true })], null), null);
  assert.equal(preselected([fixed], null), null);
  const locked = disk({ refusals: [{ code: 'TARGET_READ_ONLY', message: '', advice: '' }] });
  assert.equal(preselected([locked], null), null);
  assert.equal(obstacle(locked, 1e12)?.kind, 'refused', 'the gravest reason is told');
});

test('a serial number is shown by its end only', () => {
  assert.equal(serialTail('ABC-12345 4F2A'), '…4F2A');
  assert.equal(serialTail('42'), '42');
  assert.equal(serialTail(' -'), null);
  assert.equal(serialTail(null), null);
});

test('an image is named by what it is called, never by what is around it', () => {
  assert.equal(nameIn('https://user:pass@host/a%20b/debian%2013.img?token=1'), 'debian 13.img');
  assert.equal(nameIn('/a/b.img'), 'b.img');
  assert.equal(nameIn('C:\\a\\b.img'), 'b.img');
});

test('a report of an inspection becomes an image with its warnings', () => {
  const report = (filesystem: object | null, scheme: string, isohybrid: boolean) => ({
    schema_version: '1',
    command: 'inspect-image',
    image: {
      path: 'x.iso',
      format: 'img',
      size_bytes: 10,
      detail: {
        virtual_size_bytes: 10,
        notes: [],
        partition_table: { scheme, isohybrid, filesystem, problems: [], partitions: [] },
      },
    },
  });
  const choice = { location: '/x.iso' };
  const windows = { kind: 'udf', label: 'CCCOMA_X64FRE_EN-US_DV9' };
  assert.deepEqual(imageIn(choice, report(windows, 'none', false))?.warnings, ['windows']);
  assert.deepEqual(imageIn(choice, report({ kind: 'ext4', label: null }, 'none', false))?.warnings, [
    'no-table',
  ]);
  assert.deepEqual(imageIn(choice, report({ kind: 'iso9660', label: 'Debian' }, 'mbr', true))?.warnings, []);
  fc.assert(fc.property(fc.jsonValue(), (value) => imageIn(choice, value) === null));
});

const result = (over: Partial<TargetResult>): TargetResult => ({
  outcome: 'done',
  verified: true,
  account: { written: 2e9, zeroed: 0, skipped: 0 },
  partitionsRead: true,
  seconds: { writing: 10 },
  failure: null,
  ...over,
});
function finished(disks: readonly AppDisk[], results: readonly Partial<TargetResult>[]): JobState {
  const events: FlashEvent[] = [
    {
      kind: 'started',
      at: 0,
      image: 'i',
      format: 'img',
      storedBytes: 1,
      imageBytes: 2e9,
      targets: disks.map(({ path, size }) => ({ target: path, size })),
    },
    ...disks.map(
      ({ path }, index): FlashEvent => ({
        kind: 'target-finished',
        at: 1,
        target: path,
        ...result(results[index] ?? {}),
      }),
    ),
  ];
  return { ...newJob(1, disks), stage: 'finished', flash: events.reduce(advance, idle) };
}
const batchOf = (...jobs: readonly JobState[]): BatchState => ({
  id: 1,
  image,
  verify: 'full',
  allowCut: false,
  jobs,
});

test('the headline is the worst that happened to any disk', () => {
  const disks = [disk(), disk({ path: '/dev/sdc' })];
  const worst = (...results: readonly Partial<TargetResult>[]) =>
    worstOf(lanesOf(batchOf(finished(disks, results))), 'full');
  assert.equal(worst({}, {}), 'done');
  assert.equal(worst({}, { verified: false }), 'unverified');
  assert.equal(worst({ outcome: 'cancelled' }, { verified: false }), 'cancelled');
  assert.equal(worst({ outcome: 'cancelled' }, { outcome: 'failed' }), 'failed');
});

test('a job that ends without a word about its disk is a failure of that disk, unless it was cancelled', () => {
  const lost = failure('HELPER_ENDED', {}).report();
  const ended = (reason: typeof lost) =>
    lanesOf(batchOf({ ...newJob(1, [disk()]), stage: 'finished', failure: reason }));
  assert.equal(ended(lost)[0]?.outcome, 'failed');
  assert.equal(ended(failure('ELEVATION_DISMISSED', {}).report())[0]?.outcome, 'cancelled');
  assert.equal(ended(failure('ELEVATION_DENIED', {}).report())[0]?.outcome, 'failed');
});

test('what was cancelled before anything was done to a disk is told from what was cut short', () => {
  const closed = { ...newJob(1, [disk()]), stage: 'finished' as const };
  const untouched = (job: JobState) => lanesOf(batchOf(job)).map(isUntouched);
  assert.deepEqual(untouched({ ...closed, failure: failure('ELEVATION_DISMISSED', {}).report() }), [true]);
  assert.deepEqual(untouched({ ...closed, failure: failure('HELPER_ENDED', {}).report() }), [false]);
  assert.deepEqual(untouched(finished([disk()], [{ outcome: 'cancelled', seconds: {} }])), [true]);
  assert.deepEqual(untouched(finished([disk()], [{ outcome: 'cancelled', seconds: { clearing: 1 } }])), [
    false,
  ]);
});

test('a disk that is tried again shows its last try, and one that was refused does not hold up the others', () => {
  const first = finished([disk()], [{ outcome: 'failed' }]);
  const second = { ...finished([disk()], [{}]), id: 2 };
  const lanes = lanesOf(batchOf(first, second));
  assert.deepEqual(
    lanes.map(({ job, outcome }) => [job, outcome]),
    [[2, 'done']],
  );
  const reason = failure('TARGET_NOT_FOUND', { target: '/dev/sdb' }).report();
  const running: JobState = { ...newJob(3, [disk()]), stage: 'running', reasons: { '/dev/sdb': reason } };
  assert.equal(lanesOf(batchOf(running))[0]?.outcome, 'failed');
  assert.equal(isBusy(batchOf(running)), true);
});

test('the share that is done never goes back while a disk goes through its phases', () => {
  const job = { ...newJob(1, [disk()]), stage: 'running' as const };
  let flash = finished([disk()], []).flash;
  const shares: number[] = [];
  const feed = (event: FlashEvent) => {
    flash = advance(flash, event);
    shares.push(shareOfBatch(batchOf({ ...job, flash })) ?? -1);
  };
  const target = '/dev/sdb';
  flash = { ...flash, targets: flash.targets.map((old) => ({ ...old, phase: 'waiting', result: null })) };
  for (const phase of ['clearing', 'writing', 'flushing', 'verifying', 'settling'] as const) {
    feed({ kind: 'phase', at: 1, target, phase });
    if (phase === 'writing' || phase === 'verifying')
      for (const bytes of [1e9, 2e9]) feed({ kind: 'progress', at: 2, target, phase, bytes, total: 2e9 });
  }
  assert.deepEqual(
    shares,
    [...shares].sort((a, b) => a - b),
  );
  assert.ok(shares.every((share) => share >= 0 && share < 1));
});

test('the command for a terminal is quoted so that a shell reads it back', () => {
  assert.equal(
    commandFor(image, [disk()], { verify: 'none', allowCut: false }, false),
    "sudo bty flash --image '/home/ann/my images/debian.img.zst' --target /dev/sdb --expect-serial ABC123454F2A --verify none --yes",
  );
  assert.match(
    commandFor(image, [disk()], { verify: 'full', allowCut: true }, true),
    /^bty flash .*--allow-cut --yes$/,
  );
  assert.equal(quoted("it's"), "'it'\\''s'");
});

test('a report holds neither serial numbers nor names nor passwords', () => {
  const secret = 'https://ann:secret@example.org/x.img?token=hidden';
  const failed = finished(
    [disk()],
    [
      {
        outcome: 'failed',
        failure: failure('IMAGE_UNREADABLE', { image: secret, problem: 'ABC123454F2A' }).report(),
      },
    ],
  );
  const text = reportOf(batchOf(failed), about);
  for (const word of ['ABC123454F2A', '/home/ann', 'secret', 'hidden']) assert.ok(!text.includes(word), word);
  const stick = { ...batchOf(failed), image: { ...image, location: '/run/media/ann/STICK/a.img' } };
  assert.match(reportOf(stick, about), /\/run\/media\/~\/STICK/);
  assert.match(text, /~\/my images\/debian\.img\.zst/);
  assert.match(text, /serial …4F2A/);
  assert.match(text, /Failure: IMAGE_UNREADABLE/);
});

test('only messages of the contract are let in', () => {
  assert.notEqual(parseCall('hello', {}), null);
  assert.equal(parseCall('hello', { more: 1 }), null);
  assert.equal(parseCall('toString', {}), null);
  const request = { disks: ['/dev/sdb|1'], verify: 'full', allowSystem: false, allowCut: false };
  assert.notEqual(parseCall('flash.start', request), null);
  assert.equal(parseCall('flash.start', { ...request, disks: [] }), null);
  assert.equal(parseCall('flash.start', { ...request, command: 'rm' }), null);
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.constantFrom('flash.start', 'image.inspect')),
      fc.jsonValue(),
      (name, input) => {
        const call = parseCall(name, input);
        return call === null || call.operation === name;
      },
    ),
  );
});

test('what was stored by another version or by somebody else is as if it had never been', () => {
  assert.deepEqual(settingsIn({ verify: 'none', catalogs: 7, virtualDisk: -1, extra: 1 }), {
    ...defaultSettings,
    verify: 'none',
  });
  assert.deepEqual(historyIn([{ at: 'now' }]), []);
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      settingsIn(value);
      historyIn(value);
      return recentIn(value).every(({ name }) => typeof name === 'string');
    }),
  );
  const stated = { location: '/a', name: 'a', sha256: 'a'.repeat(64) };
  assert.deepEqual(recentIn([stated, { ...stated, sha256: 'short' }]), [stated]);
  const old = Array.from({ length: 12 }, (_, index) => ({ location: `/${index}`, name: `${index}` }));
  const recent = remembered(old, { location: '/5', name: '5' });
  assert.deepEqual([recent.length, recent[0]?.location], [12, '/5']);
});
