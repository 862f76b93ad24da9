/** The helper as the app uses it: a root process asked by an unprivileged user, with loop devices as disks. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { JobWish } from '../../shared/helper/client.ts';
import { identify } from '../disk/identity.ts';
import { type LoopDisk, noLoops, run } from '../disk/testing.ts';
import { judgeRights, readStatuses } from '../helper/rights.ts';
import { withFaucet } from './faucet.ts';
import { allGone, listed, nobody, Peer, type PeerOptions, wish } from './helperpeer.ts';
import { isOld, isZero, lacks, MiB, makeImage, withOldDisk } from './look.ts';
import { descendantsOf, entry } from './program.ts';

const skip = noLoops || lacks('sgdisk', 'gdisk') || lacks('sfdisk', 'fdisk');
const diskSize = 16 * MiB;
const imageSize = 12 * MiB;
const execute = promisify(execFile);

let folder = '';
let image: Buffer = Buffer.alloc(0);
let path = '';
before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'bty-helper-'));
  await chmod(folder, 0o755);
  path = join(folder, 'image.img');
  image = await makeImage(path, imageSize);
  await chmod(path, 0o644);
});
after(async () => {
  if (folder) await rm(folder, { recursive: true });
});

const onDisk = (use: (disk: LoopDisk) => Promise<void>): Promise<void> =>
  withOldDisk({ size: diskSize }, use);
const contentOf = (disk: LoopDisk): Promise<Buffer> => readFile(disk.backing);

async function holdsImage(disk: LoopDisk): Promise<void> {
  assert.equal(Buffer.compare((await contentOf(disk)).subarray(0, imageSize), image), 0);
}

async function isUntouched(disk: LoopDisk): Promise<void> {
  assert.ok(isOld(await contentOf(disk)), 'nothing was written');
}

/** Runs a job to its end. */
async function ended(wanted: JobWish, options: PeerOptions = {}): Promise<Peer> {
  const peer = new Peer(wanted, options);
  await peer.ended;
  return peer;
}

test(
  "an image that the asking user may read is written, and every thread has that user's rights",
  { skip },
  () =>
    onDisk(async (disk) => {
      const environment = {
        PKEXEC_UID: `${nobody}`,
        PATH: '/usr/bin',
        NODE_OPTIONS: '',
        LD_SECRET: 'x',
        LANG: 'C.UTF-8',
      };
      await withFaucet(image, 6 * MiB, async ({ url, open, users }) => {
        const peer = new Peer(wish(url, [listed(disk.path)]), { environment });
        await peer.phase('writing');
        const statuses = await readStatuses(peer.pid);
        assert.ok(statuses.length > 6, 'worker threads and the pool are there');
        assert.equal(judgeRights(statuses, nobody), null);
        for (const status of statuses) {
          assert.match(status, /^CapBnd:\s+0+$/m);
          assert.match(status, /^Groups:\s+65534\s*$/m);
        }
        const variables = (await readFile(`/proc/${peer.pid}/environ`, 'latin1')).split('\0').filter(Boolean);
        const names = variables.map((each) => each.split('=')[0]);
        assert.deepEqual(names.filter((name) => name !== 'UV_THREADPOOL_SIZE').sort(), [
          'HOME',
          'LANG',
          'PATH',
        ]);
        open();
        assert.equal(await peer.ended, 0, peer.told());
        assert.equal(peer.outcome, 'done');
        assert.deepEqual([...users], [nobody], 'every request for the image was made by the asking user');
        await holdsImage(disk);
      });
    }),
);

test('an image that only root may read is refused before the disk is touched', { skip }, () =>
  onDisk(async (disk) => {
    const secret = join(folder, 'secret.img');
    await writeFile(secret, image, { mode: 0o600 });
    const peer = await ended(wish(secret, [listed(disk.path)]));
    assert.deepEqual([peer.outcome, peer.refusals], ['refused', ['IMAGE_UNREADABLE']], peer.told());
    await isUntouched(disk);
  }),
);

test('when root asks, the image is read with the rights to read it and no others', { skip }, () =>
  onDisk(async (disk) => {
    await withFaucet(image, 6 * MiB, async ({ url, open }) => {
      const peer = new Peer(wish(url, [listed(disk.path)]), { environment: { PATH: '/usr/bin' } });
      await peer.phase('writing');
      const statuses = await readStatuses(peer.pid);
      assert.equal(judgeRights(statuses, 0), null);
      for (const status of statuses) assert.match(status, /^CapBnd:\s+0{15}6$/m);
      open();
      assert.equal(await peer.ended, 0, peer.told());
      await holdsImage(disk);
    });
  }),
);

test('an app that is killed takes its helper along, and the disk looks blank', { skip }, () =>
  onDisk((disk) =>
    withFaucet(image, 6 * MiB, async ({ url }) => {
      const job = JSON.stringify(wish(url, [listed(disk.path)]));
      const program = `import { spawn } from 'node:child_process';
        import { Conversation } from ${JSON.stringify(join(import.meta.dirname, '../../shared/helper/client.ts'))};
        const conversation = new Conversation(${job});
        const helper = spawn(process.execPath, [${JSON.stringify(entry)}, 'helper'], { stdio: ['pipe', 'pipe', 'inherit'] });
        helper.stdout.on('data', (bytes) => {
          const { send, replies } = conversation.receive(bytes);
          if (send) helper.stdin.write(send);
          for (const { kind, event } of replies) console.log(event?.phase ?? kind);
        });`;
      const words = ['--input-type=module', '--eval', program];
      const environment = { PATH: '/usr/bin', PKEXEC_UID: `${nobody}` };
      const app = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'], env: environment });
      for await (const line of createInterface({ input: app.stdout })) if (line === 'writing') break;
      const family = await descendantsOf(app.pid ?? 0);
      assert.ok(family.length >= 2, 'both halves are there');
      app.kill('SIGKILL');
      await allGone(family);
      assert.ok(isZero((await contentOf(disk)).subarray(0, MiB)));
      closeSync(openSync(disk.path, constants.O_RDWR | constants.O_EXCL));
    }),
  ),
);

test('a user who may read an image by one of their groups may flash it', { skip }, () =>
  onDisk(async (disk) => {
    const shared = join(folder, 'group.img');
    await writeFile(shared, image);
    await chown(shared, 0, nobody);
    await chmod(shared, 0o640);
    const peer = await ended(wish(shared, [listed(disk.path)]));
    assert.equal(peer.outcome, 'done', peer.told());
  }),
);

test('the kernel refuses to read a partition table again for a user, whoever opened the disk', { skip }, () =>
  onDisk(async (disk) => {
    const descriptor = openSync(disk.path, constants.O_RDWR | constants.O_EXCL);
    const library = join(import.meta.dirname, '..', 'system', 'native.ts');
    const program = `import { rereadPartitionTable } from ${JSON.stringify(library)};
      await rereadPartitionTable(3).then(() => 'read', (error) => error.code).then(console.log);`;
    try {
      const answer = (uid: number) =>
        execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
          stdio: ['ignore', 'pipe', 'inherit', descriptor],
          uid,
          encoding: 'utf8',
        }).trim();
      assert.equal(answer(nobody), 'EACCES');
      assert.notEqual(answer(0), 'EACCES');
    } finally {
      closeSync(descriptor);
    }
  }),
);

test('the system reads the new partition table through the half that kept the right', { skip }, () =>
  withOldDisk({ size: diskSize, partscan: true }, async (disk) => {
    const peer = await ended(wish(path, [listed(disk.path)]));
    const finished = peer.replies.find(
      (each) => each.kind === 'event' && each.event.kind === 'target-finished',
    );
    assert.ok(finished?.kind === 'event' && finished.event.kind === 'target-finished');
    assert.deepEqual([finished.event.outcome, finished.event.partitionsRead], ['done', true], peer.told());
    await run('losetup', disk.path); // it is still there
    const again = openSync(disk.path, constants.O_RDWR | constants.O_EXCL);
    closeSync(again); // and nobody holds it any more
  }),
);

/** Words that run bty where the disk is mounted at `at`, which no process beside it sees. */
function mounting(disk: LoopDisk, at: string): readonly string[] {
  const script = 'mount "$1" "$2" && shift 2 && exec "$@"';
  const helper = [process.execPath, entry, 'helper'];
  const own = ['unshare', '--mount', '--propagation', 'private'];
  return [...own, 'sh', '-c', script, 'sh', disk.path, at, ...helper];
}

test('a mounted disk is refused, or unmounted first where the job says so', { skip }, () =>
  onDisk(async (disk) => {
    await run('mkfs.ext4', '-q', '-F', '-O', '^has_journal', '-E', 'lazy_itable_init=0', disk.path);
    const at = join(disk.folder, 'mounted here');
    await mkdir(at);
    const command = mounting(disk, at);
    const before = await contentOf(disk);
    const refused = await ended(wish(path, [listed(disk.path)]), { command });
    assert.deepEqual([refused.outcome, refused.refusals], ['refused', ['TARGET_MOUNTED']], refused.told());
    // Mounting alone writes a date and a count into the file system.
    assert.equal(Buffer.compare((await contentOf(disk)).subarray(8 * MiB), before.subarray(8 * MiB)), 0);

    const done = await ended(wish(path, [listed(disk.path)], { unmount: true }), { command });
    assert.equal(done.outcome, 'done', done.told());
    assert.ok(done.replies.some((each) => each.kind === 'step' && each.step === 'unmounting'));
    await holdsImage(disk);
  }),
);

test(
  'where udev runs, desktops are told not to mount the disk that was written, and no other',
  { skip },
  () =>
    onDisk(async (disk) => {
      const [at, to] = [join(disk.folder, 'run'), '/run'];
      await mkdir(join(at, 'udev'), { recursive: true });
      const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
      const own = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', at, to];
      const command = [...own, process.execPath, entry, 'helper'];
      const done = await ended(wish(path, [listed(disk.path)]), { command });
      assert.equal(done.outcome, 'done', done.told());
      const { diskseq } = await identify(disk.path);
      assert.deepEqual(await readdir(join(at, 'bty', 'written')), [String(diskseq)]);
    }),
);

test('the disk that holds the image is refused and stays mounted', { skip }, () =>
  onDisk(async (disk) => {
    await run('mkfs.ext4', '-q', '-F', disk.path);
    const at = join(disk.folder, 'holds');
    await mkdir(at);
    await run('mount', disk.path, at);
    try {
      await writeFile(join(at, 'small.img'), Buffer.alloc(MiB, 1));
      const peer = await ended(wish(join(at, 'small.img'), [listed(disk.path)], { unmount: true }));
      assert.deepEqual([peer.outcome, peer.refusals], ['refused', ['TARGET_HOLDS_SOURCE']], peer.told());
      assert.deepEqual(await readFile(join(at, 'small.img')), Buffer.alloc(MiB, 1));
    } finally {
      await run('umount', at);
    }
  }),
);

test('an image of a catalog is found by its name alone, and its digest is checked', { skip }, () =>
  onDisk(async (disk) => {
    const digest = createHash('sha256').update(image).digest('hex');
    const catalog = join(folder, 'catalog.toml');
    const entry = (sha256: string) =>
      `version = 1\n[[images]]\nname = "etc"\nsrc = "${path}"\nsha256 = "${sha256}"\n`;
    const from = { image: { kind: 'catalog', catalog, name: 'etc', sha256: null } } as const;
    await writeFile(catalog, entry('0'.repeat(64)));
    const wrong = await ended(wish(path, [listed(disk.path)], from));
    assert.match(wrong.told(), /DIGEST_MISMATCH/);
    assert.equal(wrong.outcome, 'failed');
    await writeFile(catalog, entry(digest));
    const right = await ended(wish(path, [listed(disk.path)], from));
    assert.equal(right.outcome, 'done', right.told());
    await holdsImage(disk);
  }),
);

test(
  'the disk that the system runs from is refused unless the job says that the person saw it',
  { skip },
  () =>
    onDisk(async (disk) => {
      // Nothing is left for the kernel to do by itself once it is mounted.
      await run('mkfs.ext4', '-q', '-F', '-O', '^has_journal', '-E', 'lazy_itable_init=0', disk.path);
      const before = await contentOf(disk);
      const command = mounting(disk, '/boot');
      const plain = await ended(wish(path, [listed(disk.path)], { unmount: true }), { command });
      assert.equal(plain.outcome, 'refused', plain.told());
      assert.ok(plain.refusals.includes('TARGET_IS_SYSTEM'), plain.told());
      const after = await contentOf(disk);
      // Mounting alone writes a date and a count into the file system.
      assert.equal(Buffer.compare(after.subarray(8 * MiB), before.subarray(8 * MiB)), 0);

      const meant = [listed(disk.path, { allowSystemDisk: true })];
      const allowed = await ended(wish(path, meant, { unmount: true }), { command });
      assert.equal(allowed.outcome, 'done', allowed.told());
      await holdsImage(disk);
    }),
);

test('a skipped verification ends in written, not verified', { skip }, () =>
  onDisk((disk) =>
    withFaucet(image, 6 * MiB, async ({ url, open }) => {
      const peer = new Peer(wish(url, [listed(disk.path)]));
      await peer.phase('writing');
      peer.say({ kind: 'skip-verification' });
      open();
      await peer.ended;
      const finished = peer.replies.find(
        (each) => each.kind === 'event' && each.event.kind === 'target-finished',
      );
      assert.ok(finished?.kind === 'event' && finished.event.kind === 'target-finished', peer.told());
      assert.deepEqual([finished.event.outcome, finished.event.verified], ['done', false]);
      assert.equal(peer.outcome, 'done');
      await holdsImage(disk);
    }),
  ),
);

test('a disk joins a running job; one that is not what was listed does not', { skip }, () =>
  onDisk((first) =>
    onDisk((second) =>
      onDisk((third) =>
        withFaucet(image, 6 * MiB, async ({ url, open }) => {
          const peer = new Peer(wish(url, [listed(first.path)], { mayAddTargets: true }));
          await peer.phase('writing');
          peer.say({ kind: 'add-target', target: listed(second.path, { size: diskSize + 512 }) });
          const refused = await peer.reply('refused', ({ target }) => target === second.path);
          assert.deepEqual([refused.scope, refused.failure.code], ['target', 'TARGET_CHANGED']);
          peer.say({ kind: 'add-target', target: listed(first.path) });
          await peer.reply('refused', ({ target }) => target === first.path);
          peer.say({ kind: 'add-target', target: listed(third.path) });
          await peer.reply(
            'event',
            ({ event }) => event.kind === 'target-added' && event.target === third.path,
          );
          open();
          assert.equal(await peer.ended, 0, peer.told());
          assert.equal(peer.outcome, 'done');
          await holdsImage(first);
          await isUntouched(second);
          await holdsImage(third);
        }),
      ),
    ),
  ),
);

test('a virtual disk is opened with the rights of the asking user, not of root', { skip }, async () => {
  const own = join(folder, 'own.disk');
  const foreign = join(folder, 'foreign.disk');
  for (const each of [own, foreign]) {
    await writeFile(each, '');
    await truncate(each, diskSize);
  }
  await chown(own, nobody, nobody);
  const refused = await ended(wish(path, [{ kind: 'virtual', path: foreign, size: diskSize }]));
  assert.deepEqual([refused.outcome, refused.refusals], ['refused', ['NEEDS_ROOT']], refused.told());
  assert.ok((await readFile(foreign)).every((byte) => byte === 0));
  const done = await ended(wish(path, [{ kind: 'virtual', path: own, size: diskSize }]));
  assert.equal(done.outcome, 'done', done.told());
  assert.equal(Buffer.compare((await readFile(own)).subarray(0, imageSize), image), 0);
});

test('without rights the helper serves virtual disks and says of others that it may not', { skip }, () =>
  onDisk(async (disk) => {
    const own = join(folder, 'unprivileged.disk');
    await writeFile(own, Buffer.alloc(diskSize));
    await chown(own, nobody, nobody);
    const command = [
      'setpriv',
      '--reuid',
      `${nobody}`,
      '--regid',
      `${nobody}`,
      '--clear-groups',
      process.execPath,
      entry,
      'helper',
    ];
    const options = { command, environment: { PATH: '/usr/bin:/bin' } };
    const done = await ended(wish(path, [{ kind: 'virtual', path: own, size: diskSize }]), options);
    assert.equal(done.outcome, 'done', done.told());
    const refused = await ended(wish(path, [listed(disk.path)]), options);
    assert.deepEqual([refused.outcome, refused.refusals], ['refused', ['NEEDS_ROOT']], refused.told());
    await isUntouched(disk);
  }),
);

test('an image that is larger than a disk is refused, and no disk of the job is touched', { skip }, () =>
  onDisk((fits) =>
    withOldDisk({ size: 8 * MiB }, async (small) => {
      const peer = await ended(wish(path, [listed(fits.path), listed(small.path)]));
      assert.deepEqual([peer.outcome, peer.refusals], ['refused', ['TARGET_TOO_SMALL']], peer.told());
      await isUntouched(fits);
      await isUntouched(small);
    }),
  ),
);

test('the parts of the helper cannot be had alone', { skip }, async () => {
  const parts = [['worker', '0', '1', '0'], ['worker', '0', '1', `${nobody}`], ['keeper'], ['other']];
  for (const words of parts) {
    const error = await execute(process.execPath, [entry, 'helper', ...words]).catch(
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Error && 'stdout' in error && 'code' in error, words.join(' '));
    assert.equal(error.stdout, '');
    assert.notEqual(error.code, 0);
  }
});

for (const moment of [
  'before the job',
  'while the image is awaited',
  'while writing',
  'while verifying',
] as const) {
  for (const way of ['cancel', 'leave', 'kill the worker', 'kill the keeper'] as const) {
    if (moment === 'before the job' && way === 'cancel') continue;
    test(`${way} ${moment}: the helper ends, the disk is free and honest`, { skip }, () =>
      onDisk((disk) =>
        withFaucet(image, moment === 'while the image is awaited' ? 0 : 6 * MiB, async ({ url, open }) => {
          const wanted = wish(moment === 'while verifying' ? path : url, [listed(disk.path)]);
          const peer = new Peer(moment === 'before the job' ? null : wanted);
          await peer.reply('hello');
          // Of what is verified quickly nobody may be left to be asked then.
          const early = await peer.family();
          if (moment === 'while the image is awaited')
            await peer.reply('step', ({ step }) => step === 'reading');
          else if (moment !== 'before the job')
            await peer.phase(moment === 'while writing' ? 'writing' : 'verifying');
          const family = [...early, ...(await peer.family())];
          const [keeper] = family;
          assert.ok(keeper, 'the keeper is a child of the worker');
          if (way === 'cancel') peer.sayInTime({ kind: 'cancel' });
          else if (way === 'leave') peer.leave();
          else killIfThere(way === 'kill the worker' ? peer.pid : keeper.pid);
          await peer.ended;
          open();
          await allGone(family);
          closeSync(openSync(disk.path, constants.O_RDWR | constants.O_EXCL));
          const content = await contentOf(disk);
          const isWhole = Buffer.compare(content.subarray(0, imageSize), image) === 0;
          if (moment === 'before the job' || moment === 'while the image is awaited') {
            await isUntouched(disk);
          } else if (peer.outcome === 'done' || (moment === 'while verifying' && isWhole)) {
            // Whoever is ended between the last write and the word about it has written all.
            assert.ok(isWhole);
          } else {
            assert.ok(isZero(content.subarray(0, MiB)), 'the disk looks blank');
          }
          if (way === 'kill the keeper' && moment !== 'while verifying') {
            assert.deepEqual([peer.outcome, peer.refusals], ['failed', ['HELPER_HALVED']], peer.told());
          }
          if (way === 'cancel' && moment !== 'while verifying') assert.equal(peer.outcome, 'cancelled');
        }),
      ),
    );
  }
}

/** One that ended a moment ago has nobody to tell. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'ESRCH', String(error));
  }
}
