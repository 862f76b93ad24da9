/** `bty agent` with an `interactive` plan: somebody picks at the machine, and the appliance hears of it. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import type { Plan, Progress, Status } from '../../../shared/contract/agent.ts';
import { inFolder, type LoopDisk, noLoops } from '../../disk/testing.ts';
import { mac, TestAppliance, token } from '../live/appliance.ts';
import { isOld, lacks, looksBlank, MiB, makeImage, withOldDisk } from '../look.ts';
import { entry } from '../program.ts';
import { noTerminal, Window } from './window.ts';

const skip = noTerminal || noLoops || lacks('sfdisk', 'fdisk');
const plan: Plan = { kind: 'interactive', id: 'plan-1', title: 'rack 4, box 2', poll_seconds: 1 };

/** Resolves the first message of this kind that fits, when it has come. */
function heard<Body>(
  window: Window,
  appliance: TestAppliance,
  what: string,
  fits: (body: Body) => boolean,
): Promise<Body> {
  return window.until(`a ${what} that fits`, async () => {
    const found = appliance.of(what).find(({ body }) => fits(body as Body));
    return found ? (found.body as Body) : null;
  });
}
const isWriting = ({ step, bytes }: Progress): boolean => step === 'writing' && bytes > 0;

interface Setting {
  readonly window: Window;
  readonly appliance: TestAppliance;
  readonly disk: LoopDisk;
  readonly image: Buffer;
}

/** Runs `use` in front of a machine whose appliance wants a person to decide. */
async function withMachine(use: (setting: Setting) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const image = await makeImage(join(folder, 'image'), 12 * MiB);
    const appliance = await TestAppliance.start(zstdCompressSync(image));
    appliance.plans = [plan];
    const [commandLine, ticket] = [join(folder, 'cmdline'), join(folder, 'ticket.json')];
    await writeFile(commandLine, `quiet bty.server=${appliance.address} bty.mac=${mac}\n`);
    await writeFile(ticket, JSON.stringify({ token, ca_fingerprint: null }));
    const words = ['--command-line', commandLine, '--ticket', ticket, '--allow-loop'];
    const command = [process.execPath, '--disable-warning=ExperimentalWarning', entry, 'agent', ...words];
    try {
      // Larger than the image, so that the backup of its partition table has to move.
      await withOldDisk({ size: 17 * MiB }, (disk) =>
        Window.with({ command }, (window) => use({ window, appliance, disk, image })),
      );
    } finally {
      await appliance.close();
    }
    assert.deepEqual(appliance.faults, []);
  });
}

test(
  'what is picked at the machine is written, progress and result are told, and Enter reboots',
  { skip },
  () =>
    withMachine(async ({ window, appliance, disk, image }) => {
      appliance.rate = MiB / 4;
      const first = await window.sees(/test\.img\.zst/);
      assert.match(first, /rack 4, box 2/);
      assert.doesNotMatch(first, /q quit/, 'there is nothing to quit to');
      await window.begin(/test\.img\.zst/, disk.path);
      await heard(window, appliance, 'progress', isWriting);
      appliance.rate = Number.POSITIVE_INFINITY;
      await window.sees(/== Written and verified/);
      const status = await heard(window, appliance, 'status', (_: Status) => true);
      assert.ok(status.status === 'done');
      assert.deepEqual([status.plan, status.verified, status.attempt], ['plan-1', true, 1]);
      assert.deepEqual([status.image_sha256, status.image_bytes], [appliance.sha256, 12 * MiB]);
      assert.equal(status.disk.path, disk.path);
      const content = await readFile(disk.backing);
      const own = 2 * 512;
      assert.equal(Buffer.compare(content.subarray(own, image.length), image.subarray(own)), 0);
      assert.equal(
        appliance.messages.filter(({ what }) => what !== 'plan').at(-1)?.what,
        'status',
        'the last word',
      );
      // The appliance wants the disk to be booted now; the person says when.
      appliance.plans = [{ kind: 'exit', id: 'plan-2', title: null, after: 'reboot', reason: null }];
      await heard(window, appliance, 'plan', ({ id }: Plan) => id === 'plan-2');
      await window.sees(/Enter reboot/);
      await window.press('Enter');
      await window.sees(/go on with: reboot[\s\S]*ended with 0/);
      await window.isWhole();
      assert.ok(!(await window.sent()).includes(token), 'the token is not on the console');
    }),
);

test('another plan takes the screen away and is followed', { skip }, () =>
  withMachine(async ({ window, appliance, disk, image }) => {
    await window.sees(/test\.img\.zst/);
    appliance.plans = [appliance.flashPlan(17 * MiB, { id: 'plan-2', after: 'poweroff' })];
    await window.sees(/go on with: poweroff[\s\S]*ended with 0/);
    await window.isWhole();
    const content = await readFile(disk.backing);
    assert.equal(Buffer.compare(content.subarray(1024, image.length), image.subarray(1024)), 0);
  }),
);

test(
  'a plan that is withdrawn in the middle stops the flash: the disk looks blank, and the console says why',
  { skip },
  () =>
    withMachine(async ({ window, appliance, disk }) => {
      appliance.rate = MiB / 4;
      await window.begin(/test\.img\.zst/, disk.path);
      await heard(window, appliance, 'progress', isWriting);
      appliance.plans = [
        { kind: 'exit', id: 'plan-2', title: null, after: 'poweroff', reason: 'Changed my mind.' },
      ];
      appliance.trouble.push({ what: 'progress', status: 409 });
      await window.sees(/has withdrawn the plan[\s\S]*Changed my mind\.[\s\S]*ended with 0/);
      await window.isWhole();
      looksBlank(await readFile(disk.backing));
      assert.equal(appliance.of('status').length, 0);
    }),
);

test('a flash that is cancelled at the machine is told as failed, and another one can follow', { skip }, () =>
  withMachine(async ({ window, appliance, disk, image }) => {
    appliance.rate = MiB / 4;
    await window.begin(/test\.img\.zst/, disk.path);
    await heard(window, appliance, 'progress', isWriting);
    await window.press('c');
    await window.sees(/Cancel\? The disk will look blank/);
    await window.press('y');
    await window.sees(/== Cancelled/);
    const status = await heard(window, appliance, 'status', (_: Status) => true);
    assert.ok(status.status === 'failed');
    assert.deepEqual([status.failure.code, status.again_in, status.step], ['CANCELLED', null, 'writing']);
    looksBlank(await readFile(disk.backing));
    assert.ok(!isOld(await readFile(disk.backing)));
    appliance.rate = Number.POSITIVE_INFINITY;
    await window.press('Enter');
    await window.sees(/2 Disk/);
    await window.toDisk(disk.path);
    await window.press('Enter', 'f');
    await window.sees(/== Write it\?/);
    await window.confirm();
    await window.sees(/== Written and verified/);
    const done = await heard(window, appliance, 'status', ({ status }: Status) => status === 'done');
    assert.ok(done.status === 'done' && done.attempt === 2);
    const content = await readFile(disk.backing);
    assert.equal(Buffer.compare(content.subarray(1024, image.length), image.subarray(1024)), 0);
  }),
);
