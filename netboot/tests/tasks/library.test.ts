/** Task files over HTTP: what is refused and where, versions, who may do what. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TaskFile, TaskState, Validation } from '../../../shared/contract/task.ts';
import { putMachine } from '../../machines/testing.ts';
import { startTestAppliance, type TestAppliance, temporaryDirectory } from '../../testing.ts';
import { type Bench, ended, saveTask, startBench } from './bench.ts';

const one = 'doc: |\n  First line.\n  Second line.\nsteps:\n- name: a\n  run: echo 1\n';
const two = one.replace('echo 1', 'echo 2');
const mac = '52:54:00:ee:00:01';

test('a task file is saved, edited, read in each of its versions, and deleted when nothing runs it any more', async (context) => {
  const bench = await startBench(context);
  await saveTask(bench, 'finish', one);
  await saveTask(bench, 'finish', two);
  await saveTask(bench, 'finish', two);
  const { value } = await bench.call('GET', '/tasks/library');
  const [file] = (value as { tasks: TaskFile[] }).tasks;
  assert.deepEqual([file?.name, file?.version, file?.summary, file?.steps], ['finish', 2, 'First line.', 1]);
  const versions = (await bench.call('GET', '/tasks/library/finish/versions')).value as {
    versions: TaskFile[];
  };
  assert.deepEqual(
    versions.versions.map(({ version }) => version),
    [2, 1],
  );
  const text = async (query: string) =>
    ((await bench.call('GET', `/tasks/library/finish${query}`)).value as { text: string }).text;
  assert.equal(await text(''), two);
  assert.equal(await text('?version=1'), one);
  assert.equal((await bench.call('GET', '/tasks/library/finish?version=3')).status, 404);
  await putMachine(bench, mac, { provisioning_mode: 'cijoe-task', cijoe_task_ref: 'finish@1' });
  const used = await bench.call('DELETE', '/tasks/library/finish');
  assert.equal(used.status, 409);
  assert.match(JSON.stringify(used.value), /1 machines are set to run the task/);
  await putMachine(bench, mac, {});
  assert.equal((await bench.call('DELETE', '/tasks/library/finish')).status, 204);
  assert.equal((await bench.call('DELETE', '/tasks/library/finish')).status, 404);
  const events = (await bench.call('GET', '/events?subject_kind=task')).value as {
    events: { kind: string }[];
  };
  assert.deepEqual(
    events.events.map(({ kind }) => kind),
    ['task.deleted', 'task.saved', 'task.saved', 'task.key.made'],
  );
});

test('what is no task is refused when it is saved, with line and column', async (context) => {
  const bench = await startBench(context);
  const bad = 'steps:\n- name: a\n  uses: fio.install\n- name: b\n  run: [1]\n';
  const refused = await bench.call('PUT', '/tasks/library/bad', { text: bad });
  assert.equal(refused.status, 422);
  const { detail } = refused.value as { detail: { ctx: unknown; msg: string }[] };
  assert.deepEqual(
    detail.map(({ ctx }) => ctx),
    [
      { line: 3, column: 9 },
      { line: 5, column: 9 },
    ],
  );
  assert.match(
    detail[0]?.msg ?? '',
    /line 3, column 9: "fio.install" is not built in; tasks may use core.cmdrunner/,
  );
  assert.equal((await bench.call('GET', '/tasks/library/bad')).status, 404);
  const checked = (await bench.call('POST', '/tasks/validate', { text: bad })).value as Validation;
  assert.equal(checked.valid, false);
  assert.deepEqual(
    checked.faults.map(({ line, column }) => [line, column]),
    [
      [3, 9],
      [5, 9],
    ],
  );
  const good = (await bench.call('POST', '/tasks/validate', { text: one })).value as Validation;
  assert.deepEqual(good.steps, [{ name: 'a', uses: 'core.cmdrunner', line: 5 }]);
  for (const name of ['..', 'a%2Fb', '.hidden', 'a b', '%00', `x${'y'.repeat(200)}`]) {
    const { status } = await bench.call('PUT', `/tasks/library/${name}`, { text: one });
    assert.ok(status === 400 || status === 404 || status === 405, `${name}: ${status}`);
  }
  assert.equal((await bench.call('PUT', '/tasks/library/x', { text: 'x'.repeat(70_000) })).status, 422);
  assert.equal((await bench.call('PUT', '/tasks/library/x', { text: 5 })).status, 422);
});

test('a task by its path: read at each run, refused when it is none, and nothing of another file is told', async (context) => {
  const bench = await startBench(context, { taskWaitSeconds: 1 });
  const folder = temporaryDirectory(context);
  const path = join(folder, 'task.yaml');
  writeFileSync(path, one);
  await putMachine(bench, mac, { labels: { 'task-address': '127.0.0.1' } });
  const run = (task_ref: string) => bench.call('POST', `/machines/${mac}/task`, { task_ref });
  assert.equal((await run(path)).status, 202);
  const state: TaskState = await ended(bench, mac);
  const failed = await bench.call('GET', '/machines?task_status=failed');
  assert.deepEqual(
    (failed.value as { mac: string }[]).map((each) => each.mac),
    [mac],
  );
  assert.deepEqual((await bench.call('GET', '/machines?task_status=completed')).value, []);
  assert.equal(state.version, null);
  assert.equal(readFileSync(join(state.run_dir, 'task.yaml'), 'utf8'), one);
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'sesame: 1\n');
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  mkdirSync(join(folder, 'folder'));
  writeFileSync(join(folder, 'binary'), Buffer.from([0xff, 0xfe, 0x00]));
  const refusals: readonly (readonly [string, number, RegExp])[] = [
    [secret, 422, /line 1, column 1 is not what a task has/],
    ['/dev/zero', 404, /it is no file/],
    [join(folder, 'pipe'), 404, /it is no file/],
    [join(folder, 'folder'), 404, /it is no file/],
    [join(folder, 'binary'), 422, /no UTF-8/],
    [join(folder, 'none'), 404, /no such file/],
    ['relative/task.yaml', 404, /neither a name nor an absolute path/],
    ['unknown', 404, /the registry has none/],
    ['unknown@7', 404, /the registry has none/],
  ];
  for (const [ref, status, told] of refusals) {
    const answer = await run(ref);
    assert.equal(answer.status, status, ref);
    assert.match(JSON.stringify(answer.value), told, ref);
    assert.doesNotMatch(JSON.stringify(answer.value), /sesame/);
  }
  assert.equal((await bench.call('POST', '/machines/52:54:00:ee:00:99/task', {})).status, 404);
  assert.equal((await bench.call('POST', `/machines/${mac}/task`)).status, 409, 'none is set');
});

test('files for machines are uploaded, listed and deleted; no name leads out of their folder', async (context) => {
  const bench = await startBench(context);
  const put = (name: string, body: string) => bench.askAdmin(`/tasks/files/${name}`, { method: 'PUT', body });
  assert.equal((await put('motd', 'welcome\n')).status, 200);
  assert.equal((await put('motd', 'hello\n')).status, 200);
  assert.equal(readFileSync(join(bench.stateDir, 'task-files', 'motd'), 'utf8'), 'hello\n');
  for (const name of ['..', '..%2Fx', '.hidden', 'a%2Fb', '%00', 'a b', 'x'.repeat(200)])
    assert.ok([400, 404, 405].includes((await put(name, 'x')).status), name);
  const listed = (await bench.call('GET', '/tasks/files')).value as {
    files: { name: string; size_bytes: number }[];
  };
  assert.deepEqual(
    listed.files.map(({ name, size_bytes }) => [name, size_bytes]),
    [['motd', 6]],
  );
  assert.equal(await statusOfUpload(bench, '/tasks/files/large', 65), 413);
  assert.deepEqual(readdirSync(join(bench.stateDir, 'task-files')), ['motd']);
  const crashed = join(bench.stateDir, 'task-files', `.${'a'.repeat(18)}.partial`);
  writeFileSync(crashed, 'half');
  utimesSync(crashed, 0, 0);
  for (let count = 1; count < 200; count++)
    writeFileSync(join(bench.stateDir, 'task-files', `file-${count}`), '');
  assert.equal((await put('one-too-many', '')).status, 409);
  assert.equal((await put('motd', 'anew\n')).status, 200);
  assert.ok(!existsSync(crashed));
  assert.equal((await bench.call('DELETE', '/tasks/files/motd')).status, 204);
  assert.equal((await bench.call('DELETE', '/tasks/files/motd')).status, 404);
});

test('who may look may not run, save, cancel or make the key; only who may all makes it', async (context) => {
  const bench = await startBench(context);
  await saveTask(bench, 'finish', one);
  const [read, operate] = [await bench.makeToken('read'), await bench.makeToken('operate')];
  const as = async (token: string, method: string, path: string, body?: string) => {
    const headers = { authorization: `Bearer ${token}` };
    return (await bench.ask(path, { method, headers, ...(body === undefined ? {} : { body }) })).status;
  };
  for (const path of [
    '/tasks',
    '/tasks/library',
    '/tasks/library/finish',
    '/tasks/runs',
    '/tasks/key',
    '/tasks/schema',
  ]) {
    assert.equal(await as(read, 'GET', path), 200, path);
    assert.equal((await bench.ask(path)).status, 401, path);
  }
  const text = JSON.stringify({ text: one });
  assert.equal(await as(read, 'POST', '/tasks/validate', text), 200);
  assert.equal(await as(read, 'PUT', '/tasks/library/finish', text), 403);
  assert.equal(await as(read, 'DELETE', '/tasks/library/finish'), 403);
  assert.equal(await as(read, 'POST', `/machines/${mac}/task`, '{}'), 403);
  assert.equal(await as(read, 'DELETE', `/tasks/${mac}`), 403);
  assert.equal(await as(read, 'DELETE', `/machines/${mac}/host-key`), 403);
  assert.equal(await as(operate, 'POST', '/tasks/key'), 403);
  assert.equal(await as(operate, 'PUT', '/tasks/library/finish', text), 200);
});

test('a key that a command made, changed or took away is told by an event, once', async (context) => {
  const stateDir = temporaryDirectory(context);
  const run = (folder: string, ...args: string[]) => {
    const program = join(import.meta.dirname, '..', '..', 'main.ts');
    const all = [program, ...args, '--state-dir', folder];
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return stdout.trim();
  };
  const fileIn = (folder: string) => join(folder, 'keys', 'id_ed25519');
  const start = () => startTestAppliance(context, { stateDir });
  const news = async (appliance: TestAppliance) => {
    const { events } = (await (await appliance.askAdmin('/events?subject_kind=task')).json()) as {
      events: { kind: string; actor: string; details: { fingerprint: string | null } }[];
    };
    return events.map(({ kind, actor, details }) => [kind, actor, details.fingerprint]).reverse();
  };
  const printOf = async (appliance: TestAppliance) =>
    ((await (await appliance.askAdmin('/tasks/key')).json()) as { fingerprint: string } | null)
      ?.fingerprint ?? null;
  const line = run(stateDir, 'task', 'key', 'make');
  assert.equal(run(stateDir, 'task', 'key'), line);
  const first = await start();
  const print = await printOf(first);
  assert.ok(print);
  assert.deepEqual(await news(first), [['task.key.found', 'system', print]]);
  rmSync(fileIn(stateDir));
  assert.equal(await printOf(first), null);
  assert.notEqual(run(stateDir, 'task', 'key', 'make'), line);
  const next = await printOf(first);
  assert.ok(next !== null && next !== print);
  await first.close();
  const other = temporaryDirectory(context);
  run(other, 'task', 'key', 'make');
  writeFileSync(fileIn(stateDir), readFileSync(fileIn(other)));
  const second = await start();
  const last = await printOf(second);
  assert.deepEqual(await news(second), [
    ['task.key.found', 'system', print],
    ['task.key.gone', 'system', null],
    ['task.key.found', 'system', next],
    ['task.key.changed', 'system', last],
  ]);
});

test('bty-web task validate says each fault as FILE:LINE:COLUMN, with exit code 1', (context) => {
  const folder = temporaryDirectory(context);
  const run = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    const program = join(import.meta.dirname, '..', '..', 'main.ts');
    return spawnSync(process.execPath, [program, 'task', 'validate', name], {
      cwd: folder,
      encoding: 'utf8',
    });
  };
  const good = run('good.yaml', one);
  assert.deepEqual([good.status, good.stdout], [0, 'good.yaml: ok (1 step)\n']);
  const bad = run('bad.yaml', 'steps:\n- name: a\n');
  assert.equal(bad.status, 1);
  assert.equal(bad.stdout, 'bad.yaml:2:3: a step needs "run" or "uses"\n');
});

/** Status of the answer to a PUT of so many MiB, which may come before all of them went out. */
async function statusOfUpload(bench: Bench, path: string, mebibytes: number): Promise<number> {
  const { hostname, port } = new URL(bench.url);
  const headers = { authorization: `Bearer ${await bench.makeToken('operate')}` };
  return new Promise((resolve, reject) => {
    const sent = request({ host: hostname, port, path, method: 'PUT', headers, agent: false });
    let status: number | null = null;
    sent.once('response', (answer) => {
      status = answer.statusCode ?? 0;
      answer.resume();
      resolve(status);
    });
    // The connection ends under what is still to be sent.
    sent.on('error', (error) => {
      if (status === null) reject(error);
    });
    const mebibyte = Buffer.alloc(1024 * 1024);
    for (let index = 0; index < mebibytes; index++) sent.write(mebibyte);
    sent.end();
  });
}
