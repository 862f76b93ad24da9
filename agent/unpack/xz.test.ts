import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { type FailureCode, failure } from '../../shared/failure.ts';
import {
  CollectingWriter,
  damaged,
  digest,
  failsWith,
  imageBytes,
  missing,
  randomBytes,
  run,
  sampleSizes,
  unpackAll,
} from './testing.ts';
import type { Unpacker } from './unpacker.ts';
import { xzUnpacker } from './xz.ts';
import { xzChild } from './xzchild.ts';
import { findXz, lookUp } from './xztool.ts';

const noXz = missing('xz', 'xz-utils');
const noProc = noXz || (process.platform === 'linux' ? false : 'needs /proc');
const pack = (raw: Uint8Array, ...options: string[]): Buffer => run('xz', ['-c', '-1', ...options], raw);
const image = imageBytes(1_500_000);

interface Engine {
  readonly name: string;
  readonly make: () => Unpacker;
  /** What it says of a stream that only another engine reads. */
  readonly unsupported: FailureCode;
}
const engines: readonly Engine[] = [
  { name: 'xz(1)', make: () => xzUnpacker('a.xz'), unsupported: 'IMAGE_UNSUPPORTED' },
  {
    name: 'xz(1) through the pipes of spawn',
    make: () => xzChild(findXz() ?? '', 'a.xz', () => null),
    unsupported: 'IMAGE_UNSUPPORTED',
  },
  { name: 'the library', make: () => xzUnpacker('a.xz', { tool: null }), unsupported: 'TOOL_MISSING' },
];

/** Process numbers of the children of this process that run xz(1), zombies too. */
function children(): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const [, command, parent] = /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
      return command === 'xz' && Number(parent) === process.pid ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** `packed`, whose first block asks for a dictionary of the size coded as `code` (section 5.3.1). */
function withDictionary(packed: Buffer, code: number): Buffer {
  const copy = Buffer.from(packed);
  const start = 12;
  const end = start + (copy.readUInt8(start) + 1) * 4 - 4;
  copy[copy.indexOf(Buffer.from([0x21, 1]), start) + 2] = code;
  copy.writeUInt32LE(crc32(copy.subarray(start, end)), end);
  return copy;
}

for (const { name, make, unsupported } of engines) {
  const check = (text: string, body: () => Promise<void>) => test(`${name}: ${text}`, { skip: noXz }, body);

  check('every sample size is unpacked as it was', async () => {
    for (const size of sampleSizes) {
      const raw = imageBytes(size);
      assert.equal(digest(await unpackAll(make(), pack(raw))), digest(raw));
    }
  });

  check('input comes in pieces and output goes to slots of any size', async () => {
    const raw = imageBytes(70_000, 5);
    for (const [chunk, slotSize] of [
      [[1, 2, 3, 5, 7, 4096], 4096],
      [[1 << 20], 997],
      [[11, 1, 65_537], 1 << 16],
    ] as const) {
      assert.equal(digest(await unpackAll(make(), pack(raw), { chunk, slotSize })), digest(raw));
    }
  });

  check('blocks, streams, padding and every common check are read', async () => {
    const blocks = pack(image, '-T2', '--block-size=200KiB');
    const unsized = pack(image, '-T1', '--block-size=300KiB');
    const small = image.subarray(0, 5000);
    const streams = [
      blocks,
      Buffer.alloc(8),
      pack(small, '-C', 'crc32'),
      pack(Buffer.alloc(0)),
      Buffer.alloc(4),
    ];
    for (const [packed, raw] of [
      [blocks, image],
      [unsized, image],
      [Buffer.concat(streams), Buffer.concat([image, small])],
      [Buffer.concat([unsized, unsized]), Buffer.concat([image, image])],
      [pack(small, '-C', 'none'), small],
      [pack(image, '-9'), image],
    ] as const) {
      assert.equal(digest(await unpackAll(make(), packed)), digest(raw));
    }
  });

  check('a stream that is cut anywhere is truncated', async () => {
    const packed = pack(image, '-T2', '--block-size=500KiB');
    const two = Buffer.concat([pack(randomBytes(1000)), packed]);
    for (const end of [
      0,
      1,
      5,
      6,
      11,
      12,
      20,
      5000,
      packed.length / 2,
      packed.length - 20,
      packed.length - 1,
    ]) {
      await failsWith(unpackAll(make(), packed.subarray(0, end)), 'IMAGE_TRUNCATED');
    }
    await failsWith(unpackAll(make(), two.subarray(0, two.length - 40)), 'IMAGE_TRUNCATED');
  });

  check('the start of a cut image arrives before the failure', async () => {
    for (const threads of ['-T1', '-T2']) {
      const packed = pack(image, threads);
      const out = new CollectingWriter();
      const unpacker = make();
      const unpacking = async () => {
        await unpacker.push(packed.subarray(0, packed.length / 2), out);
        await unpacker.finish(out);
      };
      await failsWith(unpacking(), 'IMAGE_TRUNCATED');
      await unpacker.close();
      const found = out.bytes();
      assert.ok(found.length > 128 * 1024, `${found.length} bytes`);
      assert.ok(found.equals(image.subarray(0, found.length)));
    }
  });

  check('damage in any part of a stream is found', async () => {
    const packed = pack(randomBytes(300_000), '-T2', '--block-size=100KiB');
    const parts = [
      1,
      7,
      14,
      100,
      60_000,
      packed.length / 2,
      packed.length - 20,
      packed.length - 8,
      packed.length - 1,
    ];
    for (const at of parts) {
      await failsWith(unpackAll(make(), damaged(packed, Math.floor(at))), 'IMAGE_CORRUPT');
    }
  });

  check('what is no stream, before or after one, is damage', async () => {
    const packed = pack(image.subarray(0, 100_000));
    const garbage = Buffer.from('These are not the bytes of an xz stream, nor of its padding.');
    const cases = [garbage, randomBytes(300_000, 9), Buffer.alloc(4096)];
    for (const bytes of cases) await failsWith(unpackAll(make(), bytes), 'IMAGE_CORRUPT');
    for (const bytes of [garbage, Buffer.alloc(3)]) {
      await failsWith(unpackAll(make(), Buffer.concat([packed, bytes])), 'IMAGE_CORRUPT');
    }
    // Much follows the fault: the failure is still that of the stream, not of the pipe to it.
    const long = Buffer.concat([garbage, randomBytes(3_000_000)]);
    const failure = await failsWith(unpackAll(make(), long, { chunk: 1 << 20 }), 'IMAGE_CORRUPT');
    assert.doesNotMatch(failure.message, /EPIPE/);
  });

  check('a dictionary of 4 GiB is refused, not allocated', async () => {
    const packed = withDictionary(pack(image.subarray(0, 100_000)), 40);
    await failsWith(unpackAll(make(), packed), unsupported);
  });

  check('an unpacker that was closed in the middle leaves the next one a clean start', async () => {
    const packed = pack(image);
    const middle = make();
    await middle.push(packed.subarray(0, packed.length / 2), new CollectingWriter());
    await middle.close();
    await make().close();
    assert.equal(digest(await unpackAll(make(), packed)), digest(image));
  });

  check('what the slot writer throws stops it and comes back as it is', async () => {
    const packed = pack(imageBytes(4_000_000));
    for (const limit of [0, 1, 200_000]) {
      const unpacking = unpackAll(make(), packed, { limit, slotSize: 4096, chunk: [100_000] });
      await assert.rejects(unpacking, /^Error: wrote more than the test allows$/);
    }
    class Enough extends Error {}
    const out = {
      space: () => {
        throw new Enough();
      },
      advance: () => {},
    };
    const unpacker = make();
    const unpacking = async () => {
      await unpacker.push(packed, out);
      await unpacker.finish(out);
    };
    await assert.rejects(unpacking(), Enough);
    await unpacker.close();
  });

  check('no flipped bit yields other bytes, a crash or a hang', async () => {
    const raw = image.subarray(0, 3000);
    const packed = pack(raw, '--block-size=1000', '-T2');
    const flips = fc.asyncProperty(fc.nat(packed.length - 1), fc.nat(7), async (at, bit) => {
      const unpacking = unpackAll(make(), damaged(packed, at, bit), { limit: 1 << 20 });
      // Some bits make no difference, for example that of a second reset of the dictionary (section 5.3.1).
      const same = unpacking.then((found) => {
        if (found.equals(raw))
          throw failure('IMAGE_CORRUPT', { image: 'a.xz', format: 'xz', problem: 'none' });
      });
      await failsWith(same, 'IMAGE_CORRUPT', 'IMAGE_TRUNCATED', unsupported);
    });
    await fc.assert(flips, { numRuns: unsupported === 'TOOL_MISSING' ? 300 : 20 });
  });
}

test('filters and checks that only xz(1) knows need it, by name', { skip: noXz }, async () => {
  for (const options of [['--x86', '--lzma2=preset=1'], ['-C', 'sha256'], ['--lzma2=preset=0,dict=96MiB']]) {
    const packed = run('xz', ['-c', ...options], image);
    assert.equal(digest(await unpackAll(xzUnpacker('a.xz'), packed)), digest(image));
    const failure = await failsWith(unpackAll(xzUnpacker('a.xz', { tool: null }), packed), 'TOOL_MISSING');
    assert.match(failure.message, /^"xz" is needed to unpack a\.xz \(.+\), and it is not/);
  }
});

test('no child is left after a close in the middle, a failure, or the end', { skip: noProc }, async () => {
  const packed = pack(imageBytes(6_000_000), '-T2', '--block-size=1MiB');
  const unpacker = xzUnpacker('a.xz');
  const out = new CollectingWriter();
  await unpacker.push(packed.subarray(0, packed.length / 2), out);
  assert.equal(children().length, 1);
  await unpacker.close();
  assert.deepEqual(children(), []);
  const arrived = out.total;
  await failsWith(unpackAll(xzUnpacker('a.xz'), damaged(packed, 4)), 'IMAGE_CORRUPT');
  assert.deepEqual(children(), []);
  await unpackAll(xzUnpacker('a.xz'), packed);
  assert.deepEqual(children(), []);
  assert.equal(out.total, arrived);
});

test('no child is left when its worker thread is ended from outside', { skip: noProc }, async () => {
  const packed = pack(imageBytes(6_000_000));
  const program = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { xzUnpacker } = await import(workerData.module);
    const space = new Uint8Array(new SharedArrayBuffer(1 << 16));
    const out = {
      space() {
        if (filled > 1 << 20) {
          parentPort.postMessage('full');
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
        }
        return space;
      },
      advance(count) { filled += count; },
    };
    let filled = 0;
    await xzUnpacker('a.xz').push(workerData.packed, out);`;
  const module = new URL('./xz.ts', import.meta.url).href;
  const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const others = children();
  const worker = new Worker(url, { workerData: { packed, module } });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const child = children().find((each) => !others.includes(each));
  assert.ok(child);
  await worker.terminate();
  const deadline = Date.now() + 120_000;
  const state = () => {
    try {
      return /\) (\S)/.exec(readFileSync(`/proc/${child}/stat`, 'utf8'))?.[1];
    } catch {
      return 'gone';
    }
  };
  // Nobody waits for a child of a thread that was ended, so it stays a zombie while this process lives.
  while (!['gone', 'Z'].includes(state() ?? '')) {
    assert.ok(Date.now() < deadline, 'the child still runs');
    await wait(10);
  }
});

test('a tool that is missing, fails or is killed is told as that', { skip: noProc }, async () => {
  const packed = pack(imageBytes(3_000_000));
  const missingTool = xzUnpacker('a.xz', { tool: '/nonexistent/xz' });
  assert.match((await failsWith(unpackAll(missingTool, packed), 'TOOL_FAILED')).message, /ENOENT/);
  const failing = await failsWith(
    unpackAll(xzUnpacker('a.xz', { tool: '/bin/false' }), packed),
    'TOOL_FAILED',
  );
  assert.match(failing.message, /could not unpack a\.xz: it ended with status 1/);

  const others = children();
  const unpacker = xzUnpacker('a.xz');
  const out = new CollectingWriter();
  await unpacker.push(packed.subarray(0, 1000), out);
  const child = children().find((each) => !others.includes(each));
  assert.ok(child);
  process.kill(child, 'SIGKILL');
  const failure = await failsWith(Promise.resolve(unpacker.finish(out)), 'TOOL_FAILED');
  assert.match(failure.message, /it ended with SIGKILL/);
  await unpacker.close();
});

test('the tool is looked for in absolute folders, and busybox is passed over', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bty-xz-'));
  try {
    const place = async (name: string) => {
      await mkdir(join(folder, name));
      return join(folder, name);
    };
    const [plain, applet, real] = [await place('plain'), await place('applet'), await place('real')];
    await writeFile(join(plain, 'xz'), 'not executable', { mode: 0o644 });
    await writeFile(join(applet, 'busybox'), '#!/bin/false', { mode: 0o755 });
    await symlink('busybox', join(applet, 'xz'));
    await writeFile(join(real, 'xz'), '#!/bin/false', { mode: 0o755 });
    assert.equal(lookUp(`.:${plain}:${applet}::`), null);
    assert.equal(lookUp(`.:${plain}:${applet}:${real}`), join(real, 'xz'));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a short text behind a whole image is told as such, not called a cut', { skip: noXz }, async () => {
  const packed = pack(image);
  for (const text of ['x', 'hello\n']) {
    const stored = Buffer.concat([packed, Buffer.from(text)]);
    const found = await failsWith(unpackAll(xzUnpacker('a.xz'), stored), 'IMAGE_CORRUPT');
    assert.match(found.message, /other data follows its end/);
  }
  await failsWith(unpackAll(xzUnpacker('a.xz'), packed.subarray(0, -1)), 'IMAGE_TRUNCATED');
  const begun = Buffer.concat([packed, packed.subarray(0, 5)]);
  await failsWith(unpackAll(xzUnpacker('a.xz'), begun), 'IMAGE_TRUNCATED');
});
