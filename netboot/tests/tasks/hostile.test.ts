/** Machines that stop answering, speak out of turn, or fill the disk; and runs that meet one another. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import ssh2, {
  type AuthContext,
  type Connection,
  type ExecInfo,
  type ServerChannel,
  type SFTPWrapper,
} from 'ssh2';
import type { TaskState } from '../../../shared/contract/task.ts';
import type { Config } from '../../config/settings.ts';
import { putMachine } from '../../machines/testing.ts';
import { newKey } from '../../tasks/key.ts';
import { until } from '../../testing/files.ts';
import { temporaryDirectory } from '../../testing.ts';
import { type Bench, ended, outputOf, reaches, saveTask, startBench, wrote } from './bench.ts';
import { inOwnSpace } from './space.ts';
import { processesWith, startSshd } from './sshd.ts';

const mac = '52:54:00:ab:00:01';
/** Of the server that has no manners, and of Debian's. */
const [rude, polite] = ['127.0.0.31', '127.0.0.32'];
const word = (place: number) => `${2_000_000 + process.pid}.${place}`;
const get = 'steps:\n- name: a\n  uses: core.get\n  with: {src: /etc/motd, dst: motd}\n';
const run = 'steps:\n- name: a\n  run: "true"\n';

interface Manners {
  /** In the place of letting everybody in. */
  readonly login?: (attempt: AuthContext) => void;
  readonly exec?: (accept: () => ServerChannel, info: ExecInfo, client: Connection) => void;
  readonly sftp?: (accept: () => SFTPWrapper) => void;
}

/** A server that lets everybody in, answers signs of life, and does with requests what `manners` says. */
async function startServer(context: TestContext, manners: Manners): Promise<void> {
  const hostKey = await newKey();
  const clients = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
    clients.add(client);
    client.on('authentication', manners.login ?? ((attempt) => attempt.accept()));
    client.on('error', () => {});
    client.on('session', (accept) => {
      const session = accept();
      session.on('exec', (take, _, info) => manners.exec?.(take, info, client));
      session.on('sftp', (take) => manners.sftp?.(take));
    });
  });
  await new Promise<void>((resolve) => server.listen(22, rude, resolve));
  context.after(() => {
    for (const client of clients) client.end();
    server.close();
  });
}

async function startRun(bench: Bench, text: string, address = rude): Promise<TaskState> {
  await saveTask(bench, 't', text);
  await putMachine(bench, mac, {
    hostname: 'box',
    labels: { 'task-address': address },
    provisioning_mode: 'cijoe-task',
    cijoe_task_ref: 't',
  });
  return (await bench.call('POST', `/machines/${mac}/task`)).value as TaskState;
}

async function sshd(
  context: TestContext,
  text: string,
  config: Partial<Config> = {},
  stateDir?: string,
): Promise<Bench> {
  const bench = await startBench(context, { taskIdentity: 'address', ...config }, stateDir);
  await startSshd(context, { address: polite, keys: [bench.key], uptime: null });
  await startRun(bench, text, polite);
  return bench;
}

async function runsOf(bench: Bench): Promise<readonly TaskState[]> {
  const { value } = await bench.call('GET', `/tasks/runs?mac=${mac}`);
  return (value as { runs: TaskState[] }).runs;
}

inOwnSpace(import.meta.url, 'hostile machines, in a network of their own', () => {
  const silent: readonly (readonly [string, string, Manners])[] = [
    ['the opening of a command', run, { exec: () => {} }],
    ['the opening of file transfer', get, { sftp: () => {} }],
    ['the opening of a file', get, { sftp: (accept) => void accept().on('OPEN', () => {}) }],
    [
      'the reading and closing of a file',
      get,
      {
        sftp: (accept) => {
          const files = accept();
          files.on('OPEN', (id) => files.handle(id, Buffer.from('h')));
          files.on('FSTAT', (id) =>
            files.attrs(id, { size: 100, mode: 0o100644, uid: 0, gid: 0, atime: 0, mtime: 0 }),
          );
          files.on('READ', () => {});
          files.on('CLOSE', () => {});
        },
      },
    ],
  ];
  for (const [what, text, manners] of silent)
    test(`a machine that lives and never answers ${what} has the time of a step, and no more`, async (context) => {
      const bench = await startBench(context, { taskIdentity: 'address', taskStepSeconds: 1 });
      await startServer(context, manners);
      await startRun(bench, text);
      const state = await ended(bench, mac);
      assert.equal(state.code, 'TASK_STEP_TIMEOUT', state.error ?? '');
    });

  test('a question of ours that is never answered does not let a machine in, and ends with the waiting', async (context) => {
    const bench = await startBench(context, { taskIdentity: 'strict', taskWaitSeconds: 2 });
    await startServer(context, { exec: () => {} });
    await startRun(bench, run);
    const state = await ended(bench, mac);
    assert.equal(state.code, 'TASK_HOST_MISSING');
    assert.match(state.error ?? '', /does not say which system it is/);
  });

  test('a machine that asks for passwords, one way or the other, is told nothing', async (context) => {
    const bench = await startBench(context, { taskLoginSeconds: 0 });
    const methods: string[] = [];
    await startServer(context, {
      login: (attempt) => {
        methods.push(attempt.method);
        if (attempt.method === 'password' || attempt.method === 'keyboard-interactive') attempt.accept();
        else attempt.reject(['password', 'keyboard-interactive']);
      },
    });
    await startRun(bench, run);
    const state = await ended(bench, mac);
    assert.equal(state.code, 'TASK_LOGIN_REFUSED', state.error ?? '');
    assert.ok(methods.includes('publickey'), methods.join(' '));
    assert.deepEqual(
      methods.filter((method) => method !== 'publickey' && method !== 'none'),
      [],
    );
  });

  test('an appliance that stops does not wait for a machine that never answers', async (context) => {
    const bench = await startBench(context, { taskIdentity: 'strict' });
    const asked = Promise.withResolvers<void>();
    await startServer(context, { exec: () => asked.resolve() });
    await startRun(bench, run);
    await asked.promise;
    const began = performance.now();
    await bench.close();
    assert.ok(performance.now() - began < 8000);
  });

  test('starts that come at once enter one run, and what is cancelled the moment it is seen is cancelled', async (context) => {
    const bench = await startBench(context, { taskIdentity: 'address' });
    await startRun(bench, run);
    await bench.call('DELETE', `/tasks/${mac}`);
    await ended(bench, mac);
    for (let round = 0; round < 10; round++) {
      const start = () => bench.call('POST', `/machines/${mac}/task`);
      const before = (await runsOf(bench)).length;
      const starts = Array.from({ length: 6 }, start);
      await until('a run is seen', async () => (await runsOf(bench))[0]?.status === 'running');
      const { value } = await bench.call('DELETE', `/tasks/${mac}`);
      const ids = (await Promise.all(starts)).map(({ value }) => (value as TaskState).id);
      assert.equal((value as TaskState).code, 'TASK_CANCELLED');
      // A start that comes after the end of the cancelled one is another run; of two at once none is.
      for (const state of (await runsOf(bench)).slice(0, -before))
        if (state.status === 'running') await bench.call('DELETE', `/tasks/${mac}`);
      await until('none runs', async () => (await runsOf(bench)).every(({ status }) => status !== 'running'));
      assert.ok(new Set(ids).size <= 2, ids.join(' '));
    }
  });

  test('a run that its write takes back is not begun, and does not stand in the way of the next', async (context) => {
    const bench = await startBench(context, { taskIdentity: 'address' });
    const first = await startRun(bench, run);
    await bench.call('DELETE', `/tasks/${mac}`);
    const { database, machines, tasks } = bench.services;
    const record = machines.store.get(mac);
    assert.ok(record);
    const undone = database.write(() => {
      tasks.flashedInside(record, { actor: 'system', address: null });
      throw new Error('taken back');
    });
    const next = tasks.run(mac, null, { actor: 'system', address: null });
    await assert.rejects(undone, /taken back/);
    const state = await next;
    assert.equal(state.trigger, 'operator');
    assert.equal((await runsOf(bench)).length, 2);
    assert.notEqual(state.id, first.id);
    assert.equal((await bench.call('DELETE', `/tasks/${mac}`)).status, 200);
    assert.equal((await ended(bench, mac)).status, 'cancelled');
  });

  test('a disk that is full ends the run, as a failure that says so, and what ran on the machine', async (context) => {
    const stateDir = mkdtempSync(join(tmpdir(), 'bty-netboot-'));
    const tasks = join(stateDir, 'tasks');
    mkdirSync(tasks);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'none', tasks]);
    const text = `steps:\n- name: a\n  run: head -c 3000000 /dev/zero | tr '\\0' x; sleep ${word(1)}\n`;
    const bench = await sshd(context, text, {}, stateDir);
    // What was begun first is ended first.
    context.after(() => {
      execFileSync('umount', ['-l', tasks]);
      rmSync(stateDir, { recursive: true });
    });
    const state = await ended(bench, mac);
    assert.equal(state.code, 'TASK_OUTPUT_LOST', state.error ?? '');
    assert.match(state.error ?? '', /ENOSPC/);
    await until('nothing runs on the machine', () => processesWith(word(1)).length === 0);
  });

  test('a cancel in the silence after a command ends what it left, and begins no other', async (context) => {
    const file = join(temporaryDirectory(context), 'second');
    const text = `steps:\n- name: a\n  run:\n  - sleep ${word(2)} & echo begun\n  - touch ${file}\n`;
    const bench = await sshd(context, text);
    await reaches(bench, mac, (state) => state.output_bytes > 0);
    await bench.call('DELETE', `/tasks/${mac}`);
    const state = await ended(bench, mac);
    assert.equal(state.status, 'cancelled');
    assert.match(state.error ?? '', /its processes were ended/);
    assert.deepEqual(processesWith(word(2)), []);
    assert.equal(existsSync(file), false);
  });

  for (const [place, greeting] of ['echo welcome', 'printf welcome'].entries())
    test(`a shell that greets (${greeting}) is not in the way of ending what runs, nor of its output`, async (context) => {
      const rc = join(temporaryDirectory(context), 'rc');
      writeFileSync(rc, `${greeting}\n`);
      if (!existsSync('/root/.bashrc')) writeFileSync('/root/.bashrc', '');
      execFileSync('mount', ['--bind', rc, '/root/.bashrc']);
      context.after(() => execFileSync('umount', ['-l', '/root/.bashrc']));
      const bench = await sshd(context, `steps:\n- name: a\n  run: echo ready; sleep ${word(3 + place)}\n`);
      await until('it runs', () => processesWith(word(3 + place)).length > 0);
      await bench.call('DELETE', `/tasks/${mac}`);
      const state = await ended(bench, mac);
      assert.match(state.error ?? '', /its processes were ended/);
      assert.deepEqual(processesWith(word(3 + place)), []);
      assert.match(wrote(await outputOf(bench, state.id), 'stdout'), /^(welcome\n?){1,2}ready\n$/);
    });

  test("a machine's own words are bounded, and a terminal obeys none of them", async (context) => {
    const bench = await startBench(context, { taskIdentity: 'address' });
    const hostile = `\x1b]0;owned\x07\x1b[2J\u202e${'A'.repeat(20_000)}`;
    await startServer(context, {
      sftp: (accept) => {
        const files = accept();
        files.on('OPEN', (id) => files.status(id, 4, hostile));
      },
      exec: (_, __, client) => disconnect(client, hostile),
    });
    for (const [text, code] of [
      [get, 'TASK_STEP_FAILED'],
      [run, 'TASK_CONNECTION_LOST'],
    ] as const) {
      const { id } = await startRun(bench, text);
      const state = await reaches(bench, mac, (now) => now.id === id && now.stage === 'ended');
      assert.equal(state.code, code);
      assert.match(state.error ?? '', /owned/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      assert.doesNotMatch(state.error ?? '', /[\x00-\x1f\x7f\u202e]/);
      assert.ok((state.error ?? '').length < 500);
    }
  });

  test('a machine that is forgotten is let go at once, with its host key', async (context) => {
    const bench = await sshd(context, `steps:\n- name: a\n  run: sleep ${word(5)}\n`);
    await until('it runs', () => processesWith(word(5)).length > 0);
    assert.notEqual(bench.services.tasks.store.hostKey(mac), null);
    assert.equal((await bench.call('DELETE', `/machines/${mac}`)).status, 204);
    assert.equal(bench.services.tasks.store.hostKey(mac), null);
    const state = await ended(bench, mac);
    assert.equal(state.status, 'cancelled');
    assert.match(state.error ?? '', /because the machine was forgotten/);
    assert.deepEqual(processesWith(word(5)), []);
  });
});

/** RFC 4253 section 11.1, with a description that the library would not send. */
function disconnect(client: Connection, description: string): void {
  interface Inside {
    readonly _protocol: {
      readonly _packetRW: {
        readonly write: {
          readonly allocStart: number;
          readonly alloc: (size: number) => Buffer;
          readonly finalize: (packet: Buffer) => Buffer;
        };
      };
      readonly _cipher: { readonly encrypt: (packet: Buffer) => void };
    };
  }
  const { _packetRW, _cipher } = (client as unknown as Inside)._protocol;
  const text = Buffer.from(description);
  const packet = _packetRW.write.alloc(13 + text.length);
  const start = _packetRW.write.allocStart;
  packet[start] = 1;
  packet.writeUInt32BE(2, start + 1);
  packet.writeUInt32BE(text.length, start + 5);
  text.copy(packet, start + 9);
  packet.writeUInt32BE(0, start + 9 + text.length);
  _cipher.encrypt(_packetRW.write.finalize(packet));
}
