/** Runs that wait for their machine: by which name it is found, and what the operator decides meanwhile. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TaskState } from '../../../shared/contract/task.ts';
import { image, putMachine } from '../../machines/testing.ts';
import { until } from '../../testing/files.ts';
import { temporaryDirectory } from '../../testing.ts';
import { type Bench, bind, ended, flash, kindsOf, reaches, saveTask, startBench } from './bench.ts';
import { inOwnSpace } from './space.ts';
import { processesWith, startSshd } from './sshd.ts';

const mac = '52:54:00:dd:00:01';
const address = '127.0.0.41';
/** Nobody is there. */
const nowhere = '127.0.0.99';
const hello = 'steps:\n- name: hello\n  run: echo hello\n';

async function runsOf(bench: Bench): Promise<readonly TaskState[]> {
  const { value } = await bench.call('GET', `/tasks/runs?mac=${mac}`);
  return (value as { runs: TaskState[] }).runs;
}

/** A machine whose task of a flash waits for it. */
async function waiting(context: TestContext): Promise<Bench> {
  const bench = await startBench(context, { taskWaitSeconds: 600 });
  await saveTask(bench, 'hello', hello);
  await saveTask(bench, 'other', hello);
  await bind(bench, mac, nowhere, 'hello');
  await flash(bench, mac);
  await reaches(bench, mac, ({ doing }) => doing?.includes('nothing answers') === true);
  return bench;
}

/** Names that this computer knows, as long as the test runs. */
function knowNames(context: TestContext, lines: readonly string[]): void {
  const file = join(temporaryDirectory(context), 'hosts');
  writeFileSync(file, `${readFileSync('/etc/hosts', 'utf8')}\n${lines.join('\n')}\n`);
  execFileSync('mount', ['--bind', file, '/etc/hosts']);
  context.after(() => execFileSync('umount', ['-l', '/etc/hosts']));
}

inOwnSpace(import.meta.url, 'what waits for machines, in a network of their own', () => {
  test('a machine without a known address is found by the name that the setting makes of its own', async (context) => {
    knowNames(context, [`${address} box-01.lab.example`]);
    const bench = await startBench(context, { taskHost: '{hostname}.lab.example' });
    await saveTask(bench, 'hello', hello);
    const task = { provisioning_mode: 'cijoe-task', cijoe_task_ref: 'hello' };
    await putMachine(bench, mac, { ...task, hostname: 'box-02' });
    const machine = await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    const told = 'no address of it is known yet, and the name box-02.lab.example has none';
    await reaches(bench, mac, ({ doing }) => doing?.includes(told) === true);
    await bench.call('PATCH', `/machines/${mac}`, { hostname: 'box-01' });
    const state = await ended(bench, mac);
    assert.equal(state.status, 'completed', state.error ?? '');
    assert.equal(state.target_ip, address);
    assert.equal(state.host_key?.fingerprint, machine.fingerprint);
  });

  for (const [what, change, because] of [
    ['another image is bound', { image_sha256: 'b'.repeat(64) }, /because another image was bound/],
    ['the machine is unbound', { image_sha256: null }, /because no image is bound to the machine any more/],
    ['its task is taken away', { provisioning_mode: 'none' }, /because no task is set for the machine/],
  ] as const)
    test(`a run that waits after a flash ends when ${what}, and says so`, async (context) => {
      const bench = await waiting(context);
      assert.equal((await bench.call('PATCH', `/machines/${mac}`, { notes: 'rack 3' })).status, 200);
      assert.equal((await bench.call('PATCH', `/machines/${mac}`, change)).status, 200);
      const state = await ended(bench, mac);
      assert.equal(state.status, 'cancelled');
      assert.match(state.error ?? '', because);
      assert.match(state.error ?? '', /nothing was done on the machine/);
      assert.equal((await runsOf(bench)).length, 1);
      const kinds = (await kindsOf(bench, mac)).filter((kind) => kind.startsWith('machine.task.'));
      assert.deepEqual(kinds, ['machine.task.running', 'machine.task.cancelled']);
      const { value } = await bench.call('GET', `/machines/${mac}`);
      assert.equal((value as { last_task_status: string }).last_task_status, 'cancelled');
    });

  test('a run that waits after a flash makes room for the task that is set meanwhile', async (context) => {
    const bench = await waiting(context);
    const answer = await bench.call('PATCH', `/machines/${mac}`, {
      cijoe_task_ref: 'other',
      labels: { 'task-address': address },
    });
    assert.equal((answer.value as { last_task_status: string }).last_task_status, 'running');
    await startSshd(context, { address, keys: [bench.key] });
    const state = await reaches(
      bench,
      mac,
      ({ task_ref, stage }) => task_ref === 'other' && stage === 'ended',
    );
    assert.equal(state.status, 'completed', state.error ?? '');
    assert.equal(state.trigger, 'flash');
    const [, before] = await runsOf(bench);
    assert.deepEqual([before?.task_ref, before?.status], ['hello', 'cancelled']);
    assert.match(before?.error ?? '', /because the task other was set for the machine/);
  });

  test('what was asked for by hand, and what has begun, is not ended by another binding', async (context) => {
    const bench = await startBench(context);
    const word = `${3_000_000 + process.pid}.1`;
    await saveTask(bench, 'slow', `steps:\n- name: slow\n  run: sleep ${word}\n`);
    await bind(bench, mac, address, 'slow');
    const unbind = () => putMachine(bench, mac, { labels: { 'task-address': address } });
    await startSshd(context, { address, keys: [bench.key] });
    await flash(bench, mac);
    await until('it runs', () => processesWith(word).length > 0);
    await unbind();
    assert.equal((await runsOf(bench))[0]?.stage, 'running');
    assert.equal(processesWith(word).length > 0, true);
    await bench.call('DELETE', `/tasks/${mac}`);
    await ended(bench, mac);
    const labels = { 'task-address': nowhere };
    await putMachine(bench, mac, {
      image_sha256: image,
      provisioning_mode: 'cijoe-task',
      cijoe_task_ref: 'slow',
      labels,
    });
    await bench.call('POST', `/machines/${mac}/task`);
    await putMachine(bench, mac, { labels });
    const told = ({ doing, stage }: TaskState) =>
      stage === 'waiting' && doing?.includes('nothing answers') === true;
    await reaches(bench, mac, told);
    await bench.call('DELETE', `/tasks/${mac}`);
    assert.equal((await ended(bench, mac)).status, 'cancelled');
  });
});
