import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readFileSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import {
  type DesktopReply,
  type DesktopRequest,
  desktopBytes,
  desktopLine,
  parseDesktopReply,
  socketName,
} from '../../shared/desktop/protocol.ts';
import { Lines } from '../../shared/helper/lines.ts';
import { accountOf } from '../commands/asker.ts';
import { temporaryDirectory } from '../testing.ts';
import { Desktop } from './conversation.ts';
import { networkInterfaces, routersIn } from './interfaces.ts';

const entry = join(import.meta.dirname, '..', 'main.ts');
const onLinux = process.platform === 'linux' ? false : 'interfaces are listed on Linux only';

/** The app's end of a conversation. */
class App {
  readonly #replies: DesktopReply[] = [];
  readonly #output: Writable;
  #news = Promise.withResolvers<void>();

  constructor(input: Readable, output: Writable) {
    this.#output = output;
    const lines = new Lines(desktopBytes);
    input.on('data', (bytes: Buffer) => {
      for (const line of lines.push(bytes)) {
        const parsed = parseDesktopReply(line);
        assert.equal(parsed.kind, 'valid', line);
        if (parsed.kind === 'valid') this.#replies.push(parsed.value);
      }
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    });
  }

  say(request: DesktopRequest): void {
    this.#output.write(desktopLine(request));
  }

  async hear<Kind extends DesktopReply['kind']>(kind: Kind): Promise<Extract<DesktopReply, { kind: Kind }>> {
    for (;;) {
      const index = this.#replies.findIndex((reply) => reply.kind === kind);
      const [found] = index === -1 ? [] : this.#replies.splice(index, 1);
      if (found) return found as Extract<DesktopReply, { kind: Kind }>;
      await this.#news.promise;
    }
  }
}

function start(context: TestContext, ...flags: string[]): ChildProcessByStdio<Writable, Readable, Readable> {
  const args = ['--disable-warning=ExperimentalWarning', entry, 'desktop', '--log-level', 'error', ...flags];
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
  });
  context.after(() => void child.kill('SIGKILL'));
  return child;
}

async function reach(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}

test('whoever started the appliance is let in without a password, comes back by its socket, and stops it', async (context) => {
  const state = temporaryDirectory(context);
  const child = start(context, '--state-dir', state, '--web-host', '127.0.0.1', '--web-port', '0');
  const app = new App(child.stdout, child.stdin);
  const { url, pid, mode } = await app.hear('listening');
  assert.deepEqual([pid, mode], [child.pid, 'off']);
  const who = async (cookie: string) => {
    const answer = await fetch(`${url}/access/who`, { headers: { cookie: `bty-token=${cookie}` } });
    return answer.status;
  };
  app.say({ kind: 'session' });
  const { cookie } = await app.hear('session');
  assert.equal(await who(cookie), 200);
  assert.equal(await who(`${cookie}x`), 401);

  const path = join(state, socketName);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  app.say({ kind: 'stay', stay: true });
  app.say({ kind: 'password' });
  const { password } = await app.hear('password');
  assert.equal(await who(cookie), 401, 'a new password ends every session');
  const body = new URLSearchParams({ password });
  const login = await fetch(`${url}/ui/login`, { method: 'POST', body, redirect: 'manual' });
  assert.equal(login.status, 303);

  child.stdin.end();
  await once(child.stdout, 'end');
  const socket = await reach(path);
  const back = new App(socket, socket);
  assert.equal((await back.hear('listening')).stay, true);
  back.say({ kind: 'session' });
  assert.equal(await who((await back.hear('session')).cookie), 200);
  const ended = once(child, 'exit');
  back.say({ kind: 'stop' });
  assert.deepEqual(await ended, [0, null]);
  assert.throws(() => statSync(path));
});

test('an appliance that is not to stay ends with its app, and says in a line why it does not start', async (context) => {
  const state = temporaryDirectory(context);
  const flags = ['--state-dir', state, '--web-host', '127.0.0.1', '--web-port', '0'];
  const child = start(context, ...flags);
  const app = new App(child.stdout, child.stdin);
  await app.hear('listening');

  const second = start(context, ...flags);
  const { failure } = await new App(second.stdout, second.stdin).hear('failed');
  assert.equal(failure.code, 'STATE_BUSY');
  const wrong = start(context, '--web-port', 'many');
  assert.equal((await new App(wrong.stdout, wrong.stdin).hear('failed')).failure.code, 'SETTING_INVALID');

  const ended = once(child, 'exit');
  child.stdin.end();
  assert.deepEqual(await ended, [0, null]);
});

const needsRoot = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';

test('as pkexec starts it, it becomes the user who asked, and keeps only the right to bind low ports', {
  skip: needsRoot,
}, async (context) => {
  const state = temporaryDirectory(context);
  const nobody = 65_534;
  chownSync(state, nobody, nobody);
  const flags = ['--state-dir', state, '--web-host', '127.0.0.1', '--web-port', '80', '--log-level', 'error'];
  const words = [
    '--net',
    'sh',
    '-c',
    'ip link set lo up; exec "$@"',
    'sh',
    process.execPath,
    entry,
    'desktop',
  ];
  const child = spawn('unshare', [...words, ...flags], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, PKEXEC_UID: String(nobody), NODE_NO_WARNINGS: '1' },
  });
  context.after(() => void child.kill('SIGKILL'));
  const app = new App(child.stdout, child.stdin);
  const { pid } = await app.hear('begun');
  const { url } = await app.hear('listening');
  assert.equal(url, 'http://127.0.0.1:80');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
  assert.match(status, /^CapEff:\t0000000000000400$/m);
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.equal(statSync(join(state, socketName)).uid, nobody);
  const ended = once(child, 'exit');
  app.say({ kind: 'stop' });
  assert.deepEqual(await ended, [0, null]);

  const wrong = spawn(process.execPath, [entry, 'desktop'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH, PKEXEC_UID: '0', NODE_NO_WARNINGS: '1' },
  });
  const { failure } = await new App(wrong.stdout, new PassThrough()).hear('failed');
  assert.equal(failure.code, 'NO_SUCH_USER');
});

test('what is no request ends that conversation, and only that one', async () => {
  let stops = 0;
  const desktop = new Desktop({
    listening: (stay) => ({
      kind: 'listening',
      pid: 1,
      version: '1',
      url: 'http://127.0.0.1:1',
      stay,
      interface: '',
      mode: 'off',
      imageFolder: '/',
    }),
    openSession: async () => 'a'.repeat(43),
    newPassword: async () => 'b'.repeat(20),
    stop: () => stops++,
  });
  const peer = () => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    desktop.join(input, output);
    return { input, app: new App(output, input), over: once(output, 'end') };
  };
  const good = peer();
  for (const line of ['hello', '{}', '{"kind":"shell"}', '{"kind":"stay"}', '{"kind":"stop","now":1}']) {
    const bad = peer();
    bad.input.write(`${line}\n`);
    await bad.over;
  }
  const long = peer();
  long.input.write('x'.repeat(desktopBytes + 1));
  await long.over;
  assert.equal(stops, 0);
  good.app.say({ kind: 'session' });
  assert.equal((await good.app.hear('session')).cookie, 'a'.repeat(43));
  good.input.end();
  await good.over;
  assert.equal(stops, 1, 'nobody is left');
});

test('the user of a number, and the router of an interface, are read from their tables', () => {
  const passwd = 'root:x:0:0:root:/root:/bin/bash\nann:x:1000:1001:Ann,,,:/home/ann:/bin/sh\n';
  assert.deepEqual(accountOf(1000, passwd), { uid: 1000, gid: 1001, home: '/home/ann' });
  assert.equal(accountOf(7, passwd), null);
  const table = 'Iface Destination Gateway\neth0 00000000 010200C0 0003\neth0 000200C0 00000000 0001\n';
  assert.deepEqual([...routersIn(table)], [['eth0', '192.0.2.1']]);
});

test('every interface but the loop is listed', { skip: onLinux }, async () => {
  const found = await networkInterfaces([]);
  assert.equal(
    found.some(({ name }) => name === 'lo'),
    false,
  );
  for (const { servers } of found) assert.equal(servers, null);
});
