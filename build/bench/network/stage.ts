/** Servers and clients of the network benches: each server in a namespace of its own, clients at the other end of a cable. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Lab } from '../../../netboot/dhcp/tests/lab.ts';

/** Clock ticks of /proc/PID/stat; Linux has 100 to the second everywhere (sysconf(3), _SC_CLK_TCK). */
const ticks = 100;
export const serverAddress = '10.77.0.1';
/** Milliseconds. */
const startPatience = 90_000;
const runPatience = 180_000;
/** Half seconds that a server has to become quiet. */
const mostSettling = 60;
export const password = 'correct horse battery';
const root = join(import.meta.dirname, '..', '..', '..');

let packing: Promise<string> | null = null;

/** What is measured is what is shipped: the executable, made anew once. From its sources the appliance takes more memory. */
function packed(): Promise<string> {
  packing ??= promisify(execFile)(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    ...[join(root, 'build', 'pack', 'build.ts'), 'bty-web'],
  ]).then(() => join(root, 'dist', 'bin', 'bty-web'));
  return packing;
}

/** A server that is measured. */
export interface Server {
  readonly name: string;
  readonly pid: number;
  /** Seconds of processor time of it and its children so far. */
  readonly cpu: () => number;
  /** Most bytes that it had in memory so far, and has now. */
  readonly peak: () => number;
  readonly resident: () => number;
  readonly stop: () => Promise<void>;
}

/** One server and its clients. Everything ends with `close`. */
export class Stage {
  readonly lab: Lab;
  readonly space: string;
  readonly clients: readonly string[];
  readonly #servers: ChildProcess[] = [];

  private constructor(lab: Lab, space: string, clients: readonly string[]) {
    this.lab = lab;
    this.space = space;
    this.clients = clients;
  }

  /** A switch `lab0` with the server's address, and `clients` namespaces with one cable each. */
  static async make(clients = 1): Promise<Stage> {
    const lab = await Lab.make();
    try {
      const space = await lab.space();
      await lab.ip(
        '-n',
        space,
        'link',
        'add',
        'lab0',
        'type',
        'bridge',
        'stp_state',
        '0',
        'forward_delay',
        '0',
      );
      await lab.ip('-n', space, 'addr', 'add', `${serverAddress}/16`, 'dev', 'lab0');
      await lab.ip('-n', space, 'link', 'set', 'lab0', 'up');
      const spaces: string[] = [];
      for (let index = 0; index < clients; index++) {
        const there = await lab.space();
        await lab.cable([space, `p${index}`], [there, 'eth0', `10.77.0.${index + 2}/16`]);
        await lab.ip('-n', space, 'link', 'set', `p${index}`, 'master', 'lab0');
        spaces.push(there);
      }
      return new Stage(lab, space, spaces);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Starts a server in its namespace; `ready` is asked until it says yes. */
  async serve(
    name: string,
    program: string,
    args: readonly string[],
    ready: () => Promise<boolean>,
  ): Promise<Server> {
    const child = spawn('ip', ['netns', 'exec', this.space, program, ...args], { stdio: 'ignore' });
    this.#servers.push(child);
    const pid = child.pid ?? 0;
    const late = performance.now() + startPatience;
    for (;;) {
      const answer = ready().catch(() => false);
      if (await Promise.race([answer, pause(5000, false, { ref: false })])) break;
      if (child.exitCode !== null || performance.now() > late) throw new Error(`${name} does not serve`);
      await pause(100);
    }
    // What it still does for its start is no part of what is measured.
    for (let before = Number.NaN, count = 0; count < mostSettling; count++) {
      const now = sum(pid, cpuOf);
      if (now - before < 0.03) break;
      before = now;
      await pause(500);
    }
    return {
      name,
      pid,
      cpu: () => sum(pid, cpuOf),
      peak: () => sum(pid, (one) => memoryOf(one, 'VmHWM')),
      resident: () => sum(pid, (one) => memoryOf(one, 'VmRSS')),
      stop: () => ended(child),
    };
  }

  /** The appliance on this stage's network. */
  async appliance(dhcp: 'full' | 'off', ready: () => Promise<boolean>, more: readonly string[] = []) {
    const state = join(this.lab.folder, 'state');
    await mkdir(join(state, 'boot'), { recursive: true });
    const flags = ['--state-dir', state, '--web-host', serverAddress, '--web-port', '8080', '--user', 'root'];
    const network = dhcp === 'off' ? [] : ['--interface', 'lab0', '--dhcp', dhcp, '--dhcp-anyway'];
    const args = ['serve', ...flags, ...network, ...more, '--admin-password', password];
    return this.serve('bty-web', await packed(), args, ready);
  }

  /** Runs a program of the client in place `index` to its end; throws when that is not a good one. */
  async run(index: number, program: string, args: readonly string[]): Promise<string> {
    const ended = this.lab.run(this.clients[index] ?? this.space, program, args);
    const late = { text: 'it does not end', code: null };
    const { text, code } = await Promise.race([ended, pause(runPatience, late, { ref: false })]);
    if (code !== 0) throw new Error(`${program} ended with ${code}: ${text.slice(-500)}`);
    return text;
  }

  async close(): Promise<void> {
    for (const child of this.#servers) await ended(child);
    await this.lab.close();
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const over = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await over;
  clearTimeout(late);
}

/** The process and its children. */
function tree(pid: number): number[] {
  const parentOf = (name: string) => Number(read(`/proc/${name}/stat`).split(') ').at(-1)?.split(' ')[1]);
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid);
  return [pid, ...children.flatMap((name) => tree(Number(name)))];
}

const sum = (pid: number, of: (pid: number) => number) =>
  tree(pid).reduce((total, one) => total + of(one), 0);

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function cpuOf(pid: number): number {
  // proc_pid_stat(5): utime, stime, and those of children that ended.
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  return [11, 12, 13, 14].reduce((total, at) => total + Number(fields[at] ?? 0), 0) / ticks;
}

const memoryOf = (pid: number, label: string) =>
  Number(new RegExp(`${label}:\\s+(\\d+) kB`).exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
