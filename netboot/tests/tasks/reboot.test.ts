/** Machines that go away in the middle of a task because the task says so; and an appliance that crashes. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../testing/files.ts';
import { temporaryDirectory } from '../../testing.ts';
import { bind, ended, outputOf, reaches, saveTask, startBench, taskOf, wrote } from './bench.ts';
import { inOwnSpace } from './space.ts';
import { makeHostKey, processesWith, startSshd } from './sshd.ts';

const mac = '52:54:00:ff:00:01';
const address = '127.0.0.8';
const running = (index: number) => (state: { steps: readonly { status: string }[] }) =>
  state.steps[index]?.status === 'running';

inOwnSpace(import.meta.url, 'machines that go and come, in a network of their own', () => {
  test("CIJOE's own way to reboot: a command that ends the connection, wait for down, wait for up", async (context) => {
    const bench = await startBench(context);
    const hostKey = makeHostKey(temporaryDirectory(context));
    await saveTask(
      bench,
      'reboot',
      `steps:
- name: reboot
  run: echo going; sleep 900
- name: wait for down
  uses: wait_for_transport
  with: {state: "down", timeout: 240}
- name: wait for up
  uses: wait_for_transport
  with: {state: "up", timeout: 240}
- name: back
  run: echo back
`,
    );
    await bind(bench, mac, address, 'reboot');
    const before = await startSshd(context, { address, keys: [bench.key], hostKey });
    await bench.call('POST', `/machines/${mac}/task`);
    await reaches(bench, mac, (state) => state.output_bytes >= 6);
    await before.stop();
    await reaches(bench, mac, running(2));
    await startSshd(context, { address, keys: [bench.key], hostKey });
    const state = await ended(bench, mac);
    assert.equal(state.status, 'completed', state.error ?? '');
    assert.equal(wrote(await outputOf(bench, state.id), 'stdout'), 'going\nback\n');
  });

  test('reboot and wait: the boot has to be another one', async (context) => {
    const bench = await startBench(context);
    const folder = temporaryDirectory(context);
    const hostKey = makeHostKey(folder);
    const said = join(folder, 'rebooted');
    await saveTask(
      bench,
      'reboot',
      'steps:\n- name: reboot\n  uses: bty.reboot_and_wait\n  with: {timeout: 240}\n- name: back\n  run: cat /proc/sys/kernel/random/boot_id\n',
    );
    await bind(bench, mac, address, 'reboot');
    const [one, two] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
    const machine = { address, keys: [bench.key], hostKey, reboots: said } as const;
    const before = await startSshd(context, { ...machine, bootId: one });
    await bench.call('POST', `/machines/${mac}/task`);
    await until('the machine was told to reboot', () => existsSync(said));
    assert.equal(readFileSync(said, 'utf8'), 'reboot\n');
    await before.stop();
    // First it comes up once more as it was, as a machine does whose shutdown takes long.
    const still = await startSshd(context, { ...machine, bootId: one });
    await reaches(bench, mac, (state) => state.status === 'running' && running(0)(state));
    await still.stop();
    await startSshd(context, { ...machine, bootId: two });
    const state = await ended(bench, mac);
    assert.equal(state.status, 'completed', state.error ?? '');
    assert.equal(wrote(await outputOf(bench, state.id), 'stdout').trim(), two);
  });

  test('a host key that changes over a reboot fails the task before the next command', async (context) => {
    const bench = await startBench(context);
    await saveTask(
      bench,
      'swap',
      'steps:\n- name: go\n  run: echo going; sleep 900\n- name: down\n  uses: wait_for_transport\n  with: {state: down}\n- name: up\n  uses: wait_for_transport\n- name: never\n  run: echo never\n',
    );
    await bind(bench, mac, address, 'swap');
    const before = await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    await reaches(bench, mac, (state) => state.output_bytes >= 6);
    await before.stop();
    await reaches(bench, mac, running(2));
    const other = await startSshd(context, { address, keys: [bench.key] });
    const state = await ended(bench, mac);
    assert.equal(state.code, 'TASK_HOST_KEY_CHANGED');
    assert.equal(state.host_key?.expected, before.fingerprint);
    assert.doesNotMatch(other.log(), /Accepted publickey/);
  });

  test('after a crash of the appliance a task that ran is marked as interrupted, where it was', async (context) => {
    const bench = await startBench(context);
    const word = `${2_000_000 + process.pid}.1`;
    await saveTask(bench, 'slow', `steps:\n- name: one\n  run: echo 1\n- name: two\n  run: sleep ${word}\n`);
    await bind(bench, mac, address, 'slow');
    await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    await until('it sleeps', () => processesWith(word).length > 0);
    await reaches(bench, mac, running(1));
    // What a crash leaves behind: the files as they are at one moment.
    const copy = temporaryDirectory(context);
    cpSync(bench.stateDir, copy, { recursive: true });
    rmSync(join(copy, 'lock'), { force: true });
    const again = await startBench(context, {}, copy);
    const state = await taskOf(again, mac);
    assert.equal(state?.status, 'failed');
    assert.equal(state?.code, 'TASK_INTERRUPTED');
    assert.match(state?.error ?? '', /The appliance ended in step 2 of 2, "two", and did not see its end/);
    assert.deepEqual(
      state?.steps.map(({ status }) => status),
      ['completed', 'failed'],
    );
    const { value } = await again.call('GET', `/machines/${mac}`);
    assert.equal((value as { last_task_status: string }).last_task_status, 'failed');
    await bench.call('DELETE', `/tasks/${mac}`);
    await ended(bench, mac);
  });
});
