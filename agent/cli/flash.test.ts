import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { inFolder } from '../disk/testing.ts';
import { diskFile } from '../flash/testing.ts';
import { imageBytes } from '../unpack/testing.ts';

const MiB = 1 << 20;
const main = join(import.meta.dirname, '..', 'main.ts');
/** Says "ready" once the program listens for the signal. */
const readyMark = `data:text/javascript,${encodeURIComponent(
  "process.on('newListener', (name) => name === 'SIGUSR2' && setImmediate(() => process.stderr.write('ready')));",
)}`;

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `bty` with `args`; `input` is its standard input. */
function bty(args: readonly string[], input: Uint8Array = new Uint8Array(0)): Promise<Ended> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args]);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => err.push(bytes));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }),
    );
  });
}

interface Setting {
  readonly folder: string;
  readonly image: string;
  readonly bytes: Buffer;
  readonly disk: string;
}

async function setting(use: (given: Setting) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const bytes = imageBytes(5 * MiB + 100);
    const image = join(folder, 'disk.img');
    await writeFile(image, bytes);
    await use({ folder, image, bytes, disk: await diskFile(folder, 16 * MiB, 0x5a) });
  });
}

test('--dry-run --json shows the plan under the keys of the contract and writes nothing', async () => {
  await setting(async ({ image, disk, bytes }) => {
    const { code, out } = await bty([
      'flash',
      '--image',
      image,
      '--virtual-disk',
      disk,
      '--dry-run',
      '--yes',
      '--json',
    ]);
    assert.equal(code, 0);
    const told = JSON.parse(out);
    assert.deepEqual(Object.keys(told), ['schema_version', 'command', 'dry_run', 'plan', 'errors', 'ok']);
    assert.equal(told.schema_version, '1');
    assert.deepEqual(told.plan.image, {
      path: image,
      url: null,
      format: 'img',
      size_bytes: bytes.length,
      virtual_size_bytes: bytes.length,
    });
    assert.deepEqual(told.plan.target, {
      path: disk,
      exists: true,
      is_block_device: false,
      size_bytes: 16 * MiB,
      mountpoints: [],
    });
    assert.ok((await readFile(disk)).every((byte) => byte === 0x5a));
  });
});

test('a plan that cannot work exits 1 and names every fault, also with --yes', async () => {
  await setting(async ({ image, folder }) => {
    const small = await diskFile(folder, MiB, 0x5a, 'small');
    for (const how of ['--dry-run', '--yes']) {
      const { code, out } = await bty([
        'flash',
        '--image',
        image,
        '--virtual-disk',
        small,
        '--target',
        '/dev/none',
        how,
      ]);
      assert.equal(code, 1);
      assert.match(out, /Validation: FAILED/);
      assert.match(out, /needs 5242980 bytes/);
      assert.match(out, /There is no disk at \/dev\/none/);
    }
  });
});

test('--progress ndjson gives standard output to JSON lines alone, in the order of the lifecycle', async () => {
  await setting(async ({ image, disk, bytes }) => {
    const { code, out } = await bty([
      'flash',
      '--image',
      image,
      '--virtual-disk',
      disk,
      '--yes',
      '--progress',
      'ndjson',
    ]);
    assert.equal(code, 0);
    const events = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const names = events.map(({ event }) => event).filter((name) => !name.endsWith('_progress'));
    assert.deepEqual(names, [
      'started',
      'clearing',
      'writing',
      'flushing',
      'verifying',
      'synced',
      'partprobed',
      'done',
      'summary',
    ]);
    assert.equal(events[0].total_bytes, bytes.length);
    assert.equal(events.find(({ event }) => event === 'writing').note, 'img');
    assert.equal(Buffer.compare((await readFile(disk)).subarray(0, bytes.length), bytes), 0);
  });
});

test('--json prints the result with the digest of the stored bytes', async () => {
  await setting(async ({ image, disk, bytes }) => {
    const { code, out, err } = await bty([
      'flash',
      '--image',
      image,
      '--virtual-disk',
      disk,
      '--yes',
      '--json',
    ]);
    assert.equal(code, 0);
    const told = JSON.parse(out);
    assert.equal(told.ok, true);
    assert.equal(told.verified, true);
    assert.equal(told.sha256, createHash('sha256').update(bytes).digest('hex'));
    assert.match(err, /Done\. Wrote ~5242980 bytes/);
  });
});

test('--verify none is done, exits 0 and says that nothing was verified', async () => {
  await setting(async ({ image, disk }) => {
    const { code, out } = await bty([
      'flash',
      '--image',
      image,
      '--virtual-disk',
      disk,
      '--yes',
      '--verify',
      'none',
      '--json',
    ]);
    assert.equal(code, 0);
    assert.equal(JSON.parse(out).verified, false);
  });
});

test('an image comes from standard input', async () => {
  await setting(async ({ disk, bytes }) => {
    const { code } = await bty(
      ['flash', '--image', '-', '--virtual-disk', disk, '--yes', '--progress', 'none'],
      bytes,
    );
    assert.equal(code, 0);
    assert.equal(Buffer.compare((await readFile(disk)).subarray(0, bytes.length), bytes), 0);
  });
});

test('several disks get the image, and the same disk twice is refused', async () => {
  await setting(async ({ image, folder, disk, bytes }) => {
    const other = await diskFile(folder, 16 * MiB, 0x5a, 'other');
    const base = [
      'flash',
      '--image',
      image,
      '--yes',
      '--progress',
      'none',
      '--virtual-disk',
      disk,
      '--virtual-disk',
    ];
    const both = await bty([...base, other]);
    assert.equal(both.code, 0);
    assert.match(both.out, /2 of 2 flashed/);
    for (const path of [disk, other]) {
      assert.equal(Buffer.compare((await readFile(path)).subarray(0, bytes.length), bytes), 0);
    }
    const twice = await bty([...base, join(folder, '.', 'disk')]);
    assert.equal(twice.code, 1);
    assert.match(twice.out, /are the same disk/);
  });
});

test('a wrong digest exits 1, a wrong serial is refused before anything is written', async () => {
  await setting(async ({ image, disk }) => {
    const base = ['flash', '--image', image, '--virtual-disk', disk, '--yes', '--progress', 'none'];
    const size = await bty([...base, '--expect-size', '4096']);
    assert.equal(size.code, 1);
    assert.match(size.out, /expected 4096/);
    assert.ok((await readFile(disk)).every((byte) => byte === 0x5a));
    const digest = await bty([...base, '--sha256', 'ab'.repeat(32)]);
    assert.equal(digest.code, 1);
    assert.match(digest.err, /expected abab/);
  });
});

test('neither --dry-run nor --yes, no image and no target are misuse', async () => {
  await setting(async ({ image, disk }) => {
    const neither = await bty(['flash', '--image', image, '--virtual-disk', disk]);
    assert.equal(neither.code, 2);
    assert.match(neither.err, /--dry-run.*--yes/);
    assert.equal((await bty(['flash', '--virtual-disk', disk, '--yes'])).code, 2);
    assert.equal((await bty(['flash', '--image', image, '--yes'])).code, 2);
    assert.equal((await bty(['flash', '--image', `${image}.none`, '--virtual-disk', disk, '--yes'])).code, 2);
  });
});

test('a disk that is its own standard input is refused and kept', async () => {
  await setting(async ({ disk }) => {
    const before = await readFile(disk);
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        main,
        'flash',
        '--image',
        '-',
        '--virtual-disk',
        disk,
        '--yes',
      ],
      { stdio: [openSync(disk, 'r'), 'pipe', 'ignore'] },
    );
    const out: Buffer[] = [];
    child.stdout?.on('data', (bytes: Buffer) => out.push(bytes));
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(code, 1);
    assert.match(Buffer.concat(out).toString(), /holds the image/);
    assert.equal(Buffer.compare(await readFile(disk), before), 0);
  });
});

test('a cancel while the first bytes are awaited ends at once and says that nothing was written', async () => {
  await setting(async ({ disk }) => {
    const args = ['flash', '--image', '-', '--virtual-disk', disk, '--yes'];
    const child = spawn(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      '--import',
      readyMark,
      main,
      ...args,
    ]);
    const err: Buffer[] = [];
    child.stderr.on('data', (bytes: Buffer) => {
      err.push(bytes);
      if (bytes.includes('ready')) child.kill('SIGINT');
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(code, 130);
    assert.match(Buffer.concat(err).toString(), /before anything was written/);
  });
});

test('a refused plan is told as JSON where JSON was asked for', async () => {
  await setting(async ({ image, disk }) => {
    const base = [
      'flash',
      '--image',
      image,
      '--virtual-disk',
      disk,
      '--yes',
      '--json',
      '--expect-size',
      '4096',
    ];
    const { code, out } = await bty(base);
    assert.equal(code, 1);
    assert.equal(JSON.parse(out).outcome, 'refused');
    assert.equal(JSON.parse(out).failures[0].code, 'TARGET_UNEXPECTED');
  });
});
