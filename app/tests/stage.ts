import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** Why polkit cannot be had on this machine; false when it can. */
export function whyNoPolkit(): string | false {
  const needed = {
    '/usr/bin/pkexec': 'pkexec',
    '/usr/bin/pkttyagent': 'polkitd',
    '/usr/bin/dbus-daemon': 'dbus',
    '/usr/lib/python3/dist-packages/dbus': 'python3-dbus',
    '/usr/lib/python3/dist-packages/gi': 'python3-gi',
  };
  const missing = Object.entries(needed).find(([path]) => !existsSync(path));
  return missing ? `needs the Debian package ${missing[1]}` : false;
}

export interface StageUser {
  readonly name: string;
  readonly uid: number;
  /** Words before a command that has this user run it on the stage. */
  readonly words: readonly string[];
}

/** A system of its own with a bus, polkitd and two users, where `program` may ask for permission. */
export class PolkitStage implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  password = '';
  /** May write with the password of an administrator, and is one. */
  asker: StageUser = { name: '', uid: 0, words: [] };
  /** The policy says no to this one. */
  denied: StageUser = this.asker;

  private constructor(program: string) {
    const script = join(import.meta.dirname, '..', '..', 'agent', 'tests', 'stage.ts');
    const words = ['--disable-warning=ExperimentalWarning', script, program];
    this.#child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  static async raise(program: string): Promise<PolkitStage> {
    const stage = new PolkitStage(program);
    const told = (await stage.#line()) as { users: readonly [StageUser, StageUser]; password: string };
    [stage.asker, stage.denied] = told.users;
    stage.password = told.password;
    return stage;
  }

  /** Somebody who answers the questions that the process `pid` of the stage brings about. */
  agent({ name }: StageUser, pid: number): Promise<unknown> {
    return this.#ask({ agent: name, pid });
  }

  /** Somebody who closes them. */
  closer({ name }: StageUser, pid: number): Promise<unknown> {
    return this.#ask({ agent: name, pid, closes: true });
  }

  /** Waits until a password is asked for; what was said. */
  async asking(): Promise<string> {
    const { text } = (await this.#ask({ asking: true })) as { text: string };
    return text;
  }

  type(text: string): Promise<unknown> {
    return this.#ask({ text: `${text}\n` });
  }

  endAgent(): Promise<unknown> {
    return this.#ask({ end: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await ended;
  }

  #ask(wish: object): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(wish)}\n`);
    return this.#line();
  }

  async #line(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the stage has ended');
    return JSON.parse(value) as unknown;
  }
}
