/** Permission through the real polkit: an own system bus, polkitd, pkexec, pkttyagent, and an unprivileged user. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import type { JobWish } from '../../shared/helper/client.ts';
import { helperAction, pkexecFailure } from '../../shared/helper/elevation.ts';
import { noLoops } from '../disk/testing.ts';
import { judgeRights, readStatuses } from '../helper/rights.ts';
import { withFaucet } from './faucet.ts';
import { allGone, listed, Peer, wish } from './helperpeer.ts';
import { isOld, lacks, MiB, withOldDisk } from './look.ts';
import { Agent, asker, denied, password, Stage, type User } from './polkitstage.ts';
import { descendantsOf } from './program.ts';

const skip =
  noLoops ||
  lacks('pkexec', 'pkexec') ||
  lacks('pkttyagent', 'polkitd') ||
  lacks('dbus-daemon', 'dbus') ||
  lacks('script', 'bsdutils') ||
  lacks('perl', 'perl-base');
const skipDismissal =
  skip ||
  (existsSync('/usr/lib/python3/dist-packages/dbus') && existsSync('/usr/lib/python3/dist-packages/gi')
    ? false
    : 'needs python3-dbus and python3-gi');
const content = Buffer.alloc(2 * MiB, 1);

/** The app: it waits until it is let, asks through pkexec, and stays until it is let go. */
const app = `echo $$ >&4; read go <&3; "$@" 3<&- 4>&-; echo $? >&4; read go <&3`;

class App {
  readonly peer: Peer;
  readonly #stage: Stage;
  readonly #user: User;
  readonly #lines: string[] = [];
  #news = Promise.withResolvers<void>();

  constructor(stage: Stage, user: User, wanted: JobWish) {
    this.#stage = stage;
    this.#user = user;
    const pkexec = ['env', 'LC_ALL=C', 'pkexec', '--disable-internal-agent', stage.program, 'helper'];
    const command = stage.as(user, 'sh', '-c', app, 'sh', ...pkexec);
    this.peer = new Peer(wanted, {
      command,
      controls: true,
      environment: { PATH: '/usr/bin:/bin', SECRET: 'x' },
    });
    const told = this.peer.child.stdio[4] as Readable;
    told.on('data', (bytes: Buffer) => {
      this.#lines.push(...bytes.toString().split('\n').filter(Boolean));
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    });
  }

  /** Number of the app's process on the stage. */
  async pid(): Promise<number> {
    return Number(await this.#line(0));
  }

  /** Lets it ask, or end after it has asked. */
  go(): void {
    (this.peer.child.stdio[3] as Writable).write('\n');
  }

  /** Exit status of pkexec, or of what it became. */
  async asked(): Promise<number> {
    return Number(await this.#line(1));
  }

  /** What the app makes of pkexec's end. */
  async failure(): Promise<string> {
    const code = await this.asked();
    assert.deepEqual(this.peer.replies, [], 'the helper said nothing');
    const words = ['pkcheck', '--action-id', helperAction, '--process', `${await this.pid()}`];
    const [program = '', ...rest] = this.#stage.as(this.#user, ...words);
    const { status } = spawnSync(program, rest, { stdio: 'ignore' });
    return pkexecFailure({ code, signal: null, stderr: this.peer.stderr }, status).code;
  }

  async #line(index: number): Promise<string> {
    for (;;) {
      const line = this.#lines[index];
      if (line !== undefined) return line;
      await this.#news.promise;
    }
  }
}

/** Runs `use` with a stage, a disk and an image. */
const onStage = (
  use: (stage: Stage, disk: { path: string; backing: string }, wanted: JobWish) => Promise<void>,
) =>
  withOldDisk({ size: 8 * MiB }, async (disk) => {
    await chmod(disk.folder, 0o755);
    const image = join(disk.folder, 'image.img');
    await writeFile(image, content);
    await chmod(image, 0o644);
    await Stage.run((stage) => use(stage, disk, wish(image, [listed(disk.path)])));
  });

test('with the right password the helper writes the disk as the user who asked', { skip }, () =>
  onStage(async (stage, disk, wanted) => {
    const asked = new App(stage, asker, wanted);
    const agent = new Agent(stage, asker, await asked.pid());
    await agent.ready();
    asked.go();
    await agent.asking();
    assert.match(agent.text, /bty needs permission to overwrite the disks that you chose with a disk image/);
    assert.match(agent.text, /AUTHENTICATING FOR org\.bty\.flash/);
    agent.type(`${password}\n`);
    const { uid } = await asked.peer.reply('accepted');
    assert.equal(uid, asker.uid);
    assert.equal(await asked.asked(), 0, asked.peer.told());
    assert.equal(asked.peer.outcome, 'done', asked.peer.told());
    const written = await readFile(disk.backing);
    assert.equal(Buffer.compare(written.subarray(0, content.length), content), 0);
    asked.go();
    await asked.peer.ended;
    agent.end();
  }),
);

test('a wrong password, a policy that says no, and nobody who could ask are three results', { skip }, () =>
  onStage(async (stage, disk, wanted) => {
    const wrong = new App(stage, asker, wanted);
    const agent = new Agent(stage, asker, await wrong.pid());
    await agent.ready();
    wrong.go();
    await agent.asking();
    agent.type('not the password\n');
    assert.equal(await wrong.failure(), 'ELEVATION_WRONG_PASSWORD', wrong.peer.told());
    agent.end();

    const forbidden = new App(stage, denied, wanted);
    const idle = new Agent(stage, denied, await forbidden.pid());
    await idle.ready();
    forbidden.go();
    assert.equal(await forbidden.failure(), 'ELEVATION_DENIED', forbidden.peer.told());
    idle.end();

    const alone = new App(stage, asker, wanted);
    alone.go();
    assert.equal(await alone.failure(), 'ELEVATION_NO_AGENT', alone.peer.told());
    for (const each of [wrong, forbidden, alone]) {
      each.go();
      await each.peer.ended;
    }
    assert.ok(isOld(await readFile(disk.backing)), 'nothing was written');
  }),
);

test('a question that is closed is told apart from a wrong password', { skip: skipDismissal }, () =>
  onStage(async (stage, disk, wanted) => {
    const asked = new App(stage, asker, wanted);
    const script = join(import.meta.dirname, 'dismiss.py');
    const [program = '', ...words] = stage.as(asker, '/usr/bin/python3', script, `${await asked.pid()}`);
    const closing = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(closing.stdout, 'data');
    asked.go();
    assert.equal(await asked.failure(), 'ELEVATION_DISMISSED', asked.peer.told());
    closing.kill();
    asked.go();
    await asked.peer.ended;
    assert.ok(isOld(await readFile(disk.backing)), 'nothing was written');
  }),
);

test('an app that ends its pkexec takes the question back, and no helper starts', { skip }, () =>
  onStage(async (stage, disk, wanted) => {
    const asked = new App(stage, asker, wanted);
    const agent = new Agent(stage, asker, await asked.pid());
    await agent.ready();
    asked.go();
    await agent.asking();
    const family = await descendantsOf(asked.peer.pid);
    // The app is the user's, and so must be the one who ends pkexec.
    const [program = '', ...words] = stage.as(asker, 'pkill', '--parent', `${await asked.pid()}`);
    assert.equal(spawnSync(program, words).status, 0);
    assert.equal(await asked.asked(), 128 + 15);
    agent.type(`${password}\n`);
    asked.go();
    await asked.peer.ended;
    await allGone(family);
    assert.deepEqual(asked.peer.replies, []);
    agent.end();
    assert.ok(isOld(await readFile(disk.backing)), 'nothing was written');
  }),
);

test('what pkexec started has no more rights than the user, and nothing of their environment', { skip }, () =>
  onStage((stage, _disk, wanted) =>
    // It waits for its image as long as it is looked at.
    withFaucet(content, 0, ({ url, open }) =>
      hasNoMoreRights(stage, { ...wanted, image: { kind: 'url', url, sha256: null } }, open),
    ),
  ),
);

async function hasNoMoreRights(stage: Stage, wanted: JobWish, open: () => void): Promise<void> {
  const asked = new App(stage, asker, wanted);
  const agent = new Agent(stage, asker, await asked.pid());
  await agent.ready();
  asked.go();
  await agent.asking();
  agent.type(`${password}\n`);
  await asked.peer.reply('hello');
  const family = await descendantsOf(asked.peer.pid);
  const parts = await Promise.all(
    family.map(async ({ pid }) => {
      const command = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0');
      return { pid, part: command[command.indexOf('helper') + 1] };
    }),
  );
  const worker = parts.find(({ part }) => part === 'worker');
  assert.ok(worker, JSON.stringify(parts));
  assert.equal(judgeRights(await readStatuses(worker.pid), asker.uid), null);
  assert.doesNotMatch(await readFile(`/proc/${worker.pid}/environ`, 'latin1'), /SECRET|PKEXEC/);
  open();
  await asked.asked();
  asked.go();
  await asked.peer.ended;
  agent.end();
}
