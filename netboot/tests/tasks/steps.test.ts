/** What steps say of themselves, and what they must not believe. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../testing.ts';
import { bind, ended, outputOf, saveTask, startBench, wrote } from './bench.ts';
import { inOwnSpace } from './space.ts';
import { startSshd } from './sshd.ts';

const mac = '52:54:00:ee:00:01';
const address = '127.0.0.12';

inOwnSpace(import.meta.url, 'single steps, in a network of their own', () => {
  test('a step that copies has no exit code, whatever the command before it ended with', async (context) => {
    const bench = await startBench(context);
    await saveTask(
      bench,
      'copy',
      'steps:\n- name: good\n  run: echo fine\n- name: bad\n  uses: core.put\n  with: {src: none, dst: /tmp/none}\n',
    );
    await bind(bench, mac, address, 'copy');
    await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    const state = await ended(bench, mac);
    assert.deepEqual(
      state.steps.map(({ status, exit_code }) => [status, exit_code]),
      [
        ['completed', 0],
        ['failed', null],
      ],
    );
    assert.equal(state.returncode, null);
  });

  test('a command that a signal ended is told with the name of the signal', async (context) => {
    const bench = await startBench(context);
    await saveTask(bench, 'term', 'steps:\n- name: dies\n  run: exec sh -c \'kill -TERM "$$"\'\n');
    await bind(bench, mac, address, 'term');
    await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    const state = await ended(bench, mac);
    assert.match(state.error ?? '', /(was ended by SIGTERM\b|ended with code 143)/);
    assert.doesNotMatch(state.error ?? '', /SIGSIG/);
  });

  test('a machine that does not tell its boot id is not rebooted, since nothing could prove it', async (context) => {
    const bench = await startBench(context);
    const said = join(temporaryDirectory(context), 'rebooted');
    await saveTask(bench, 'blind', 'steps:\n- name: reboot\n  uses: bty.reboot_and_wait\n');
    await bind(bench, mac, address, 'blind');
    await startSshd(context, {
      address,
      keys: [bench.key],
      reboots: said,
      config: [
        `ForceCommand case "$SSH_ORIGINAL_COMMAND" in *boot_id*) exit 1;; *) eval "$SSH_ORIGINAL_COMMAND";; esac`,
      ],
    });
    await bench.call('POST', `/machines/${mac}/task`);
    const state = await ended(bench, mac);
    assert.match(state.error ?? '', /does not tell its boot id, so nothing could prove that it rebooted/);
    assert.throws(() => readFileSync(said));
  });

  test('verbatim: nothing is asked but the commands of the task', async (context) => {
    const bench = await startBench(context, { taskVerbatim: true });
    const asked = join(temporaryDirectory(context), 'asked');
    await saveTask(
      bench,
      'plain',
      'steps:\n- name: first\n  run: first\n- name: up\n  uses: core.wait_for_transport\n- name: second\n  run: second\n- name: reboot\n  uses: bty.reboot_and_wait\n',
    );
    await bind(bench, mac, address, 'plain');
    await startSshd(context, {
      address,
      keys: [bench.key],
      config: [`ForceCommand echo "$SSH_ORIGINAL_COMMAND" >>${asked}`],
    });
    await bench.call('POST', `/machines/${mac}/task`);
    const state = await ended(bench, mac);
    assert.match(state.error ?? '', /with --task-verbatim only commands of the task are sent/);
    assert.equal(readFileSync(asked, 'utf8'), 'first\nsecond\n');
  });

  test('a command that its variables make endless is refused; a long one is told whole, and so are reports of half a line', async (context) => {
    const bench = await startBench(context);
    const [word, name] = ['w'.repeat(40), Array(4).fill('h'.repeat(60)).join('.')];
    await saveTask(
      bench,
      'long',
      `steps:\n- name: long\n  run: 'echo ${'{{machine.labels.w}}'.repeat(500)}'\n- name: endless\n  run: 'echo ${'{{machine.hostname}}'.repeat(800)}'\n`,
    );
    await bind(bench, mac, address, 'long');
    await bench.call('PATCH', `/machines/${mac}`, {
      hostname: name,
      labels: { 'task-address': address, w: word },
    });
    await startSshd(context, { address, keys: [bench.key] });
    await bench.call('POST', `/machines/${mac}/task`);
    const state = await ended(bench, mac);
    assert.match(state.error ?? '', /"endless".*longer than 100000 letters/);
    const pieces = await outputOf(bench, state.id);
    assert.equal(wrote(pieces, 'stdout'), `${word.repeat(500)}\n`);
    assert.ok(pieces.every(({ text }) => text.length <= 16 * 1024));
    appendFileSync(join(state.run_dir, 'output.ndjson'), '{"at":1,"st\n');
    for (const kind of ['report', 'junit']) {
      const report = await bench.call('GET', `/tasks/runs/${state.id}/${kind}`);
      assert.equal(report.status, 200, kind);
    }
  });
});
