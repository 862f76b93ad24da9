/** `bty agent` as the live system runs it, against an appliance over real HTTP and loop devices as its disks. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import type { Inventory, Plan, Progress, Status } from '../../../shared/contract/agent.ts';
import { inFolder, type LoopDisk, noLoops } from '../../disk/testing.ts';
import { isOld, isZero, lacks, looksBlank, MiB, makeImage, withOldDisk } from '../look.ts';
import { entry } from '../program.ts';
import { mac, TestAppliance, token } from './appliance.ts';

const skip = noLoops || lacks('sgdisk', 'gdisk') || lacks('sfdisk', 'fdisk');
const imageSize = 12 * MiB;
/** A size that no other disk of this machine has; tests that run beside this one use round ones. */
let nextSize = 16 * MiB + 4096 * (process.pid % 251);
const ownSize = (): number => {
  nextSize += 4096 * 257;
  return nextSize;
};

interface Setting {
  readonly disk: LoopDisk;
  readonly size: number;
  readonly image: Buffer;
  readonly appliance: TestAppliance;
  readonly start: (environment?: Readonly<Record<string, string>>) => Running;
}

class Running {
  readonly #child: ChildProcess;
  output = '';
  #news = Promise.withResolvers<void>();
  readonly ended: Promise<number | null>;

  constructor(args: readonly string[], environment: Readonly<Record<string, string>>) {
    this.#child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', entry, 'agent', ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...environment },
      },
    );
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        this.#news.resolve();
        this.#news = Promise.withResolvers();
      });
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 300_000);
    this.ended = once(this.#child, 'close').then(([code]) => {
      clearTimeout(timer);
      this.#news.resolve();
      return code as number | null;
    });
  }

  /** Resolves when it has printed what fits. */
  async shows(what: RegExp): Promise<void> {
    let over = false;
    void this.ended.then(() => {
      over = true;
    });
    while (!what.test(this.output)) {
      if (over) throw new Error(`the agent ended without ${what}:\n${this.output}`);
      await Promise.race([this.#news.promise, this.ended]);
    }
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

/** Runs `use` with an old disk of a size of its own, an image, and an appliance that has it. */
function setting(
  use: (setting: Setting, context: TestContext) => Promise<void>,
): (context: TestContext) => Promise<void> {
  return (context) =>
    inFolder(async (folder) => {
      const image = await makeImage(join(folder, 'image'), imageSize);
      const appliance = await TestAppliance.start(zstdCompressSync(image));
      const commandLine = join(folder, 'cmdline');
      const ticket = join(folder, 'ticket.json');
      await writeFile(commandLine, `quiet bty.server=${appliance.address} bty.mac=${mac}\n`);
      await writeFile(ticket, JSON.stringify({ token, ca_fingerprint: null }));
      const running: Running[] = [];
      const size = ownSize();
      try {
        await withOldDisk({ size }, async (disk) => {
          const args = ['--command-line', commandLine, '--ticket', ticket, '--allow-loop'];
          const start = (environment: Readonly<Record<string, string>> = {}) => {
            const agent = new Running(args, environment);
            running.push(agent);
            return agent;
          };
          try {
            await use({ disk, size, image, appliance, start }, context);
          } finally {
            await Promise.all(running.map((each) => each.kill()));
          }
        });
      } finally {
        await appliance.close();
      }
      assert.deepEqual(appliance.faults, []);
    });
}

const last = (appliance: TestAppliance): Status => appliance.of('status').at(-1)?.body as Status;

/** Asserts that the image is on the disk, its table fitted to it. */
async function arrived(disk: LoopDisk, image: Buffer): Promise<void> {
  const found = await readFile(disk.backing);
  // The protective record and the header of the table are written for the larger disk.
  const own = 2 * 512;
  const [here, there] = [found.subarray(own, image.length), image.subarray(own)];
  assert.equal(Buffer.compare(here, there), 0, 'the image is on the disk');
  const verdict = execFileSync('sgdisk', ['--verify', disk.backing], { encoding: 'utf8' });
  assert.match(verdict, /No problems found/);
}

test(
  'a flash is planned, done, told and followed by what the plan says',
  { skip },
  setting(async ({ disk, size, image, appliance, start }) => {
    appliance.plans = [appliance.flashPlan(size, { after: 'poweroff' })];
    const agent = start();
    assert.equal(await agent.ended, 0, agent.output);
    await arrived(disk, image);
    const status = last(appliance);
    assert.ok(status.status === 'done');
    assert.equal(status.plan, 'plan-1');
    assert.equal(status.verified, true);
    assert.equal(status.image_sha256, appliance.sha256);
    assert.equal(status.image_bytes, imageSize);
    assert.equal(status.disk.path, disk.path);
    assert.match(agent.output, /go on with: poweroff/);
    assert.equal(appliance.of('inventory').length, 1);
    const inventory = appliance.of('inventory')[0]?.body as Inventory;
    assert.ok(inventory.disks.some(({ path, size_bytes }) => path === disk.path && size_bytes === size));
    assert.ok(!agent.output.includes(token), 'the token is not on the console');
    // The status is the last word.
    assert.equal(appliance.messages.at(-1)?.what, 'status');
  }),
);

test(
  'progress names the step and the disk, comes at most once a second, and goes on as a heartbeat',
  { skip },
  setting(async ({ disk, size, appliance, start }) => {
    // So slowly that it cannot end before it was told of often enough.
    appliance.rate = MiB;
    appliance.plans = [appliance.flashPlan(size)];
    const told = () => appliance.of('progress').map(({ body }) => body as Progress);
    const began = performance.now();
    const agent = start();
    const ended = agent.ended.then(() => true);
    const enough = () =>
      told().length >= 3 && told().some((each) => each.step === 'writing' && each.bytes > 0);
    while (!enough() && !(await Promise.race([ended, pause(100, false)])));
    appliance.rate = Number.POSITIVE_INFINITY;
    assert.equal(await agent.ended, 0, agent.output);
    const seconds = (performance.now() - began) / 1000;
    const bodies = told();
    assert.deepEqual([...new Set(bodies.map(({ step }) => step))].slice(0, 1), ['preparing']);
    assert.ok(bodies.some(({ step, bytes }) => step === 'writing' && bytes > 0));
    assert.ok(bodies.filter(({ step }) => step === 'writing').every((each) => each.disk?.path === disk.path));
    // One that is late may come close before the next one, so that they are counted.
    assert.ok(bodies.length >= 3 && bodies.length <= seconds + 1, `${bodies.length} in ${seconds} s`);
  }),
);

test(
  'a broken transfer is resumed where it broke, in the same try',
  { skip },
  setting(async ({ disk, size, image, appliance, start }) => {
    appliance.breaks.push(2 * MiB, 5 * MiB);
    appliance.plans = [appliance.flashPlan(size)];
    const agent = start();
    assert.equal(await agent.ended, 0, agent.output);
    await arrived(disk, image);
    const status = last(appliance);
    assert.ok(status.status === 'done' && status.attempt === 1);
  }),
);

test(
  'an appliance that is away in the middle is waited for, and the end is told to it when it is back',
  { skip },
  setting(async ({ disk, size, image, appliance, start }) => {
    appliance.rate = MiB / 2;
    appliance.plans = [appliance.flashPlan(size)];
    const agent = start();
    await appliance.hears('progress', ({ step, bytes }: Progress) => step === 'writing' && bytes > 0);
    appliance.rate = Number.POSITIVE_INFINITY;
    await appliance.away(() => pause(1500));
    assert.equal(await agent.ended, 0, agent.output);
    await arrived(disk, image);
    assert.equal(last(appliance).status, 'done');
  }),
);

test(
  'the end is repeated until it is heard',
  { skip },
  setting(async ({ size, appliance, start }) => {
    for (const status of [503, 500, 404]) appliance.trouble.push({ what: 'status', status });
    appliance.trouble.push({ what: 'plan', status: 503 });
    appliance.plans = [appliance.flashPlan(size)];
    const agent = start();
    assert.equal(await agent.ended, 0, agent.output);
    assert.match(agent.output, /does not answer: it answers with HTTP status 503/);
    assert.equal(appliance.of('status').length, 1);
  }),
);

test(
  'no disk that fits, or two of them, is refused, told, and not tried again by itself',
  { skip },
  setting(async ({ disk, size, appliance, start }) => {
    appliance.plans = [appliance.flashPlan(size, { disk: { kind: 'serial', serial: 'WRONG' } })];
    const agent = start();
    const status = (await appliance.hears('status')) as Status;
    assert.ok(status.status === 'failed');
    assert.equal(status.failure.code, 'DISK_NOT_HERE');
    assert.equal(status.step, 'preparing');
    assert.equal(status.again_in, null);
    await agent.shows(/FAILED: No disk of this machine is the one with serial number "WRONG"/);
    assert.ok(isOld(await readFile(disk.backing)), 'nothing was written');
    await withOldDisk({ size }, async (twin) => {
      appliance.messages.length = 0;
      appliance.plans = [appliance.flashPlan(size, { id: 'plan-2' })];
      const second = start();
      const told = (await appliance.hears('status')) as Status;
      assert.ok(told.status === 'failed');
      assert.equal(told.failure.code, 'DISK_AMBIGUOUS');
      for (const path of [disk.path, twin.path]) assert.ok(told.failure.message.includes(path));
      await second.shows(/FAILED: More than one disk/);
      assert.ok(isOld(await readFile(twin.backing)), 'nothing was written');
    });
  }),
);

test(
  'a disk that is too small is refused while all is prepared, told, and holds what it held',
  { skip },
  setting(async ({ appliance, start }) => {
    // No other disk of this machine has it, as above.
    const size = imageSize - MiB - 4096 * (1 + (process.pid % 251));
    await withOldDisk({ size }, async (small) => {
      appliance.plans = [appliance.flashPlan(size)];
      const agent = start();
      const status = (await appliance.hears('status')) as Status;
      assert.ok(status.status === 'failed');
      assert.deepEqual([status.failure.code, status.step], ['TARGET_TOO_SMALL', 'preparing']);
      await agent.shows(/FAILED: \S+ needs/);
      assert.ok(isOld(await readFile(small.backing)), 'nothing was written');
      await agent.kill();
    });
  }),
);

test(
  'an image that is not the one of the plan fails, and the disk looks blank',
  { skip },
  setting(async ({ disk, size, appliance, start }) => {
    const plan = appliance.flashPlan(size);
    appliance.plans = [{ ...plan, image: { ...plan.image, sha256: 'f'.repeat(64) } }];
    const agent = start();
    const status = (await appliance.hears('status')) as Status;
    assert.ok(status.status === 'failed');
    assert.equal(status.failure.code, 'DIGEST_MISMATCH');
    assert.equal(status.again_in, null);
    await agent.kill();
    looksBlank(await readFile(disk.backing));
  }),
);

test(
  'what another try may mend is tried again as often as the plan says',
  { skip },
  setting(async ({ disk, size, appliance, start }) => {
    const plan = appliance.flashPlan(size, {
      retry: { attempts: 2, first_seconds: 0.2, most_seconds: 0.3 },
    });
    appliance.plans = [{ ...plan, image: { ...plan.image, url: '/nothing-here' } }];
    appliance.trouble.push({ what: 'nothing-here', status: 404 }, { what: 'nothing-here', status: 404 });
    const agent = start();
    await appliance.hears('status', ({ status, attempt }: Status) => status === 'failed' && attempt === 2);
    const [first, second] = appliance.of('status').map(({ body }) => body as Status);
    assert.ok(first?.status === 'failed' && second?.status === 'failed');
    assert.equal(first.failure.code, 'SOURCE_HTTP_STATUS');
    assert.equal(first.again_in, 0.2);
    assert.equal(second.again_in, null);
    await agent.kill();
    assert.ok(isOld(await readFile(disk.backing)));
    appliance.faults.length = 0; // the image was asked for without a token and outside of /pxe
  }),
);

test(
  'a plan that is withdrawn stops the writing; the next plan is asked for',
  { skip },
  setting(async ({ disk, size, appliance, start }) => {
    appliance.rate = MiB;
    const next: Plan = { kind: 'exit', id: 'plan-2', title: null, after: 'reboot', reason: 'Disarmed.' };
    appliance.plans = [appliance.flashPlan(size), next];
    const agent = start();
    await appliance.hears('progress', ({ step }: Progress) => step === 'writing');
    appliance.trouble.push({ what: 'progress', status: 409 });
    assert.equal(await agent.ended, 0, agent.output);
    assert.match(agent.output, /withdrawn/);
    assert.match(agent.output, /Disarmed\./);
    assert.equal(appliance.of('status').length, 0);
    looksBlank(await readFile(disk.backing));
  }),
);

test(
  'nothing is written before the appliance has said that the plan is still the one',
  { skip },
  setting(async ({ disk, size, appliance, start }) => {
    const next: Plan = { kind: 'exit', id: 'plan-2', title: null, after: 'reboot', reason: 'Disarmed.' };
    appliance.plans = [appliance.flashPlan(size), next];
    const word = Promise.withResolvers<void>();
    appliance.held = { what: 'progress', until: word.promise };
    const agent = start();
    await agent.shows(/Waiting for the word of the appliance/);
    appliance.trouble.push({ what: 'progress', status: 409 });
    word.resolve();
    assert.equal(await agent.ended, 0, agent.output);
    assert.match(agent.output, /withdrawn.*Disarmed\./s);
    assert.ok(isOld(await readFile(disk.backing)), 'nothing was written');
  }),
);

test(
  'a plan that is withdrawn and given again and again is not followed in a circle',
  { skip },
  setting(async ({ disk, size, appliance, start }) => {
    appliance.plans = [appliance.flashPlan(size)];
    const refuse = () => appliance.trouble.push({ what: 'progress', status: 409 });
    refuse();
    const agent = start();
    await appliance.hears('plan');
    refuse();
    await agent.shows(/withdrawn[\s\S]*withdrawn/);
    refuse();
    await pause(2500);
    assert.equal(appliance.of('plan').length, 2, 'the third time it takes its time');
    assert.ok(isOld(await readFile(disk.backing)));
  }),
);

test(
  'an agent that was ended without a word is told by the one after it, and its try counts',
  { skip },
  setting(async ({ disk, size, image, appliance, start }) => {
    const retry = { attempts: 3, first_seconds: 0.2, most_seconds: 1 };
    appliance.plans = [appliance.flashPlan(size, { retry })];
    const third = start({ BTY_AGENT_ENDS: '3', BTY_AGENT_CODE: '137' });
    const status = (await appliance.hears('status')) as Status;
    assert.ok(status.status === 'failed' && status.attempt === 3 && status.again_in === null);
    assert.equal(status.failure.code, 'AGENT_ENDED');
    assert.match(status.failure.message, /3 times.*137/);
    await third.kill();
    assert.ok(isOld(await readFile(disk.backing)), 'it was not tried once more');
    const second = start({ BTY_AGENT_ENDS: '1', BTY_AGENT_CODE: '137' });
    assert.equal(await second.ended, 0, second.output);
    await arrived(disk, image);
    const done = last(appliance);
    assert.ok(done.status === 'done' && done.attempt === 2);
  }),
);

test(
  'a plan that nobody can follow ends the agent, and the appliance knows why',
  { skip },
  setting(async ({ disk, appliance, start }) => {
    appliance.plans = [{ kind: 'dance', id: 'x' } as never];
    const agent = start();
    assert.equal(await agent.ended, 1, agent.output);
    assert.match(agent.output, /FAILED: The appliance \S+ sent a plan/);
    const status = last(appliance);
    assert.ok(status.status === 'failed' && status.plan === null);
    assert.equal(status.failure.code, 'PLAN_INVALID');
    assert.ok(isOld(await readFile(disk.backing)));
  }),
);

test(
  'a machine that loses its power in the middle has a blank disk, and flashes it whole at the next boot',
  { skip },
  setting(async ({ disk, size, image, appliance, start }) => {
    appliance.rate = MiB / 2;
    appliance.plans = [appliance.flashPlan(size)];
    const first = start();
    await appliance.hears('progress', ({ step, bytes }: Progress) => step === 'writing' && bytes >= 2 * MiB);
    await first.kill();
    assert.equal(appliance.of('status').length, 0);
    assert.ok(isZero((await readFile(disk.backing)).subarray(0, MiB)), 'the start is blank');
    appliance.rate = Number.POSITIVE_INFINITY;
    const second = start();
    assert.equal(await second.ended, 0, second.output);
    await arrived(disk, image);
    assert.equal(last(appliance).status, 'done');
  }),
);

test(
  'a machine without a plan waits, asks again, and does what it is then told',
  { skip },
  setting(async ({ disk, size, image, appliance, start }) => {
    const waiting: Plan = { kind: 'interactive', id: 'wait', title: 'rack 4', poll_seconds: 1 };
    appliance.plans = [waiting, waiting, appliance.flashPlan(size)];
    const agent = start();
    assert.equal(await agent.ended, 0, agent.output);
    assert.match(agent.output, /Waiting for a plan/);
    await arrived(disk, image);
    assert.equal(appliance.of('inventory').length, 1, 'the inventory is told once');
  }),
);

test(
  'an inventory is posted and followed by what the plan says',
  { skip },
  setting(async ({ disk, appliance, start }) => {
    appliance.plans = [{ kind: 'inventory', id: 'i', title: null, after: 'poweroff' }];
    const agent = start();
    assert.equal(await agent.ended, 0, agent.output);
    assert.equal(appliance.of('inventory').length, 1);
    assert.ok(isOld(await readFile(disk.backing)));
  }),
);

test(
  'what this machine is stands on the console also while no appliance answers',
  { skip },
  setting(async ({ appliance, start }) => {
    await appliance.away(async () => {
      const agent = start();
      await agent.shows(/(BIOS|UEFI), \d+ CPUs, \d+ MB of memory, \d+ disks/);
      await agent.kill();
    });
    assert.equal(appliance.messages.length, 0);
  }),
);

test(
  'a spent token ends the agent with advice',
  { skip },
  setting(async ({ appliance, start }) => {
    appliance.trouble.push({ what: 'plan', status: 401 });
    const agent = start();
    assert.equal(await agent.ended, 1, agent.output);
    assert.match(agent.output, /FAILED: The appliance \S+ refuses the plan \(HTTP\s+status\s+401\)/);
  }),
);

test(
  'the last partition is enlarged when the plan says so',
  { skip },
  setting(async ({ disk, size, appliance, start }) => {
    appliance.plans = [appliance.flashPlan(size, { grow: true })];
    const agent = start();
    assert.equal(await agent.ended, 0, agent.output);
    const told = execFileSync('sgdisk', ['--verify', '--info=1', disk.backing], { encoding: 'utf8' });
    const [, sectors] = /Last sector: (\d+)/.exec(told) ?? [];
    assert.ok(Number(sectors) * 512 > imageSize, told);
    assert.match(execFileSync('sgdisk', ['--verify', disk.backing], { encoding: 'utf8' }), /No problems/);
    assert.match(agent.output, /Partition 1 was enlarged/);
  }),
);
