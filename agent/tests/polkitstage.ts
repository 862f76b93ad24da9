/**
 * A system of its own in which polkit runs for real: namespaces of mounts and processes, a system bus, Debian's
 * polkitd, pkexec and pkttyagent, and two users made for it. Nothing of it is seen outside, and it ends as a whole.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { policyText } from '../../shared/helper/policy.ts';
import { descendantsOf, entry } from './program.ts';

/** May flash with the password of an administrator, and is one. */
export const asker = { name: 'btyasker', uid: 61234 };
/** The policy says no to this one, whatever the password. */
export const denied = { name: 'btydenied', uid: 61235 };
export type User = typeof asker;
export const password = 'correct horse';

const actions = '/usr/share/polkit-1/actions';
const rules = `polkit.addAdminRule(function () { return ["unix-user:${asker.name}"]; });
polkit.addRule(function (action, subject) {
  if (subject.user == "${denied.name}") return polkit.Result.NO;
});
`;

export class Stage {
  readonly #folder: string;
  readonly #init: ChildProcess;
  readonly #named: string | undefined;
  #inside = 0;
  #pipes = 0;
  /** Rejects when a daemon dies before the stage is struck. */
  readonly #fall = Promise.withResolvers<never>();

  private constructor(folder: string, init: ChildProcess, named: string | undefined) {
    this.#folder = folder;
    this.#init = init;
    this.#named = named;
  }

  /** The program that the action file names: `bty` of this checkout where no other was named. */
  get program(): string {
    return this.#named ?? join(this.#folder, 'bty');
  }

  /** Runs `use` on a stage where `program` may ask for permission. */
  static async run(use: (stage: Stage) => Promise<void>, program?: string): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'bty-polkit-'));
    const words = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child', 'sleep', 'infinity'];
    const stage = new Stage(folder, spawn('unshare', words, { stdio: 'ignore' }), program);
    try {
      await Promise.race([stage.#raise().then(() => use(stage)), stage.#fall.promise]);
    } finally {
      stage.#init.kill('SIGKILL');
      await once(stage.#init, 'exit');
      await rm(folder, { recursive: true });
    }
  }

  /** Words that run a command on the stage as root. */
  inside(...command: readonly string[]): readonly string[] {
    return ['nsenter', '--target', `${this.#inside}`, '--mount', '--pid', '--', ...command];
  }

  /** Words that run a command on the stage as `user`. */
  as({ uid }: User, ...command: readonly string[]): readonly string[] {
    return this.inside(
      'setpriv',
      '--reuid',
      `${uid}`,
      '--regid',
      `${uid}`,
      '--init-groups',
      '--',
      ...command,
    );
  }

  /** A new named pipe that `user` may write to. */
  pipeFor({ uid }: User): string {
    const path = join(this.#folder, `pipe${this.#pipes++}`);
    execFileSync('mkfifo', [path]);
    chownSync(path, uid, uid);
    return path;
  }

  async #raise(): Promise<void> {
    const folder = this.#folder;
    await chmod(folder, 0o755);
    await holding(async () => {
      const [found] = await descendantsOf(this.#init.pid ?? 0);
      this.#inside = found?.pid ?? 0;
      const command = found && (await readFile(`/proc/${found.pid}/comm`, 'utf8').catch(() => ''));
      return command === 'sleep\n';
    });
    await this.#accounts();
    await this.#policies();
    if (this.#named === undefined)
      await writeFile(this.program, `#!/bin/sh\nexec '${process.execPath}' '${entry}' "$@"\n`, {
        mode: 0o755,
      });
    this.#run('mount', '-t', 'tmpfs', 'none', '/run');
    this.#run('mkdir', '-p', '/run/dbus', '/run/lock');
    // It prints its address when it listens; a socket that only exists refuses connections.
    const bus = ['--system', '--nofork', '--nopidfile', '--nosyslog', '--print-address'];
    await once(this.#start('/usr/bin/dbus-daemon', ...bus), 'data');
    // Whoever asks for it before it has its name has the bus start another one.
    const polkit = this.#start('/usr/lib/polkit-1/polkitd');
    await new Promise<void>((resolve) => {
      let told = '';
      polkit.on('data', (bytes: Buffer) => {
        told += bytes.toString();
        if (told.includes('Acquired the name')) resolve();
      });
    });
  }

  async #accounts(): Promise<void> {
    const crypt = ['-e', 'print crypt($ARGV[0], q($6$btybtybty$))', password];
    const hash = execFileSync('perl', crypt, { encoding: 'utf8' });
    const users = [asker, denied];
    const more = {
      passwd: users.map(({ name, uid }) => `${name}:x:${uid}:${uid}::${this.#folder}:/bin/sh`),
      shadow: users.map(({ name }) => `${name}:${hash}:19000:0:99999:7:::`),
      group: users.map(({ name, uid }) => `${name}:x:${uid}:`),
    };
    for (const [name, lines] of Object.entries(more)) {
      const path = join(this.#folder, name);
      const before = await readFile(`/etc/${name}`, 'utf8');
      await writeFile(path, `${before.trimEnd()}\n${lines.join('\n')}\n`, {
        mode: name === 'shadow' ? 0o600 : 0o644,
      });
      this.#run('mount', '--bind', path, `/etc/${name}`);
    }
  }

  async #policies(): Promise<void> {
    const folder = join(this.#folder, 'actions');
    await cp(actions, folder, { recursive: true });
    await writeFile(join(folder, 'org.bty.flash.policy'), policyText(this.program));
    this.#run('mount', '--bind', folder, actions);
    const ruled = join(this.#folder, 'rules');
    await mkdir(ruled);
    await writeFile(join(ruled, '10-bty.rules'), rules);
    const uid = Number(execFileSync('id', ['-u', 'polkitd'], { encoding: 'utf8' }));
    for (const path of [ruled, join(ruled, '10-bty.rules')]) await chown(path, uid, 0);
    this.#run('mount', '--bind', ruled, '/etc/polkit-1/rules.d');
  }

  #run(...command: readonly string[]): void {
    const [program = '', ...words] = this.inside(...command);
    execFileSync(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** Starts a daemon; what it prints. */
  #start(...command: readonly string[]): Readable {
    const [program = '', ...words] = this.inside(...command);
    const daemon = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaint = '';
    daemon.stderr.on('data', (bytes: Buffer) => {
      complaint = (complaint + bytes.toString()).slice(-4096);
    });
    this.#fall.promise.catch(() => {});
    daemon.once('close', (code, signal) => {
      this.#fall.reject(new Error(`${command[0]} ended (${signal ?? code}): ${complaint}`));
    });
    return daemon.stdout.resume();
  }
}

/** Resolves when `holds` does; rejects after three minutes. */
async function holding(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 180_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('what was waited for did not come about');
    await pause(50);
  }
}

/** Ends `child` and all that it started, which nsenter(1) would leave behind. */
export async function endWhole(child: ChildProcess): Promise<void> {
  const family = await descendantsOf(child.pid ?? 0);
  for (const { pid } of family) process.kill(pid, 'SIGKILL');
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** pkttyagent(1) at a terminal: what a desktop's dialog is otherwise. */
export class Agent {
  text = '';
  readonly #child: ChildProcess;
  #news = Promise.withResolvers<void>();

  readonly #registered: Promise<unknown>;

  /** Asks for what the process `pid` of the stage wants to do, as `user`. */
  constructor(stage: Stage, user: User, pid: number) {
    const pipe = stage.pipeFor(user);
    // pkttyagent(1), --notify-fd: closed when the agent is registered.
    this.#registered = once(spawn('cat', [pipe], { stdio: 'ignore' }), 'exit');
    const command = `exec pkttyagent --notify-fd 3 --process ${pid} 3>${pipe}`;
    // script(1) gives it a terminal of its own; without --quiet it would speak itself.
    const agent = stage.as(user, 'script', '--quiet', '--flush', '--command', command, '/dev/null');
    const [program = '', ...words] = agent;
    this.#child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin?.on('error', () => {});
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (bytes: Buffer) => {
        this.text += bytes.toString();
        this.#news.resolve();
        this.#news = Promise.withResolvers();
      });
    this.#child.once('exit', () => {
      this.text += '(ended)';
      this.#news.resolve();
    });
  }

  /** Resolves when polkitd knows of it. */
  async ready(): Promise<void> {
    await this.#registered;
  }

  /** Resolves when it has printed what fits. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      if (this.text.endsWith('(ended)')) throw new Error(`the agent ended: ${this.text}`);
      await this.#news.promise;
    }
  }

  /** Resolves when it waits for the password: it forgets what comes before it has switched the terminal's echo off. */
  async asking(): Promise<void> {
    await this.says(/Password: /);
    const family = await descendantsOf(this.#child.pid ?? 0);
    const terminals = await Promise.all(
      family.map(({ pid }) => readlink(`/proc/${pid}/fd/0`).catch(() => '')),
    );
    const terminal = terminals.find((path) => path.startsWith('/dev/pts/'));
    if (!terminal) throw new Error('the agent has no terminal');
    const settings = () => execFileSync('stty', ['-F', terminal, '-a'], { encoding: 'utf8' });
    await holding(async () => / -echo /.test(settings()));
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  end(): void {
    this.#child.kill();
  }

  /** Ends it with everything below it, so that another one can take its place. */
  gone(): Promise<void> {
    return endWhole(this.#child);
  }
}
