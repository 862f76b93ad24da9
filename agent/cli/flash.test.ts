import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { inFolder } from '../disk/testing.ts';
import { diskFile } from '../flash/testing.ts';
import { imageListener, listen } from '../source/http-testing.ts';
import { imageBytes } from '../unpack/testing.ts';
import { bty, program, start } from './testing.ts';

const MiB = 1 << 20;
/** Fills standard output, then says "ready". */
const floods = `data:text/javascript,${encodeURIComponent(
  "process.on('newListener', (name) => name === 'SIGUSR2' && setImmediate(() => { process.stdout.write('x'.repeat(1 << 20)); process.stderr.write('ready'); }));",
)}`;
/** Says "ready" once the program listens for the signal. */
const readyMark = `data:text/javascript,${encodeURIComponent(
  "process.on('newListener', (name) => name === 'SIGUSR2' && setImmediate(() => process.stderr.write('ready')));",
)}`;

interface Setting {
  readonly folder: string;
  readonly image: string;
  readonly bytes: Buffer;
  readonly disk: string;
}

/** The words that flash `image` onto the file `disk`. */
const onto = (disk: string, image: string, ...more: readonly string[]): readonly string[] => [
  'flash',
  '--image',
  image,
  '--virtual-disk',
  disk,
  ...more,
];

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
    const { code, stdout } = await bty(onto(disk, image, '--dry-run', '--yes', '--json'));
    assert.equal(code, 0);
    const told = JSON.parse(stdout);
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
      const { code, stdout } = await bty(onto(small, image, '--target', '/dev/none', how));
      assert.equal(code, 1);
      assert.match(stdout, /Validation: FAILED/);
      assert.match(stdout, /needs 5242980 bytes/);
      assert.match(stdout, /There is no disk at \/dev\/none/);
    }
  });
});

test('an image whose head says that it is larger than the disk is refused before anything is written', async (context) => {
  await inFolder(async (folder) => {
    const small = await diskFile(folder, MiB, 0x5a, 'small');
    // So large that its end, where it is known that nothing follows, is not looked for over the network.
    const packed = zstdCompressSync(randomBytes(6 * MiB));
    const server = await listen(
      context,
      imageListener(() => ({ bytes: packed, etag: '"one"', ranges: true })),
    );
    const { code, stderr, stdout } = await bty(onto(small, `${server}/disk.img.zst`, '--yes'));
    assert.equal(code, 1);
    assert.match(stdout + stderr, /needs at least 6291456 bytes/);
    assert.ok((await readFile(small)).equals(Buffer.alloc(MiB, 0x5a)), 'nothing was written');
  });
});

test('--progress ndjson gives standard output to JSON lines alone, in the order of the lifecycle', async () => {
  await setting(async ({ image, disk, bytes }) => {
    const { code, stdout } = await bty(onto(disk, image, '--yes', '--progress', 'ndjson'));
    assert.equal(code, 0);
    const events = stdout
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
    const { code, stdout, stderr } = await bty(onto(disk, image, '--yes', '--json'));
    assert.equal(code, 0);
    const told = JSON.parse(stdout);
    assert.equal(told.ok, true);
    assert.equal(told.verified, true);
    assert.equal(told.sha256, createHash('sha256').update(bytes).digest('hex'));
    assert.match(stderr, /Done\. Wrote ~5242980 bytes/);
  });
});

test('--verify none is done, exits 0 and says that nothing was verified', async () => {
  await setting(async ({ image, disk }) => {
    const { code, stdout } = await bty(onto(disk, image, '--yes', '--verify', 'none', '--json'));
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout).verified, false);
  });
});

test('an image comes from standard input', async () => {
  await setting(async ({ disk, bytes }) => {
    const { code } = await bty(onto(disk, '-', '--yes', '--progress', 'none'), { input: bytes });
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
    assert.match(both.stdout, /2 of 2 flashed/);
    for (const path of [disk, other]) {
      assert.equal(Buffer.compare((await readFile(path)).subarray(0, bytes.length), bytes), 0);
    }
    const twice = await bty([...base, join(folder, '.', 'disk')]);
    assert.equal(twice.code, 1);
    assert.match(twice.stdout, /are the same disk/);
  });
});

test('a wrong digest exits 1, a wrong serial is refused before anything is written', async () => {
  await setting(async ({ image, disk }) => {
    const base = onto(disk, image, '--yes', '--progress', 'none');
    const size = await bty([...base, '--expect-size', '4096']);
    assert.equal(size.code, 1);
    assert.match(size.stdout, /expected 4096/);
    assert.ok((await readFile(disk)).every((byte) => byte === 0x5a));
    const digest = await bty([...base, '--sha256', 'ab'.repeat(32)]);
    assert.equal(digest.code, 1);
    assert.match(digest.stderr, /expected abab/);
  });
});

test('neither --dry-run nor --yes, no image and no target are misuse', async () => {
  await setting(async ({ image, disk }) => {
    const neither = await bty(onto(disk, image));
    assert.equal(neither.code, 2);
    assert.match(neither.stderr, /--dry-run.*--yes/);
    assert.equal((await bty(['flash', '--virtual-disk', disk, '--yes'])).code, 2);
    assert.equal((await bty(['flash', '--image', image, '--yes'])).code, 2);
    assert.equal((await bty(onto(disk, `${image}.none`, '--yes'))).code, 2);
  });
});

test('a disk that is its own standard input is refused and kept', async () => {
  await setting(async ({ disk }) => {
    const before = await readFile(disk);
    const args = onto(disk, '-', '--yes');
    const input = openSync(disk, 'r');
    const { code, stdout } = await bty(args, { stdin: input });
    closeSync(input);
    assert.equal(code, 1);
    assert.match(stdout, /holds the image/);
    assert.equal(Buffer.compare(await readFile(disk), before), 0);
  });
});

test('a cancel while the first bytes are awaited ends at once and says that nothing was written', async () => {
  await setting(async ({ disk }) => {
    const args = onto(disk, '-', '--yes');
    const { child, ended } = start(args, { input: 'open', preload: readyMark });
    child.stderr?.on('data', (text: string) => text.includes('ready') && child.kill('SIGINT'));
    const { code, stderr } = await ended;
    assert.equal(code, 130);
    assert.match(stderr, /before anything was written/);
  });
});

test('a refused plan is told as JSON where JSON was asked for', async () => {
  await setting(async ({ image, disk }) => {
    const base = onto(disk, image, '--yes', '--json', '--expect-size', '4096');
    const { code, stdout } = await bty(base);
    assert.equal(code, 1);
    assert.equal(JSON.parse(stdout).outcome, 'refused');
    assert.equal(JSON.parse(stdout).failures[0].code, 'TARGET_UNEXPECTED');
  });
});

test('a text saved under the name of an image is refused by what it says', async () => {
  await setting(async ({ folder, disk }) => {
    const image = join(folder, 'download.img');
    await writeFile(image, '404: Not Found\n');
    for (const given of [image, '-']) {
      const { code, stderr } = await bty(onto(disk, given, '--yes'), {
        input: await readFile(image),
      });
      assert.equal(code, 1);
      assert.match(stderr, /a text file that begins with "404: Not Found"/);
    }
    assert.ok((await readFile(disk)).every((byte) => byte === 0x5a));
  });
});

test('an image that ends before its own partitions is refused, and written with --allow-cut', async () => {
  await setting(async ({ image, bytes, disk }) => {
    const table = Buffer.alloc(512);
    // One partition of 8 MiB at 1 MiB, in an image of 5 MiB.
    table.set([0, 0, 0, 0, 0x83, 0, 0, 0], 446);
    table.writeUInt32LE(2048, 454);
    table.writeUInt32LE(16384, 458);
    table.set([0x55, 0xaa], 510);
    await writeFile(image, Buffer.concat([table, bytes.subarray(512, 5 * MiB)]));
    const args = onto(disk, image, '--yes', '--progress', 'none', '--json');
    const cut = await bty(args);
    assert.equal(cut.code, 1);
    assert.match(cut.stderr, /was cut short: it has .*5242880.*describes .*9437184/);
    assert.match(cut.stderr, /--allow-cut/);
    assert.ok((await readFile(disk)).every((byte) => byte === 0x5a));
    const kept = await bty([...args, '--allow-cut']);
    assert.equal(kept.code, 0);
    assert.match(kept.stderr, /partition table is doubtful/);
  });
});

test('what stands in the way before the plan is told as JSON too', async () => {
  await setting(async ({ folder, image, disk }) => {
    const base = ['flash', '--virtual-disk', disk, '--yes', '--json', '--image'];
    const missing = await bty([...base, `${image}.none`]);
    assert.equal(missing.code, 2);
    assert.equal(JSON.parse(missing.stdout).failures[0].code, 'IMAGE_NOT_FOUND');
    const map = await bty([...base, image, '--bmap', join(folder, 'none.bmap')]);
    assert.equal(map.code, 2);
    assert.equal(JSON.parse(map.stdout).failures[0].code, 'BMAP_NOT_FOUND');
    const line = await bty([...base, `${image}.none`, '--progress', 'ndjson']);
    assert.equal(JSON.parse(line.stdout).outcome, 'refused');
  });
});

test('a plan names standard input, an unknown size and a missing file as what they are', async () => {
  await setting(async ({ folder, bytes }) => {
    const none = join(folder, 'none');
    const { code, stdout } = await bty(onto(none, '-', '--dry-run'), {
      input: bytes,
    });
    assert.equal(code, 1);
    assert.match(stdout, /Image: +standard input\n/);
    assert.match(stdout, /Target size: +unknown\n/);
    assert.match(
      stdout,
      /There is no file at .*none that could be a virtual disk\. Create one with truncate/,
    );
  });
});

test('an empty standard input is called so', async () => {
  await setting(async ({ disk }) => {
    const { stderr } = await bty(onto(disk, '-', '--yes'), {
      input: new Uint8Array(1).subarray(1),
    });
    assert.match(stderr, /standard input is empty/);
  });
});

test('--dry-run sees that another program holds the disk', async () => {
  await setting(async ({ image, disk }) => {
    const holder = spawn('flock', [disk, 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      holder.stdin.write('locked');
      await once(holder.stdout, 'data');
      const { code, stdout } = await bty(onto(disk, image, '--dry-run'));
      assert.equal(code, 1);
      assert.match(stdout, /is opened exclusively by another program \(flock/);
    } finally {
      holder.stdin.end();
      await once(holder, 'close');
    }
    assert.equal((await bty(onto(disk, image, '--dry-run'))).code, 0);
  });
});

test('a name that is no text is told, not called missing', async () => {
  await setting(async ({ folder, disk }) => {
    const name = Buffer.concat([Buffer.from(folder), Buffer.from([0x2f, 0xff]), Buffer.from('.img')]);
    await writeFile(name, 'x');
    // Node.js cannot pass such a word itself.
    const script =
      'exec "$0" --disable-warning=ExperimentalWarning "$1" flash --image "$2"/*.img --virtual-disk "$3" --yes';
    const run = spawn('sh', ['-c', script, process.execPath, program, folder, disk]);
    const told: Buffer[] = [];
    run.stderr.on('data', (bytes: Buffer) => told.push(bytes));
    const [code] = await once(run, 'close');
    assert.equal(code, 2);
    assert.match(Buffer.concat(told).toString(), /not UTF-8/);
  });
});

test('one signal ends a flash whose standard output nobody reads', { timeout: 300_000 }, async () => {
  await setting(async ({ disk }) => {
    // A disk that takes no more bytes than a pipe holds would end the flash; so the image never ends.
    const { child, ended } = start(onto(disk, '-', '--yes', '--progress', 'ndjson'), {
      input: 'open',
      preload: floods,
    });
    child.stdout?.pause();
    await once(child.stderr ?? assert.fail(), 'data');
    child.kill('SIGINT');
    // Nobody reads before it is over.
    child.once('exit', () => child.stdout?.resume());
    const { code } = await ended;
    assert.equal(code, 130);
  });
});
