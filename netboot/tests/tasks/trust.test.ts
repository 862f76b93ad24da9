/** Who is let in, and who is believed to be the machine. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TaskState } from '../../../shared/contract/task.ts';
import { temporaryDirectory } from '../../testing.ts';
import { bind, ended, flash, kindsOf, outputOf, reaches, saveTask, startBench, wrote } from './bench.ts';
import { inOwnSpace } from './space.ts';
import { makeHostKey, startSshd } from './sshd.ts';

const hello = 'steps:\n- name: hello\n  run: echo hello\n';
const mac = '52:54:00:bb:00:01';
const address = '127.0.0.3';

inOwnSpace(import.meta.url, 'whom tasks trust, in a network of their own', () => {
  test("a machine that does not know the appliance's key is told as that, with the key's fingerprint", async (context) => {
    const bench = await startBench(context);
    const other = makeHostKey(temporaryDirectory(context), 'other');
    await saveTask(bench, 'hello', hello);
    await bind(bench, mac, address, 'hello');
    await startSshd(context, { address, keys: [readFileSync(`${other}.pub`, 'utf8').trim()] });
    await bench.call('POST', `/machines/${mac}/task`);
    const state = await ended(bench, mac);
    assert.equal(state.status, 'failed');
    assert.equal(state.code, 'TASK_LOGIN_REFUSED');
    const { value } = await bench.call('GET', '/tasks/key');
    assert.match(
      state.error ?? '',
      new RegExp((value as { fingerprint: string }).fingerprint.replaceAll(/[+/]/g, '.')),
    );
    assert.equal(state.host_key, null, 'a host that lets nobody in is not remembered');
    assert.match(readFileSync(join(state.run_dir, 'error.txt'), 'utf8'), /lets root not in/);
  });

  test('a machine that offers a password instead is given none, and is told as one that lets nobody in', async (context) => {
    const bench = await startBench(context);
    await saveTask(bench, 'hello', hello);
    await bind(bench, mac, address, 'hello');
    const machine = await startSshd(context, {
      address,
      keys: [bench.key],
      wins: [
        'PasswordAuthentication yes',
        'KbdInteractiveAuthentication yes',
        'PubkeyAuthentication no',
        'LogLevel DEBUG2',
      ],
    });
    await bench.call('POST', `/machines/${mac}/task`);
    const state = await ended(bench, mac);
    assert.equal(state.code, 'TASK_LOGIN_REFUSED', state.error ?? '');
    // The server tells of every question that it was asked (RFC 4252 section 5).
    const asked = [...machine.log().matchAll(/userauth-request for user root .*method (\S+)/g)];
    assert.ok(asked.length > 0, machine.log());
    assert.deepEqual(
      [...new Set(asked.map(([, method]) => method))].filter((method) => method !== 'none'),
      ['publickey'],
    );
    assert.doesNotMatch(machine.log(), /Failed (password|keyboard-interactive)|Accepted/);
  });

  test('a host key that changed since the flash is shown and not used, until it is accepted or the machine is flashed anew', async (context) => {
    const bench = await startBench(context);
    await saveTask(bench, 'hello', hello);
    await bind(bench, mac, address, 'hello');
    const first = await startSshd(context, { address, keys: [bench.key] });
    await flash(bench, mac);
    const before = await ended(bench, mac);
    assert.equal(before.status, 'completed', before.error ?? '');
    await first.stop();
    const second = await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    const changed = await ended(bench, mac);
    assert.equal(changed.code, 'TASK_HOST_KEY_CHANGED');
    assert.deepEqual(changed.host_key, {
      fingerprint: second.fingerprint,
      expected: first.fingerprint,
      previous: null,
    });
    assert.ok(changed.error?.includes(first.fingerprint) && changed.error.includes(second.fingerprint));
    assert.doesNotMatch(second.log(), /Accepted publickey/, 'it was not logged in to');
    assert.equal((await bench.call('DELETE', `/machines/${mac}/host-key`)).status, 204);
    assert.equal((await bench.call('DELETE', `/machines/${mac}/host-key`)).status, 404);
    await bench.call('POST', `/machines/${mac}/task`);
    assert.equal((await ended(bench, mac)).status, 'completed');
    await second.stop();
    await bench.call('PATCH', `/machines/${mac}`, { boot_policy: 'flash-once' });
    // A new flash brings a new system, and a new key.
    await flash(bench, mac);
    const third = await startSshd(context, { address, keys: [bench.key] });
    const anew = await reaches(bench, mac, ({ trigger, stage }) => trigger === 'flash' && stage === 'ended');
    assert.equal(anew.status, 'completed', anew.error ?? '');
    assert.deepEqual(anew.host_key, {
      fingerprint: third.fingerprint,
      expected: null,
      previous: second.fingerprint,
    });
    assert.ok((await kindsOf(bench, mac)).includes('machine.host_key.forgotten'));
  });

  test('a machine that never comes is given up, with what was tried', async (context) => {
    const bench = await startBench(context, { taskWaitSeconds: 3 });
    await saveTask(bench, 'hello', hello);
    await bind(bench, mac, '127.0.0.99', 'hello');
    await flash(bench, mac);
    const state = await ended(bench, mac);
    assert.equal(state.code, 'TASK_HOST_MISSING');
    assert.match(state.error ?? '', /within 3 s: nothing answers on port 22 of 127\.0\.0\.99/);
    assert.deepEqual(
      state.steps.map(({ status }) => status),
      ['pending'],
    );
    const { value } = await bench.call('GET', `/machines/${mac}`);
    assert.equal((value as { last_task_status: string }).last_task_status, 'failed');
  });

  test('what answers as a live system, or has been up since before the flash, is not the machine', async (context) => {
    const bench = await startBench(context, { taskWaitSeconds: 8 });
    await saveTask(bench, 'hello', hello);
    await bind(bench, mac, address, 'hello');
    const live = await startSshd(context, {
      address,
      keys: [bench.key],
      commandLine: 'bty.server=http://10.0.0.1',
    });
    await flash(bench, mac);
    const asLive = await ended(bench, mac);
    assert.equal(asLive.code, 'TASK_HOST_MISSING');
    assert.match(asLive.error ?? '', /the live system answers/);
    await live.stop();
    await startSshd(context, { address, keys: [bench.key], uptime: 5000 });
    await bench.call('PATCH', `/machines/${mac}`, { boot_policy: 'flash-once' });
    await flash(bench, mac);
    const asOld = await reaches(bench, mac, ({ id, stage }) => id > asLive.id && stage === 'ended');
    assert.match(asOld.error ?? '', /has been up for 50\d\d s, longer than since the flash/);
    assert.equal(wrote(await outputOf(bench, asOld.id), 'stdout'), '');
    // By hand an operator may mean a system that runs for long.
    await bench.call('POST', `/machines/${mac}/task`);
    assert.equal((await ended(bench, mac)).status, 'completed');
  });

  test('without a key there are no tasks; a key that others may read is not used', async (context) => {
    const bench = await startBench(context);
    await saveTask(bench, 'hello', hello);
    await bind(bench, mac, address, 'hello');
    const { value } = await bench.call('GET', '/tasks/key');
    const { path } = value as { path: string };
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
    chmodSync(path, 0o644);
    const open = await bench.call('POST', `/machines/${mac}/task`);
    assert.equal(open.status, 409);
    assert.match(JSON.stringify(open.value), /TASK_KEY_UNUSABLE.*|mode 0644/);
    chmodSync(path, 0o600);
    const off = await startBench(context);
    await saveTask(off, 'hello', hello);
    await bind(off, mac, address, 'hello');
    const { rmSync } = await import('node:fs');
    rmSync(join(off.stateDir, 'keys'), { recursive: true });
    assert.equal(((await off.call('GET', '/tasks/key')).value as unknown) ?? null, null);
    const refused = await off.call('POST', `/machines/${mac}/task`);
    assert.equal((refused.value as { code: string }).code, 'TASKS_OFF');
    await flash(off, mac);
    const state = await ended(off, mac);
    assert.equal(state.code, 'TASKS_OFF', 'a task that was to run is not forgotten in silence');
    // The public half in its place, a passphrase, a pipe: each is told as what it is.
    const odd = { ...off };
    for (const [content, told] of [
      [off.key, /no private key|public key/],
      ['-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n', /no private key/],
    ] as const) {
      const { mkdirSync } = await import('node:fs');
      mkdirSync(join(odd.stateDir, 'keys'), { recursive: true, mode: 0o700 });
      writeFileSync(join(odd.stateDir, 'keys', 'id_ed25519'), content, { mode: 0o600 });
      const answer = await off.call('GET', '/tasks/key');
      assert.equal(answer.status, 409);
      assert.match(JSON.stringify(answer.value), told);
    }
  });

  test('neither the key nor what is done on machines gets into logs and events', async (context) => {
    const bench = await startBench(context);
    await saveTask(bench, 'hello', 'steps:\n- name: hello\n  run: echo sesame-in-the-command && exit 3\n');
    await bind(bench, mac, address, 'hello');
    await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    const state: TaskState = await ended(bench, mac);
    assert.equal(state.code, 'TASK_STEP_FAILED');
    assert.equal(state.returncode, 3);
    const secret = readFileSync(join(bench.stateDir, 'keys', 'id_ed25519'), 'utf8').split('\n')[2] ?? '';
    assert.ok(secret.length > 20);
    const events = JSON.stringify((await bench.call('GET', '/events?limit=500')).value);
    const answers = JSON.stringify([
      (await bench.call('GET', '/tasks')).value,
      (await bench.call('GET', '/tasks/key')).value,
    ]);
    for (const place of [bench.log.join(''), events, answers]) {
      assert.ok(!place.includes(secret));
      assert.ok(!place.includes('sesame-in-the-command'));
    }
  });
});
