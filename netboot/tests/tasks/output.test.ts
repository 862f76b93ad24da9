/** What machines write, how much of it is kept, who sees it, and many machines at once. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TaskOutput, TaskState } from '../../../shared/contract/task.ts';
import { until } from '../../testing/files.ts';
import { temporaryDirectory } from '../../testing.ts';
import { type Bench, bind, ended, flash, outputOf, reaches, saveTask, startBench, wrote } from './bench.ts';
import { inOwnSpace } from './space.ts';
import { makeHostKey, startSshd } from './sshd.ts';

const mac = '52:54:00:dd:00:01';
const address = '127.0.0.6';

async function done(bench: Bench, task: string, text: string): Promise<TaskState> {
  await saveTask(bench, task, text);
  await bind(bench, mac, address, task);
  const { value } = await bench.call('POST', `/machines/${mac}/task`);
  const { id } = value as TaskState;
  return reaches(bench, mac, (state) => state.id === id && state.stage === 'ended');
}

interface Sent {
  readonly id: number | null;
  readonly event: string;
  readonly data: string;
}

/** Events of a stream, until `enough` of them or its end. */
async function* events(
  bench: Bench,
  path: string,
  headers: Record<string, string> = {},
): AsyncGenerator<Sent> {
  const controller = new AbortController();
  try {
    const answer = await bench.askAdmin(path, { headers, signal: controller.signal });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/event-stream/);
    let rest = '';
    const decoder = new TextDecoder();
    for await (const piece of answer.body ?? []) {
      rest += decoder.decode(piece as Uint8Array, { stream: true });
      const blocks = rest.split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? null;
        const event = field('event');
        if (event === null) continue;
        const id = field('id');
        yield { id: id === null ? null : Number(id), event, data: field('data') ?? '' };
      }
    }
  } finally {
    controller.abort();
  }
}

inOwnSpace(import.meta.url, 'the output of tasks, in a network of their own', () => {
  test('a flood of output is bounded in memory and on the disk; its start and its end are kept', async (context) => {
    const bench = await startBench(context, { taskOutputBytes: 256 * 1024 });
    await startSshd(context, { address, keys: [bench.key] });
    const megabytes = 48;
    let most = 0;
    const before = process.memoryUsage.rss();
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss() - before);
    }, 50);
    context.after(() => clearInterval(timer));
    const state = await done(
      bench,
      'flood',
      `steps:\n- name: flood\n  run: echo begin; yes 0123456789abcde | head -c ${megabytes * 1048576}; echo end\n`,
    );
    clearInterval(timer);
    assert.equal(state.status, 'completed', state.error ?? '');
    assert.equal(state.output_bytes, megabytes * 1048576 + 10);
    const kept = readFileSync(join(state.run_dir, 'cijoe.stdout'), 'latin1');
    // Small pieces, such as the first one, count for more than they carry.
    const room = (256 + 64) * 1024;
    assert.ok(kept.length <= room && kept.length > room - 4096, `${kept.length} bytes were kept`);
    assert.ok(kept.startsWith('begin\n0123') && kept.endsWith('e\nend\n'));
    assert.equal(state.output_dropped, state.output_bytes - kept.length);
    const text = (await outputOf(bench, state.id)).map((piece) => piece.text).join('');
    assert.ok(text.includes(`[${state.output_dropped} bytes of output were left out here]`));
    assert.ok(statSync(join(state.run_dir, 'output.ndjson')).size < 2 * 1024 * 1024);
    assert.ok(most < 150 * 1024 * 1024, `${most} bytes of memory`);
  });

  test('a flood of the smallest pieces is bounded, too', async (context) => {
    const bench = await startBench(context, { taskOutputBytes: 4096 });
    await startSshd(context, { address, keys: [bench.key] });
    const loop = 'i=0; while [ $i -lt 3000 ]; do printf x; printf y >&2; i=$((i+1)); done';
    const state = await done(bench, 'drops', `steps:\n- name: drops\n  run: '${loop}'\n`);
    assert.equal(state.status, 'completed', state.error ?? '');
    assert.equal(state.output_bytes, 6000);
    assert.ok(statSync(join(state.run_dir, 'output.ndjson')).size < 600 * 1024);
  });

  test('output that is no UTF-8 is kept byte for byte and shown with marks', async (context) => {
    const bench = await startBench(context);
    await startSshd(context, { address, keys: [bench.key] });
    const state = await done(
      bench,
      'bytes',
      `steps:
- name: bytes
  run:
  - printf 'a\\377\\376b\\000c'
  - printf '\\303'; sleep 0.3; printf '\\244\\n'
  - printf '\\033[2J<b>\\r\\n\\360\\237'
`,
    );
    assert.equal(state.status, 'completed', state.error ?? '');
    const kept = readFileSync(join(state.run_dir, 'cijoe.stdout'));
    const wanted = Buffer.from('61fffe620063c3a40a1b5b324a3c623e0d0af09f', 'hex');
    assert.equal(Buffer.compare(kept, wanted), 0, kept.toString('hex'));
    const text = wrote(await outputOf(bench, state.id), 'stdout');
    assert.equal(text, 'a\ufffd\ufffdb\0cä\n\x1b[2J<b>\r\n\ufffd');
    const report = await (await bench.askAdmin(`/tasks/runs/${state.id}/report`)).text();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may be there
    assert.doesNotMatch(report, /[\x00-\x08\x0b-\x1f]/);
    const junit = await (await bench.askAdmin(`/tasks/runs/${state.id}/junit`)).text();
    assert.match(junit, /&lt;b&gt;/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may be in XML
    assert.doesNotMatch(junit, /[\x00-\x08\x0b\x0c\x0e-\x1f]/);
  });

  test('the output is seen while it comes, and a reader that comes again goes on where it was', async (context) => {
    const bench = await startBench(context);
    const folder = temporaryDirectory(context);
    const gate = join(folder, 'gate');
    await startSshd(context, { address, keys: [bench.key] });
    await saveTask(
      bench,
      'live',
      `steps:\n- name: one\n  run: echo first; while ! [ -e ${gate} ]; do sleep 0.05; done; echo second\n- name: two\n  run: echo third\n`,
    );
    await bind(bench, mac, address, 'live');
    const { id } = (await bench.call('POST', `/machines/${mac}/task`)).value as TaskState;
    let last = 0;
    for await (const each of events(bench, `/tasks/runs/${id}/live`)) {
      if (each.event !== 'output' || each.id === null) continue;
      last = each.id;
      const piece = JSON.parse(each.data) as TaskOutput;
      if (piece.stream === 'stdout' && piece.text.includes('first')) break;
    }
    writeFileSync(gate, '');
    const rest: Sent[] = [];
    for await (const each of events(bench, `/tasks/runs/${id}/live`, { 'last-event-id': String(last) }))
      rest.push(each);
    const texts = rest
      .filter(({ event }) => event === 'output')
      .map(({ data }) => (JSON.parse(data) as { text: string }).text);
    const all = texts.join('');
    assert.ok(!all.includes('first') && all.includes('second') && all.includes('third'), all);
    assert.equal(rest.at(-1)?.event, 'end');
    const state = rest.findLast(({ event }) => event === 'state');
    assert.equal((JSON.parse(state?.data ?? '{}') as TaskState).status, 'completed');
    assert.equal((await bench.askAdmin('/tasks/runs/999999/live')).status, 404);
  });

  test('files go to the machine and come from it', async (context) => {
    const bench = await startBench(context, { taskOutputBytes: 100_000 });
    const folder = temporaryDirectory(context);
    await startSshd(context, { address, keys: [bench.key] });
    const files = join(bench.stateDir, 'task-files');
    mkdirSync(files);
    const content = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256));
    writeFileSync(join(files, 'blob.bin'), content);
    const state = await done(
      bench,
      'files',
      `steps:
- name: there
  uses: core.put
  with: {src: blob.bin, dst: ${folder}/there.bin}
- name: back
  uses: core.get
  with: {src: ${folder}/there.bin, dst: back.bin}
- name: nothing there
  uses: core.get
  with: {src: ${folder}/none, dst: none.bin}
`,
    );
    assert.deepEqual(
      state.steps.map(({ status }) => status),
      ['completed', 'completed', 'failed'],
      JSON.stringify(state.steps),
    );
    assert.equal(Buffer.compare(readFileSync(join(folder, 'there.bin')), content), 0);
    assert.equal(Buffer.compare(readFileSync(join(state.run_dir, 'files', 'back.bin')), content), 0);
    assert.match(state.error ?? '', /No such file/);
    const missing = await done(
      bench,
      'none',
      'steps:\n- name: a\n  uses: core.put\n  with: {src: absent, dst: /tmp/x}\n',
    );
    assert.match(missing.error ?? '', /the appliance has no file "absent"/);
  });

  test('what is left in the background does not keep a step waiting', async (context) => {
    const bench = await startBench(context);
    await startSshd(context, { address, keys: [bench.key] });
    const state = await done(bench, 'background', 'steps:\n- name: leave\n  run: sleep 3000 & echo left\n');
    assert.equal(state.status, 'completed', state.error ?? '');
    assert.ok((state.steps[0]?.duration ?? 9999) < 200);
    assert.ok(wrote(await outputOf(bench, state.id), 'bty').includes('running in the background'));
  });

  test('twenty machines at once: as many tasks run as are allowed, and all come to their end', async (context) => {
    const parallel = 4;
    const bench = await startBench(context, { taskParallel: parallel });
    const hostKey = makeHostKey(temporaryDirectory(context));
    await saveTask(bench, 'many', 'steps:\n- name: a\n  run: echo {{ machine.mac }}; sleep 1\n');
    const all = Array.from({ length: 20 }, (_, index) => {
      const place = String(index + 10);
      return { mac: `52:54:00:dd:01:${place}`, address: `127.0.2.${place}` };
    });
    for (const each of all) {
      await bind(bench, each.mac, each.address, 'many');
      await flash(bench, each.mac);
    }
    // One server on all addresses: what is tried here is the appliance.
    await startSshd(context, { address: '0.0.0.0', keys: [bench.key], hostKey });
    const states = await Promise.all(all.map((each) => ended(bench, each.mac, 400)));
    assert.deepEqual(
      [...new Set(states.map(({ status, error }) => `${status} ${error}`))],
      ['completed null'],
    );
    for (const state of states)
      assert.equal(readFileSync(join(state.run_dir, 'cijoe.stdout'), 'utf8'), `${state.mac}\n`);
    const spans = states.map(({ steps }) => {
      const [step] = steps;
      return { from: step?.started_at ?? 0, to: (step?.started_at ?? 0) + (step?.duration ?? 0) };
    });
    const together = spans.map(
      ({ from }) => spans.filter((span) => span.from <= from && from < span.to).length,
    );
    assert.ok(Math.max(...together) <= parallel, `${Math.max(...together)} at once`);
    assert.ok(Math.max(...together) > 1);
  });

  test('old runs are taken away, with their folders, and never one that runs', async (context) => {
    const bench = await startBench(context, { taskRunsKept: 2 });
    await startSshd(context, { address, keys: [bench.key] });
    const states: TaskState[] = [];
    for (let index = 0; index < 4; index++)
      states.push(await done(bench, 'short', 'steps:\n- name: a\n  run: echo hi\n'));
    // The folders go first.
    const left = await until('the first two are gone', async () => {
      const { value } = await bench.call('GET', `/tasks/runs?mac=${mac}`);
      const ids = (value as { runs: TaskState[] }).runs.map(({ id }) => id);
      return ids.length <= 2 ? ids : false;
    });
    assert.deepEqual(left, [states[3]?.id, states[2]?.id]);
    assert.deepEqual(
      states.map(({ run_dir }) => existsSync(run_dir)),
      [false, false, true, true],
    );
    assert.equal((await bench.call('GET', `/tasks/runs/${states[0]?.id}`)).status, 404);
  });
});
