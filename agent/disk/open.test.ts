import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FailureCode } from '../../shared/failure.ts';
import { lockExclusively } from '../system/native.ts';
import type { DeviceTarget, TargetSpec } from './guard.ts';
import { identify, sameDisk } from './identity.ts';
import { openDisk } from './open.ts';
import { inspectTarget } from './target.ts';
import { deviceAt, inFolder, noLoops, pages, run, virtualAt, withDisk, withLoop } from './testing.ts';

const skip = noLoops;

async function refused(spec: TargetSpec, code: FailureCode, sentence?: RegExp): Promise<void> {
  await assert.rejects(openDisk(spec, { patience: 0 }), (error: Error & { code?: string }) => {
    assert.equal(error.code, code, error.message);
    if (sentence) assert.match(error.message, sentence);
    return true;
  });
  const report = await inspectTarget(spec);
  const open = ['TARGET_BUSY', 'TARGET_OPEN_FAILED'];
  if (!open.includes(code)) assert.equal(report.failures[0]?.code, code);
}

test('a loop device is refused unless it is allowed', { skip }, () =>
  withLoop({}, async ({ path, backing }) => {
    await refused(deviceAt(path, { allowLoop: false }), 'TARGET_IS_LOOP', new RegExp(backing));
  }),
);

test('a read-only disk is refused', { skip }, () =>
  withLoop({ readOnly: true }, async ({ path }) => refused(deviceAt(path), 'TARGET_READ_ONLY')),
);

test(
  'a disk smaller than the image is refused with both sizes, one of the same size is taken',
  { skip },
  () =>
    withLoop({ size: 1 << 20 }, async ({ path }) => {
      await refused(
        deviceAt(path, { imageBytes: (1 << 20) + 1 }),
        'TARGET_TOO_SMALL',
        /1048577 bytes.*1048576 bytes/,
      );
      await withDisk(deviceAt(path, { imageBytes: 1 << 20 }), async () => {});
    }),
);

test('an empty loop device has no medium', { skip }, async () => {
  await inFolder(async (folder) => {
    const backing = join(folder, 'empty');
    await writeFile(backing, '');
    const path = (await run('losetup', '--show', '--find', backing)).trim();
    try {
      await refused(deviceAt(path), 'TARGET_NO_MEDIUM');
    } finally {
      await run('losetup', '--detach', path);
    }
  });
});

test('a mounted disk is refused, in this mount namespace and in another one', { skip }, () =>
  withLoop({}, async ({ path, folder }) => {
    await run('mkfs.ext4', '-q', path);
    const place = join(folder, 'place with a blank');
    await mkdir(place);
    await run('mount', path, place);
    try {
      await refused(deviceAt(path), 'TARGET_MOUNTED', /mounted at .*place with a blank\./);
      assert.deepEqual((await inspectTarget(deviceAt(path))).mountpoints, [place]);
    } finally {
      await run('umount', place);
    }
    const script = 'mount "$0" "$1" && echo mounted && read line';
    const child = spawn('unshare', ['--mount', 'sh', '-c', script, path, place], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    try {
      await assert.rejects(openDisk(deviceAt(path), { patience: 0 }), {
        code: 'TARGET_MOUNTED',
        message: new RegExp(`place with a blank as sh \\(process ${child.pid}\\) sees it`),
      });
    } finally {
      child.stdin.end();
      await once(child, 'exit');
    }
    await withDisk(deviceAt(path), async () => {});
  }),
);

test('a disk with a mounted partition is refused, and so is the partition itself', { skip }, (t) =>
  withLoop({}, async ({ path, folder }) => {
    await run('sgdisk', '--new=1:2048:+8M', path);
    await run('partx', '--add', path);
    const partition = `${path}p1`;
    try {
      const node = await stat(partition).catch(() => null);
      if (!node) return t.skip('no device nodes for partitions here');
      await refused(deviceAt(partition), 'TARGET_IS_PARTITION', new RegExp(`partition of ${path},`));
      await run('mkfs.ext4', '-q', partition);
      await run('mount', partition, folder);
      try {
        await refused(deviceAt(path), 'TARGET_MOUNTED', new RegExp(folder));
      } finally {
        await run('umount', partition);
      }
      await withDisk(deviceAt(path), async (disk) => {
        const held = await open(partition, 'r');
        await held.close();
        assert.equal(disk.size, 16 << 20);
      });
    } finally {
      await run('partx', '--delete', path);
    }
  }),
);

test('swap space is refused', { skip }, (t) =>
  withLoop({}, async ({ path }) => {
    await run('mkswap', path);
    try {
      await run('swapon', path);
    } catch {
      return t.skip('swapon is not permitted here');
    }
    try {
      await refused(deviceAt(path), 'TARGET_SWAP', new RegExp(`${path} is swap space`));
    } finally {
      await run('swapoff', path);
    }
  }),
);

test('a disk under another loop device is refused as held', { skip }, () =>
  withLoop({}, async ({ path }) => {
    const upper = (await run('losetup', '--show', '--find', path)).trim();
    try {
      await refused(deviceAt(path), 'TARGET_HELD', /belongs to the loop device loop\d+\./);
    } finally {
      await run('losetup', '--detach', upper);
    }
  }),
);

test('a disk that another program opened exclusively or locked is busy, with its name', { skip }, () =>
  withLoop({}, async ({ path }) => {
    await withDisk(deviceAt(path), async () => {
      await refused(deviceAt(path), 'TARGET_BUSY', /opened exclusively by another program \(this program\)/);
    });
    const child = spawn('flock', ['--exclusive', path, 'sh', '-c', 'echo locked && read line'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await refused(deviceAt(path), 'TARGET_BUSY', new RegExp(`flock \\(process ${child.pid}\\)`));
    const waiting = openDisk(deviceAt(path), { patience: 60_000 });
    child.stdin.end();
    await (await waiting).close();
  }),
);

test('waiting for a busy disk ends with the signal', { skip }, () =>
  withLoop({}, async ({ path }) => {
    await withDisk(deviceAt(path), async () => {
      const reason = new Error('enough');
      const controller = new AbortController();
      const waiting = openDisk(deviceAt(path), { patience: 60_000, signal: controller.signal });
      setImmediate(() => controller.abort(reason));
      await assert.rejects(waiting, reason);
    });
  }),
);

test('an opened disk is locked against others that honour locks', { skip }, () =>
  withLoop({}, async ({ path }) => {
    await withDisk(deviceAt(path), async () => {
      const other = await open(path, 'r');
      await assert.rejects(lockExclusively(other.fd), { code: 'EAGAIN' });
      await other.close();
    });
  }),
);

test('another disk than the listed or the demanded one is refused', { skip }, () =>
  withLoop({}, async ({ path, folder }) => {
    const listed = await identify(path);
    assert.equal(listed.size, 16 << 20);
    assert.equal(listed.serial, null);
    assert.equal(typeof listed.diskseq, 'number');
    await withDisk(deviceAt(path, { expected: listed, demanded: { size: 16 << 20 } }), async () => {});
    await refused(
      deviceAt(path, { demanded: { size: 5 } }),
      'TARGET_UNEXPECTED',
      /its size is 16777216 bytes, expected 5 bytes/,
    );
    await refused(
      deviceAt(path, { demanded: { serial: 'AA11' } }),
      'TARGET_UNEXPECTED',
      /serial number is unknown/,
    );
    await refused(deviceAt(path, { expected: { serial: 'AA11' } }), 'TARGET_CHANGED');

    const name = join(folder, 'by-path');
    await symlink(path, name);
    await withDisk(deviceAt(name, { expected: listed }), async () => {});
    await rm(name);
    await withLoop({ size: 8 << 20 }, async (other) => {
      await symlink(other.path, name);
      await refused(
        deviceAt(name, { expected: listed }),
        'TARGET_CHANGED',
        /size is 8388608 bytes, it was 16777216 bytes/,
      );
      const { diskseq } = listed;
      await refused(deviceAt(name, { expected: { diskseq } }), 'TARGET_CHANGED', /disk sequence number/);
    });
  }),
);

test(
  'the disk that holds the image is refused, whether as a file system or as the image itself',
  { skip },
  () =>
    withLoop({}, async ({ path, backing, folder }) => {
      await refused(
        deviceAt(path, { source: { path: backing } }),
        'TARGET_HOLDS_SOURCE',
        /holds the image image\.img/,
      );
      await refused(deviceAt(path, { source: { path } }), 'TARGET_HOLDS_SOURCE');
      await run('mkfs.ext4', '-q', path);
      const place = join(folder, 'mounted');
      await mkdir(place);
      await run('mount', path, place);
      try {
        await writeFile(join(place, 'image.img'), 'image');
        const report = await inspectTarget(deviceAt(path, { source: { path: join(place, 'image.img') } }));
        assert.deepEqual(
          report.failures.map((failure) => failure.code),
          ['TARGET_MOUNTED', 'TARGET_HOLDS_SOURCE'],
        );
        // The file that the whole stack rests on is on neither.
        const other = await inspectTarget(deviceAt(path, { source: { path: folder } }));
        assert.deepEqual(
          other.failures.map((failure) => failure.code),
          ['TARGET_MOUNTED'],
        );
      } finally {
        await run('umount', place);
      }
    }),
);

test('a user who may not write the disk is told to use root, after what else is wrong', { skip }, () =>
  withLoop({}, async ({ path }) => {
    const asNobody = async (spec: DeviceTarget, code: FailureCode): Promise<void> => {
      process.seteuid?.(65534);
      try {
        await assert.rejects(openDisk(spec, { patience: 0 }), { code });
        assert.equal((await inspectTarget(spec)).size_bytes, 16 << 20);
      } finally {
        process.seteuid?.(0);
      }
    };
    await asNobody(deviceAt(path), 'NEEDS_ROOT');
    await asNobody(deviceAt(path, { imageBytes: 1e9 }), 'TARGET_TOO_SMALL');
    await asNobody(deviceAt(path, { allowLoop: false }), 'TARGET_IS_LOOP');
  }),
);

test('symbolic links are followed and shown as they were named', { skip }, () =>
  withLoop({}, async ({ path, folder }) => {
    const link = join(folder, 'by-id');
    await symlink(path, link);
    await withDisk(deviceAt(link), async (disk) => assert.equal(disk.path, link));
    assert.equal(sameDisk(await identify(link), await identify(path)), true);
  }),
);

test('a loop device and the file under it are the same disk, two files are not', { skip }, () =>
  withLoop({}, async ({ path, backing, folder }) => {
    const other = join(folder, 'other');
    await writeFile(other, 'x'.repeat(512));
    assert.equal(sameDisk(await identify(path), await identify(backing)), true);
    assert.equal(sameDisk(await identify(path), await identify(other)), false);
    await refused(virtualAt(backing), 'TARGET_HELD', /belongs to the loop device/);
  }),
);

test('the disk that the system runs from is refused before anything else', { skip }, async (t) => {
  const [source = ''] = (await run('findmnt', '--noheadings', '--output', 'SOURCE', '/')).trim().split('[');
  const number = await stat(source).catch(() => null);
  if (!number?.isBlockDevice()) return t.skip('the root file system is on no block device of its own');
  const parent = (await run('lsblk', '--noheadings', '--nodeps', '--output', 'PKNAME', source)).trim();
  if (parent.startsWith('dm-') || parent.startsWith('md'))
    return t.skip('the root file system is on a stack');
  await refused(
    deviceAt(parent ? `/dev/${parent}` : source),
    'TARGET_IS_SYSTEM',
    /the disk this system runs from \(\//,
  );
});

test('what is no block device, or is not there, is refused by name', async () => {
  await refused(deviceAt('/dev/null'), 'TARGET_NOT_BLOCK');
  await refused(deviceAt('/nowhere/sdx'), 'TARGET_NOT_FOUND');
  await inFolder(async (folder) => {
    await refused(deviceAt(folder), 'TARGET_NOT_BLOCK');
    await refused(virtualAt(folder), 'TARGET_NOT_FILE');
    await refused(virtualAt('/dev/null'), 'TARGET_NOT_FILE');
    await refused(virtualAt(join(folder, 'absent')), 'TARGET_FILE_MISSING');
    await writeFile(join(folder, 'file'), 'x'.repeat(512));
    await refused(deviceAt(join(folder, 'file')), 'TARGET_NOT_BLOCK');
    await refused(deviceAt(join(folder, 'file', 'below')), 'TARGET_NOT_FOUND');
    const report = await inspectTarget(deviceAt(join(folder, 'file')));
    assert.deepEqual([report.exists, report.is_block_device, report.size_bytes], [true, false, null]);
  });
});

test('a virtual disk must have whole blocks, room for the image, and another file than the image', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'virtual.img');
    await writeFile(path, 'x'.repeat(1000));
    await refused(virtualAt(path), 'TARGET_SIZE_INVALID', /holds 1000 bytes/);
    await truncate(path, 0);
    await refused(virtualAt(path), 'TARGET_SIZE_INVALID', /holds 0 bytes/);
    await truncate(path, 1024);
    await refused(virtualAt(path, { imageBytes: 1025 }), 'TARGET_TOO_SMALL');
    await refused(virtualAt(path, { demanded: { size: 2048 } }), 'TARGET_UNEXPECTED');
    await symlink(path, join(folder, 'link'));
    await refused(virtualAt(path, { source: { path: join(folder, 'link') } }), 'TARGET_HOLDS_SOURCE');
    await withDisk(virtualAt(path), async (disk) => {
      assert.equal(await disk.write(pages(1024, 1), 0), 1024);
      await refused(virtualAt(path), 'TARGET_BUSY');
    });
  }));
