/** Tasks that are ended before their end: cancelled, cut off, too slow, or the appliance itself stops. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TaskState } from '../../../shared/contract/task.ts';
import { until } from '../../testing/files.ts';
import { bind, ended, flash, kindsOf, reaches, saveTask, startBench, taskOf } from './bench.ts';
import { inOwnSpace } from './space.ts';
import { processesWith, startSshd } from './sshd.ts';

const mac = '52:54:00:cc:00:01';
const address = '127.0.0.4';
/** A number of seconds that nothing else on this computer sleeps. */
const long = (place: number) => `${1_000_000 + process.pid}.${place}`;
const runs = (word: string) => until(`sleep ${word} runs`, () => processesWith(word).length > 0);
const steps = (state: TaskState) => state.steps.map(({ status }) => status);

inOwnSpace(import.meta.url, 'the end of tasks, in a network of their own', () => {
  test('cancel in the middle of a sleep ends the whole process group and says what was reached', async (context) => {
    const bench = await startBench(context);
    const [one, two] = [long(1), long(2)];
    await saveTask(
      bench,
      'slow',
      `steps:
- name: first
  run: echo done
- name: wait for ever
  run:
  - (sleep ${two} & sleep ${two}) & sleep ${one}; echo never
- name: last
  run: echo never
`,
    );
    await bind(bench, mac, address, 'slow');
    await startSshd(context, { address, keys: [bench.key] });
    const started = await bench.call('POST', `/machines/${mac}/task`);
    assert.equal(started.status, 202);
    const again = await bench.call('POST', `/machines/${mac}/task`);
    assert.equal((again.value as TaskState).id, (started.value as TaskState).id, 'one task for a machine');
    await runs(one);
    await runs(two);
    const answer = await bench.call('DELETE', `/tasks/${mac}`);
    assert.equal(answer.status, 200);
    const state = await ended(bench, mac);
    assert.equal(state.status, 'cancelled');
    assert.equal(
      state.error,
      'The task was cancelled in step 2 of 3, "wait for ever"; its processes were ended.',
    );
    assert.deepEqual(steps(state), ['completed', 'cancelled', 'skipped']);
    assert.deepEqual([...processesWith(one), ...processesWith(two)], []);
    const kinds = (await kindsOf(bench, mac)).filter((kind) => kind.startsWith('machine.task.'));
    assert.deepEqual(kinds, ['machine.task.running', 'machine.task.cancel_asked', 'machine.task.cancelled']);
    // A second one changes nothing.
    const late = await bench.call('DELETE', `/tasks/${mac}`);
    assert.equal((late.value as TaskState).status, 'cancelled');
    assert.equal((await bench.call('DELETE', '/tasks/52:54:00:99:99:99')).status, 404);
  });

  test('what does not end when asked to is killed, also for a user without rights', async (context) => {
    const bench = await startBench(context, { taskUsers: ['role=plain:plain'] });
    const word = long(3);
    await saveTask(
      bench,
      'deaf',
      `steps:\n- name: deaf\n  run: id -un; trap "" TERM; sh -c 'trap "" TERM; sleep ${word}; sleep ${word}'\n`,
    );
    await bind(bench, mac, address, 'deaf');
    await bench.call('PATCH', `/machines/${mac}`, { labels: { 'task-address': address, role: 'plain' } });
    await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    await runs(word);
    await bench.call('DELETE', `/tasks/${mac}`);
    const state = await ended(bench, mac);
    assert.match(state.error ?? '', /did not end when asked to, and were killed/);
    assert.deepEqual(processesWith(word), []);
    assert.equal(readFileSync(join(state.run_dir, 'cijoe.stdout'), 'utf8'), 'plain\n');
    assert.equal(state.user, 'plain');
  });

  test('a connection that breaks in a step fails it, and what it did is said to be unknown', async (context) => {
    const bench = await startBench(context);
    const word = long(4);
    await saveTask(
      bench,
      'cut',
      `steps:\n- name: sleeping\n  run: sleep ${word}\n- name: after\n  run: echo never\n`,
    );
    await bind(bench, mac, address, 'cut');
    const machine = await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    await runs(word);
    await machine.stop();
    const state = await ended(bench, mac);
    assert.equal(state.code, 'TASK_CONNECTION_LOST');
    assert.match(state.error ?? '', /The connection to 127\.0\.0\.4 broke during "sleeping"/);
    assert.deepEqual(steps(state), ['failed', 'skipped']);
    assert.equal(state.returncode, null);
  });

  test('a machine that falls silent without a word is missed within half a minute', async (context) => {
    const bench = await startBench(context);
    const word = long(5);
    await saveTask(bench, 'mute', `steps:\n- name: sleeping\n  run: sleep ${word}\n`);
    await bind(bench, mac, address, 'mute');
    const machine = await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    await runs(word);
    machine.freeze();
    const state = await ended(bench, mac);
    assert.equal(state.code, 'TASK_CONNECTION_LOST');
    assert.match(state.error ?? '', /[Kk]eepalive/);
  });

  test('a step and a task have their times; what runs then is ended', async (context) => {
    const bench = await startBench(context, { taskSeconds: 20 });
    const [one, two] = [long(6), long(7)];
    await saveTask(bench, 'step', `steps:\n- name: slow\n  timeout: 4\n  run: sleep ${one}\n`);
    await saveTask(bench, 'total', `steps:\n- name: a\n  run: 'true'\n- name: b\n  run: sleep ${two}\n`);
    await bind(bench, mac, address, 'step');
    await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    const step = await ended(bench, mac);
    assert.equal(step.error, 'The step "slow" took longer than 4 s; its processes were ended.');
    await bench.call('POST', `/machines/${mac}/task`, { task_ref: 'total' });
    const total = await reaches(bench, mac, ({ id, stage }) => id > step.id && stage === 'ended');
    assert.equal(total.code, 'TASK_TIMEOUT');
    assert.match(total.error ?? '', /longer than 20 s and was in "b"/);
    assert.deepEqual([...processesWith(one), ...processesWith(two)], []);
  });

  test('an appliance that stops ends what runs and says so; what only waited goes on at the next start', async (context) => {
    const bench = await startBench(context);
    const word = long(8);
    await saveTask(bench, 'slow', `steps:\n- name: slow\n  run: sleep ${word}\n`);
    await saveTask(bench, 'hello', 'steps:\n- name: hello\n  run: echo hello\n');
    const other = '52:54:00:cc:00:02';
    await bind(bench, mac, address, 'slow');
    await bind(bench, other, '127.0.0.5', 'hello');
    await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    await flash(bench, other);
    await runs(word);
    await reaches(bench, other, ({ doing }) => doing?.includes('nothing answers') === true);
    await bench.close();
    assert.deepEqual(processesWith(word), []);
    const again = await startBench(context, {}, bench.stateDir);
    const state = await ended(again, mac);
    assert.equal(state.code, 'TASK_INTERRUPTED');
    assert.match(state.error ?? '', /The appliance ended in step 1 of 1, "slow"; its processes were ended/);
    assert.equal((await taskOf(again, other))?.stage, 'waiting');
    await startSshd(context, { address: '127.0.0.5', keys: [bench.key] });
    assert.equal((await ended(again, other)).status, 'completed');
  });

  test('with a forced command the machine gets the commands as they are written, and does no others', async (context) => {
    const bench = await startBench(context, { taskVerbatim: true });
    await saveTask(
      bench,
      'restricted',
      'steps:\n- name: allowed\n  run: set-hostname {{ machine.hostname }}\n- name: refused\n  run: cat /etc/shadow\n',
    );
    await bind(bench, mac, address, 'restricted');
    const script =
      'case "$SSH_ORIGINAL_COMMAND" in "set-hostname "*) echo "$SSH_ORIGINAL_COMMAND";; *) echo no >&2; exit 77;; esac';
    const keys = [`command="${script.replaceAll('"', '\\"')}",restrict ${bench.key}`];
    await startSshd(context, { address, keys });
    await bench.call('POST', `/machines/${mac}/task`);
    const state = await ended(bench, mac);
    assert.deepEqual(steps(state), ['completed', 'failed']);
    assert.equal(state.returncode, 77);
    assert.equal(readFileSync(join(state.run_dir, 'cijoe.stdout'), 'utf8'), 'set-hostname box-01\n');
  });
});
