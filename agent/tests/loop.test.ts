import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type LoopDisk, noLoops, run } from '../disk/testing.ts';
import {
  hasNoTable,
  isOld,
  isZero,
  lacks,
  looksBlank,
  MiB,
  makeImage,
  type OldDiskOptions,
  withOldDisk,
} from './look.ts';
import { alive, type Ended, type EventLine, entry, flashArgs, Program, runProgram } from './program.ts';

const diskSize = 16 * MiB;
const imageSize = 12 * MiB;
/** What is fed before a disk is unplugged: whole slots of the engine, which are written without waiting for more. */
const fed = 8 * MiB;
const skip = noLoops || lacks('sgdisk', 'gdisk') || lacks('sfdisk', 'fdisk');
const nobody = 65534;

let folder = '';
let image: Buffer = Buffer.alloc(0);
let path = '';
before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'bty-image-'));
  await chmod(folder, 0o755);
  path = join(folder, 'image.img');
  image = await makeImage(path, imageSize);
});
after(async () => {
  if (folder) await rm(folder, { recursive: true });
});

/** Runs `use` with an old disk of 16 MiB. */
const onOldDisk = (options: Partial<OldDiskOptions>, use: (disk: LoopDisk) => Promise<void>): Promise<void> =>
  withOldDisk({ size: diskSize, ...options }, use);

const names = ({ lines }: Ended): string[] => [...new Set(lines.map(({ event }) => event))];
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Asserts that the flash ended well and that the image is on the disk. */
async function arrived(ended: Ended, disk: LoopDisk, wanted = image): Promise<void> {
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(ended.lines.filter(({ event }) => event === 'done').length, 1);
  assert.equal(ended.lines.at(-1)?.event, 'summary');
  assert.equal(ended.lines.at(-1)?.outcome, 'done');
  const found = await readFile(disk.backing);
  assert.equal(Buffer.compare(found.subarray(0, wanted.length), wanted), 0, 'the image is on the disk');
}

/** Asserts that a flash is refused and nothing is written. */
async function refused(args: readonly string[], disk: LoopDisk, sentence: RegExp, code = 1): Promise<void> {
  const before = await readFile(disk.backing);
  const ended = await runProgram(args);
  assert.match(ended.stderr, sentence);
  assert.equal(ended.code, code, ended.stderr);
  assert.ok(!names(ended).includes('writing') && !names(ended).includes('done'));
  assert.equal(Buffer.compare(await readFile(disk.backing), before), 0, 'nothing was written');
}

for (const blockSize of [512, 4096]) {
  test(
    `a disk with sectors of ${blockSize} bytes gets the image and keeps what lies behind it`,
    {
      skip,
    },
    () =>
      onOldDisk({ blockSize }, async (disk) => {
        const ended = await runProgram(flashArgs(path, disk.path));
        await arrived(ended, disk);
        const order = [
          'started',
          'clearing',
          'writing',
          'flushing',
          'verifying',
          'synced',
          'done',
          'summary',
        ];
        assert.deepEqual(
          names(ended).filter((name) => order.includes(name)),
          order,
        );
        const done = ended.lines.find(({ event }) => event === 'done');
        assert.equal(done?.verified, true);
        assert.equal(done?.bytes_written, imageSize);
        assert.equal(ended.lines.at(-1)?.sha256, sha256(image));
        const rest = (await readFile(disk.backing)).subarray(imageSize);
        assert.ok(isOld(rest.subarray(0, -MiB)), 'the rest is as it was');
        assert.ok(isZero(rest.subarray(-MiB)), 'the last MiB is zero');
      }),
  );

  test(`a packed image of odd length from a pipe arrives on sectors of ${blockSize} bytes`, { skip }, () =>
    onOldDisk({ blockSize }, async (disk) => {
      const odd = image.subarray(0, imageSize - MiB + 777);
      const program = new Program(flashArgs('-', disk.path), { feed: true });
      await program.feed(zstdCompressSync(odd));
      program.endOfInput();
      await arrived(await program.ended, disk, odd);
      assert.ok(isOld((await readFile(disk.backing)).subarray(odd.length, -MiB)), 'the rest is as it was');
    }),
  );
}

test('the old partitions are gone from the system after the flash', { skip }, () =>
  onOldDisk({ table: true, partscan: true }, async (disk) => {
    const partition = `/sys/class/block/${basename(disk.path)}p1`;
    // Not every kernel knows GPT; partx(8) reads it by itself.
    if (!existsSync(partition)) await run('partx', '--add', disk.path);
    assert.ok(existsSync(partition));
    const blank = join(disk.folder, 'blank.img');
    await writeFile(blank, Buffer.alloc(2 * MiB));
    const ended = await runProgram(flashArgs(blank, disk.path));
    await arrived(ended, disk, Buffer.alloc(2 * MiB));
    assert.ok(names(ended).includes('partprobed'));
    assert.ok(!existsSync(partition));
  }),
);

test('a loop device is refused without --allow-loop', { skip }, () =>
  onOldDisk({}, async (disk) => {
    const args = flashArgs(path, disk.path).filter((word) => word !== '--allow-loop');
    await refused(args, disk, /is a loop device over .*\/disk, not a real disk/);
  }),
);

test('a mounted disk is refused', { skip: skip || lacks('mkfs.ext4', 'e2fsprogs') }, () =>
  onOldDisk({}, async (disk) => {
    await run('mkfs.ext4', '-q', '-F', disk.path);
    const place = join(disk.folder, 'mounted');
    await mkdir(place);
    await run('mount', '-o', 'ro', disk.path, place);
    try {
      await refused(flashArgs(path, disk.path), disk, new RegExp(`is in use: mounted at ${place}`));
    } finally {
      await run('umount', place);
    }
  }),
);

test('a disk that another program holds exclusively is busy, exit code 5', { skip }, () =>
  onOldDisk({}, async (disk) => {
    const program = [
      'const { constants, openSync } = require("node:fs");',
      'openSync(process.argv[1], constants.O_RDWR | constants.O_EXCL);',
      'console.log("held"); process.stdin.resume();',
    ].join('\n');
    const holder = spawn(process.execPath, ['-e', program, disk.path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const gone = once(holder, 'exit');
    try {
      await once(createInterface({ input: holder.stdout }), 'line');
      await refused(flashArgs(path, disk.path), disk, new RegExp(`opened exclusively.*${holder.pid}`), 5);
    } finally {
      holder.stdin.end();
      await gone;
    }
  }),
);

test('a user without the right to write the disk needs root, exit code 3', { skip }, async (context) => {
  try {
    execFileSync(process.execPath, ['-e', 'require("node:fs").readFileSync(process.argv[1])', entry], {
      uid: nobody,
      gid: nobody,
      stdio: 'ignore',
    });
  } catch {
    context.skip('needs a checkout that every user may read');
    return;
  }
  await onOldDisk({}, async (disk) => {
    const before = await readFile(disk.backing);
    const ended = await runProgram(flashArgs(path, disk.path), { uid: nobody });
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(ended.stderr, new RegExp(disk.path));
    assert.deepEqual(ended.lines, []);
    assert.equal(Buffer.compare(await readFile(disk.backing), before), 0);
  });
});

test('an image that is larger than the disk is refused', { skip }, () =>
  onOldDisk({}, async (disk) => {
    const large = join(disk.folder, 'large.img');
    await writeFile(large, Buffer.alloc(diskSize + MiB, image));
    await refused(flashArgs(large, disk.path), disk, /needs 17825792 bytes.* holds 16777216 bytes/);
  }),
);

test('a packed image that turns out too large fails and leaves the disk blank', { skip }, () =>
  onOldDisk({ table: true }, async (disk) => {
    const program = new Program(flashArgs('-', disk.path), { feed: true });
    await program.feed(gzipSync(Buffer.alloc(diskSize + MiB, image)));
    program.endOfInput();
    const ended = await program.ended;
    assert.equal(ended.code, 1);
    assert.equal(ended.lines.find(({ event }) => event === 'failed')?.code, 'TARGET_TOO_SMALL');
    looksBlank(await readFile(disk.backing));
    await hasNoTable(disk.path);
  }),
);

test('a read-only disk is refused', { skip }, () =>
  onOldDisk({ readOnly: true }, async (disk) => {
    await refused(flashArgs(path, disk.path), disk, /is read-only/);
  }),
);

const wrote =
  (bytes: number) =>
  ({ event, bytes_written = 0 }: EventLine): boolean =>
    event === 'writing_progress' && bytes_written >= bytes;

const packXz = (bytes: Buffer): Buffer =>
  execFileSync('xz', ['-0', '--stdout'], { input: bytes, maxBuffer: 1 << 26 });

for (const [signal, form, pack, needs] of [
  ['SIGINT', 'raw', (bytes: Buffer) => bytes, false],
  ['SIGTERM', 'zst', (bytes: Buffer) => zstdCompressSync(bytes), false],
  // Unpacked by a child process.
  ['SIGHUP', 'xz', packXz, lacks('xz', 'xz-utils')],
] as const) {
  test(
    `${signal} in the middle of a ${form} image ends it, though more of the image may come, and leaves a blank disk`,
    { skip: skip || needs },
    () =>
      onOldDisk({ table: true }, async (disk) => {
        const program = new Program(flashArgs('-', disk.path), { feed: true });
        // The input does not end, so the flash does not either.
        await program.feed(pack(image.subarray(0, 5 * MiB)));
        await program.line(wrote(2 * MiB));
        const family = await program.descendants();
        assert.equal(family.length, form === 'xz' ? 1 : 0);
        program.kill(signal);
        const ended = await program.ended;
        assert.equal(ended.code, 130, ended.stderr);
        assert.equal(ended.lines.find(({ event }) => event === 'cancelled')?.code, 'CANCELLED');
        assert.equal(ended.lines.at(-1)?.outcome, 'cancelled');
        assert.ok(!names(ended).includes('done'));
        assert.deepEqual(await alive(family), []);
        const found = await readFile(disk.backing);
        looksBlank(found);
        assert.ok(!isOld(found.subarray(MiB, 2 * MiB)), 'it was in the middle of it');
        await hasNoTable(disk.path);
      }),
  );
}

/** Unplugs a loop device: its file becomes empty, and the device learns its new size (LOOP_SET_CAPACITY). */
async function unplug(disk: LoopDisk): Promise<void> {
  await truncate(disk.backing, 0);
  await run('losetup', '--set-capacity', disk.path);
}

test('a disk that is unplugged in the middle is DISK_VANISHED, not full', { skip }, () =>
  onOldDisk({}, async (disk) => {
    const program = new Program(flashArgs('-', disk.path), { feed: true });
    await program.feed(image.subarray(0, fed));
    await program.line(wrote(fed));
    await unplug(disk);
    await program.feed(image.subarray(fed));
    program.endOfInput();
    const ended = await program.ended;
    assert.equal(ended.code, 1, ended.stderr);
    const failed = ended.lines.filter(({ event }) => event === 'failed');
    assert.equal(failed.length, 1);
    assert.equal(failed[0]?.code, 'DISK_VANISHED');
    assert.ok(!names(ended).includes('done'));
  }),
);

test('of two disks the unplugged one fails alone', { skip }, () =>
  onOldDisk({}, (lost) =>
    onOldDisk({}, async (kept) => {
      const args = flashArgs('-', lost.path, '--target', kept.path);
      const program = new Program(args, { feed: true });
      await program.feed(image.subarray(0, fed));
      for (const { path } of [lost, kept])
        await program.line((line) => line.target === path && wrote(fed)(line));
      await unplug(lost);
      await program.feed(image.subarray(fed));
      program.endOfInput();
      const ended = await program.ended;
      assert.equal(ended.code, 1);
      assert.equal(ended.lines.find(({ event }) => event === 'failed')?.target, lost.path);
      assert.equal(ended.lines.find(({ event }) => event === 'done')?.target, kept.path);
      assert.equal(ended.lines.at(-1)?.note, '1 of 2 flashed, 1 failed');
      const found = await readFile(kept.backing);
      assert.equal(Buffer.compare(found.subarray(0, image.length), image), 0);
    }),
  ),
);
