/** Whoever has the pipe of a root helper, and means harm: nothing is written, and the helper ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, read } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { HelperTarget } from '../../shared/helper/protocol.ts';
import { protocolVersion, requestBytes } from '../../shared/helper/protocol.ts';
import { noLoops, run } from '../disk/testing.ts';
import { makePipe } from '../system/native.ts';
import { withFaucet } from './faucet.ts';
import { allGone, jobFor, listed, nobody, Peer, wish } from './helperpeer.ts';
import { isOld, isZero, MiB, withOldDisk } from './look.ts';
import { descendantsOf, entry } from './program.ts';

const skip = noLoops;
const size = 8 * MiB;

let folder = '';
let image = '';
before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'bty-hostile-'));
  await chmod(folder, 0o755);
  image = join(folder, 'image.img');
  await writeFile(image, Buffer.alloc(2 * MiB, 1));
});
after(async () => {
  if (folder) await rm(folder, { recursive: true });
});

/** What is said to the helper, given its nonce and the disk; `refusal` is how it must answer. */
interface Attack {
  readonly name: string;
  readonly says: (nonce: string, disk: string) => readonly (string | Uint8Array)[];
  readonly refusal: string | null;
  /** Whether the pipe is closed afterwards, which alone would end the helper. */
  readonly leaves?: boolean;
}

/** As deep as a line can be. */
const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
const line = (value: unknown): string => `${JSON.stringify(value)}\n`;
/** The proper job but for `more`. */
const job = (nonce: string, disk: string, more: object = {}): string =>
  line({ ...jobFor(nonce, wish(image, [listed(disk)])), ...more });
const jobOn = (nonce: string, target: unknown): string =>
  line({ ...jobFor(nonce, wish(image, [])), targets: [target] });
const other = (disk: string, more: Partial<HelperTarget & { kind: 'disk' }>): HelperTarget =>
  listed(disk, more);

const attacks: readonly Attack[] = [
  {
    name: 'garbage',
    says: () => [Uint8Array.from({ length: 4096 }, (_, at) => (at * 7919) & 0xff)],
    refusal: 'HELPER_PROTOCOL',
  },
  { name: 'a line without an end', says: () => ['x'.repeat(requestBytes + 1)], refusal: 'HELPER_PROTOCOL' },
  {
    name: 'a job of 70 KB',
    says: (n, d) => [job(n, d, { bmap: `/${'b'.repeat(70_000)}` })],
    refusal: 'HELPER_PROTOCOL',
  },
  {
    name: 'a job of another version',
    says: (n, d) => [job(n, d, { version: protocolVersion + 1 })],
    refusal: 'HELPER_PROTOCOL',
  },
  {
    name: 'a job with a field too many',
    says: (n, d) => [job(n, d, { shell: 'sh' })],
    refusal: 'HELPER_PROTOCOL',
  },
  { name: 'a job that was recorded', says: (_n, d) => [job('0'.repeat(32), d)], refusal: 'HELPER_PROTOCOL' },
  { name: 'commands before the job', says: () => [line({ kind: 'cancel' })], refusal: 'HELPER_PROTOCOL' },
  { name: 'two jobs at once', says: (n, d) => [job(n, d) + job(n, d)], refusal: 'HELPER_PROTOCOL' },
  {
    name: 'a disk to a job that takes none',
    says: (n, d) => [job(n, d) + line({ kind: 'add-target', target: listed(d) })],
    refusal: 'HELPER_PROTOCOL',
  },
  {
    name: 'a system disk to be added',
    says: (n, d) => [
      job(n, d, { mayAddTargets: true }) +
        line({ kind: 'add-target', target: listed(d, { allowSystemDisk: true }) }),
    ],
    refusal: 'HELPER_PROTOCOL',
  },
  {
    name: 'a version that is nested without end',
    says: () => [`{"kind":"job","version":${deep}}\n`],
    refusal: 'HELPER_PROTOCOL',
  },
  {
    name: 'a command that is nested without end',
    says: (n, d) => [`${job(n, d)}{"kind":${deep}}\n`],
    refusal: 'HELPER_PROTOCOL',
  },
  { name: 'half a job', says: (n, d) => [job(n, d).slice(0, 100)], refusal: null, leaves: true },
  {
    name: 'a disk of another size',
    says: (n, d) => [jobOn(n, other(d, { size: size + 512 }))],
    refusal: 'TARGET_CHANGED',
  },
  {
    name: 'a disk of another serial number',
    says: (n, d) => [jobOn(n, other(d, { serial: '4F2A' }))],
    refusal: 'TARGET_CHANGED',
  },
  {
    name: 'a disk that was there before',
    says: (n, d) => [jobOn(n, other(d, { diskseq: 1 }))],
    refusal: 'TARGET_CHANGED',
  },
  {
    name: 'a disk without its sequence number',
    says: (n, d) => [jobOn(n, other(d, { diskseq: null }))],
    refusal: 'HELPER_PROTOCOL',
  },
  {
    name: 'a disk of another transport',
    says: (n, d) => [jobOn(n, other(d, { transport: 'usb' }))],
    refusal: 'TARGET_CHANGED',
  },
  {
    name: 'a loop device that is not meant',
    says: (n, d) => [jobOn(n, other(d, { allowLoop: false }))],
    refusal: 'TARGET_IS_LOOP',
  },
  {
    name: 'a file as a disk',
    says: (n) => [jobOn(n, { ...listedFile(image) })],
    refusal: 'TARGET_NOT_BLOCK',
  },
  {
    name: 'a character device as a disk',
    says: (n) => [jobOn(n, { ...listedFile('/dev/null') })],
    refusal: 'TARGET_NOT_BLOCK',
  },
  {
    name: 'one disk twice',
    says: (n, d) => [line({ ...jobFor(n, wish(image, [listed(d), listed(d)])) })],
    refusal: 'TARGET_TWICE',
  },
  {
    name: 'one disk by two names',
    says: (n, d) => [
      line(jobFor(n, wish(image, [listed(d), { ...listed(d), path: `/dev/../${d}` } as HelperTarget]))),
    ],
    refusal: 'TARGET_TWICE',
  },
];

function listedFile(path: string): HelperTarget {
  return {
    kind: 'disk',
    path,
    size: 2 * MiB,
    serial: null,
    diskseq: null,
    transport: null,
    allowLoop: true,
    allowSystemDisk: true,
  };
}

for (const { name, says, refusal, leaves } of attacks) {
  test(`${name}: nothing is written, and the helper ends`, { skip }, () =>
    withOldDisk({ size }, async (disk) => {
      const peer = new Peer(null);
      const { nonce } = await peer.reply('hello');
      const family = await peer.family();
      for (const text of says(nonce, disk.path)) peer.write(text);
      if (leaves) peer.leave();
      const code = await peer.ended;
      const codes = new Set(peer.refusals);
      assert.deepEqual([...codes], refusal === null ? [] : [refusal], peer.told());
      assert.equal(code, refusal === null ? 130 : 1, peer.told());
      assert.notEqual(peer.outcome, 'done');
      await allGone(family);
      assert.ok(isOld(await readFile(disk.backing)), 'nothing was written');
      assert.doesNotMatch(peer.stderr, /\bat .*:\d+:\d+|Unhandled|INTERNAL/, 'it does not fall over');
    }),
  );
}

test('nonsense in the middle of a flash cancels it', { skip }, () =>
  withOldDisk({ size }, (disk) =>
    withFaucet(Buffer.alloc(8 * MiB, 1), 6 * MiB, async ({ url }) => {
      const peer = new Peer(null);
      const { nonce } = await peer.reply('hello');
      peer.write(line(jobFor(nonce, wish(url, [listed(disk.path)]))));
      await peer.phase('writing');
      const family = await peer.family();
      peer.write('{"kind":"add-target","target":{"kind":"disk","path":"/dev/sda"}}\n');
      assert.equal(await peer.ended, 1);
      assert.deepEqual([peer.outcome, peer.refusals], ['failed', ['HELPER_PROTOCOL']], peer.told());
      await allGone(family);
      assert.ok(isZero((await readFile(disk.backing)).subarray(0, MiB)), 'the disk looks blank');
    }),
  ),
);

test('a flood of commands ends the job', { skip }, () =>
  withOldDisk({ size }, (disk) =>
    withFaucet(Buffer.alloc(6 * MiB, 1), 0, async ({ url }) => {
      const peer = new Peer(null);
      const { nonce } = await peer.reply('hello');
      peer.write(line(jobFor(nonce, wish(url, [listed(disk.path)]))));
      await peer.reply('accepted');
      peer.write(line({ kind: 'skip-verification' }).repeat(5000));
      assert.equal(await peer.ended, 1);
      assert.deepEqual([peer.outcome, peer.refusals], ['failed', ['HELPER_PROTOCOL']], peer.told());
      assert.ok(isOld(await readFile(disk.backing)), 'nothing was written');
    }),
  ),
);

test('an app that reads nothing does not keep the helper from ending', { skip }, () =>
  withOldDisk({ size }, async (disk) => {
    // A pipe of one page, while each of these disks comes back in a refusal of several kilobytes.
    const { read: out, write } = makePipe(4096);
    const environment = { PKEXEC_UID: `${nobody}`, PATH: '/usr/bin:/bin' };
    const child = spawn(process.execPath, [entry, 'helper'], {
      stdio: ['pipe', write, 'pipe'],
      env: environment,
    });
    closeSync(write);
    const greeting = await readOnce(out);
    const { nonce } = JSON.parse(greeting) as { nonce: string };
    const family = await descendantsOf(child.pid ?? 0);
    const target = { ...listed(disk.path), path: `/dev/${'x'.repeat(1500)}` } as HelperTarget;
    const ended = once(child, 'exit');
    child.stdin?.write(
      line(
        jobFor(
          nonce,
          wish(
            image,
            Array.from({ length: 32 }, () => target),
          ),
        ),
      ),
    );
    await ended;
    await allGone(family);
    closeSync(out);
    assert.ok(isOld(await readFile(disk.backing)), 'nothing was written');
  }),
);

function readOnce(descriptor: number): Promise<string> {
  const into = Buffer.alloc(4096);
  return new Promise((resolve, reject) => {
    read(descriptor, into, 0, into.length, null, (error, count) =>
      error ? reject(error) : resolve(into.toString('utf8', 0, count)),
    );
  });
}

test('a partition is refused as a disk', { skip }, () =>
  withOldDisk({ size: 16 * MiB, partscan: true, table: true }, async (disk) => {
    await run('partx', '--update', disk.path);
    const before = await readFile(disk.backing);
    const peer = new Peer(null);
    const { nonce } = await peer.reply('hello');
    peer.write(jobOn(nonce, { ...listed(disk.path), path: `${disk.path}p1` }));
    await peer.ended;
    assert.ok(peer.refusals.includes('TARGET_IS_PARTITION'), peer.told());
    assert.equal(Buffer.compare(await readFile(disk.backing), before), 0);
    await run('partx', '--delete', disk.path);
  }),
);
