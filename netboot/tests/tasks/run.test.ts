/** Tasks on real OpenSSH servers: from the flash to the last step, and everything that goes wrong between. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TaskState } from '../../../shared/contract/task.ts';
import {
  bind,
  ended,
  flash,
  kindsOf,
  outputOf,
  reaches,
  saveTask,
  startBench,
  taskOf,
  wrote,
} from './bench.ts';
import { inOwnSpace } from './space.ts';
import { startSshd } from './sshd.ts';

inOwnSpace(import.meta.url, 'tasks over SSH, in a network of their own', () => {
  test('a machine that was flashed is waited for, and its task is done step by step', async (context) => {
    const bench = await startBench(context);
    const mac = '52:54:00:aa:00:01';
    await saveTask(
      bench,
      'finish',
      `doc: Finishing touch.
steps:
- name: set the name
  run: |
    hostname {{ machine.hostname }}
    hostname
- name: say
  uses: core.cmdrunner
  with:
    commands:
    - echo to the error stream >&2
    - echo "$HOME" $((40 + 2))
`,
    );
    await bind(bench, mac, '127.0.0.2', 'finish');
    await flash(bench, mac);
    const waiting = await taskOf(bench, mac);
    assert.equal(waiting?.status, 'running');
    assert.equal(waiting?.stage, 'waiting');
    const machine = await startSshd(context, { address: '127.0.0.2', keys: [bench.key] });
    const state = await ended(bench, mac);
    assert.equal(state.status, 'completed', `${state.error}\n${machine.log()}`);
    assert.equal(state.returncode, 0);
    assert.equal(state.target_ip, '127.0.0.2');
    assert.equal(state.host_key?.fingerprint, machine.fingerprint);
    assert.deepEqual(
      state.steps.map(({ name, status, exit_code }) => [name, status, exit_code]),
      [
        ['set the name', 'completed', 0],
        ['say', 'completed', 0],
      ],
    );
    const pieces = await outputOf(bench, state.id);
    assert.equal(wrote(pieces, 'stdout'), 'box-01\n/root 42\n');
    assert.equal(wrote(pieces, 'stderr'), 'to the error stream\n');
    assert.equal(readFileSync(join(state.run_dir, 'cijoe.stdout'), 'utf8'), 'box-01\n/root 42\n');
    assert.equal(statSync(join(state.run_dir, 'cijoe.stdout')).mode & 0o077, 0);
    assert.match(state.run_dir, /\/tasks\/52:54:00:aa:00:01\/\d{8}T\d{6}Z$/);
    const { value } = await bench.call('GET', `/machines/${mac}`);
    const wire = value as Record<string, unknown>;
    assert.equal(wire.last_task_status, 'completed');
    assert.equal(wire.last_task_output_path, state.run_dir);
    assert.match(String(wire.last_task_run_at), /^\d{4}-/);
    const kinds = await kindsOf(bench, mac);
    const from = kinds.indexOf('machine.flashed');
    assert.deepEqual(kinds.slice(from), [
      'machine.flashed',
      'machine.task.running',
      'machine.host_key.met',
      'machine.task.completed',
    ]);
  });

  test('what waits is cancelled at once; a machine that is flashed anew begins anew; one that is forgotten ends', async (context) => {
    const bench = await startBench(context);
    const mac = '52:54:00:aa:00:02';
    await saveTask(bench, 'hello', 'steps:\n- name: hello\n  run: echo hello\n');
    await bind(bench, mac, '127.0.0.2', 'hello');
    await flash(bench, mac);
    const first = await reaches(bench, mac, ({ doing }) => doing?.includes('nothing answers') === true);
    await bench.call('PATCH', `/machines/${mac}`, { boot_policy: 'flash-once' });
    await flash(bench, mac);
    const second = await reaches(bench, mac, ({ id, doing }) => {
      return id > first.id && doing?.includes('nothing answers') === true;
    });
    const { value } = await bench.call('GET', `/tasks/runs/${first.id}`);
    const before = value as TaskState;
    assert.equal(before.status, 'cancelled');
    assert.match(before.error ?? '', /because the machine was flashed anew.*nothing was done on the machine/);
    assert.notEqual(before.run_dir, second.run_dir);
    const cancelled = (await bench.call('DELETE', `/tasks/${mac}`)).value as TaskState;
    assert.equal(cancelled.status, 'cancelled');
    await bench.call('POST', `/machines/${mac}/task`);
    await reaches(bench, mac, ({ doing }) => doing?.includes('nothing answers') === true);
    assert.equal((await bench.call('DELETE', `/machines/${mac}`)).status, 204);
    const forgotten = await ended(bench, mac);
    assert.match(forgotten.error ?? '', /because the machine was forgotten/);
  });
});
