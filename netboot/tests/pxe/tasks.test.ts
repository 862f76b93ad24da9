/** From the flash to the finishing touch: a real Debian is flashed, boots, is named by a task, reboots and is looked at. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import type { TaskState } from '../../../shared/contract/task.ts';
import { builtLive } from './live.ts';
import { agentStarts, noScene, Scene } from './scene.ts';
import { makeSshImage, noSshImage } from './sshimage.ts';

const skip =
  noScene() || noSshImage() || (process.env.BTY_PXE === 'all' ? false : 'npm run test:pxe runs it');

const finish = `doc: Names the machine and sees it come back.
steps:
- name: as it was flashed
  run: test "$(hostname)" = freshly-flashed
- name: set the name
  run:
  - echo {{ machine.hostname }} > /etc/hostname
  - sync
- name: drop a file
  uses: core.put
  with: {src: motd, dst: /etc/motd}
- name: reboot
  uses: bty.reboot_and_wait
  with: {timeout: 3600}
- name: verify
  run:
  - test "$(hostname)" = {{ machine.hostname }}
  - grep -q welcome /etc/motd
  - cat /proc/uptime
`;

describe('an appliance with a task', { skip }, () => {
  let scene: Scene;
  before(
    async () => {
      const settings = ['--task-wait-seconds', '3600', '--task-seconds', '7200'];
      scene = await Scene.make({ dhcp: 'full', settings });
    },
    { timeout: 1_200_000 },
  );
  after(() => scene?.close());

  test('a bare machine is flashed, its task sets its name, it reboots, and the task sees the name', {
    timeout: 5_400_000,
  }, async () => {
    const { appliance, lab } = scene;
    const mac = '52:54:00:77:08:01';
    const made = await appliance.ask('POST', '/tasks/key');
    const key = (JSON.parse(made.body) as { public: string }).public;
    const path = join(lab.folder, 'debian.img');
    const image = await makeSshImage(path, { live: await builtLive(), hostname: 'freshly-flashed', key });
    const stored = zstdCompressSync(await readFile(path));
    await writeFile(`${path}.zst`, stored);
    const sha256 = createHash('sha256').update(stored).digest('hex');
    await appliance.upload(`${path}.zst`, 'debian.img.zst', sha256);
    await lab.makeFolder('state/task-files');
    await writeFile(join(lab.folder, 'state', 'task-files', 'motd'), 'welcome\n');
    const saved = await appliance.ask('PUT', '/tasks/library/finish', { json: { text: finish } });
    assert.equal(saved.status, 200, saved.body);
    await appliance.bind(mac, {
      image_sha256: sha256,
      boot_policy: 'flash-once',
      provisioning_mode: 'cijoe-task',
      cijoe_task_ref: 'finish',
      hostname: 'rack7-box3',
    });
    const disk = scene.disk('task', { bytes: image.bytes });
    const options = { name: 'task', firmware: 'bios', mac, tap: 0, disks: [disk], megabytes: 1024 } as const;
    await scene.withGuest(options, async (guest) => {
      await guest.sees(agentStarts, 300, 'the agent');
      await guest.sees(/Done: debian\.img\.zst is on \/dev\/vda/, 300, 'flashed');
      await guest.sees(/freshly-flashed login:/, 400, 'the flashed system');
      await guest.sees(/rack7-box3 login:/, 600, 'the flashed system, named');
      await appliance.until(mac, 'done with its task', 300, (each) => each.last_task_status !== 'running');
      const { body } = await appliance.ask('GET', `/tasks/runs?mac=${mac}`);
      const [state] = (JSON.parse(body) as { runs: TaskState[] }).runs;
      assert.equal(state?.status, 'completed', `${state?.error}\n${await appliance.log}`);
      assert.deepEqual(
        state?.steps.map(({ status }) => status),
        ['completed', 'completed', 'completed', 'completed', 'completed'],
      );
      assert.match(state?.target_ip ?? '', /^10\.77\.0\./);
      await scene.happened(mac, [
        'machine.flashed',
        'machine.task.running',
        'machine.host_key.met',
        'machine.task.completed',
      ]);
      const flashes = (await appliance.events(mac)).filter(({ kind }) => kind === 'machine.flashed');
      assert.equal(flashes.length, 1, 'the reboot did not flash it again');
    });
  });
});
