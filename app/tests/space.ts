import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** unshare(2) */
const CLONE_NEWNS = 0x00020000;
const CLONE_NEWNET = 0x40000000;

/** Why a network of the test's own cannot be had here; false when it can. */
export function whyNoSpace(): string | false {
  if (!existsSync('/proc/self/ns/net')) return 'needs network namespaces';
  return existsSync('/usr/sbin/ip') || existsSync('/sbin/ip') ? false : 'needs ip (iproute2)';
}

/**
 * Moves this process into a network of its own, and with it every program that it starts from now on: what it serves
 * and asks is seen by nobody else. Sockets and children are made by the main thread, so it is enough to move that one.
 */
export function leaveNetwork(): void {
  const koffi = createRequire(import.meta.url)('koffi') as {
    load(path: null): {
      func(name: string, result: string, args: readonly string[]): (flags: number) => number;
    };
  };
  const unshare = koffi.load(null).func('unshare', 'int', ['int']);
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) !== 0) throw new Error('unshare(2) was refused');
  execFileSync('mount', ['--make-rprivate', '/']);
  // sysfs shows the interfaces of the network in which it was mounted.
  execFileSync('mount', ['-t', 'sysfs', 'sysfs', '/sys']);
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
}

let made = 0;

/** A second network at the other end of a cable from this one: where machines are. */
export class Bench implements AsyncDisposable {
  readonly name = `bty-app-${process.pid}-${made++}`;

  /** A cable from `lab0` here, at `address`, to `lab1` there. */
  static async make(address = '10.77.0.1/16', there = '10.77.0.2/16'): Promise<Bench> {
    const bench = new Bench();
    await run('ip', ['netns', 'add', bench.name]);
    await run('ip', ['link', 'add', 'lab0', 'type', 'veth', 'peer', 'name', 'lab1', 'netns', bench.name]);
    await run('ip', ['addr', 'add', address, 'dev', 'lab0']);
    await run('ip', ['link', 'set', 'lab0', 'up']);
    await bench.ip('link', 'set', 'lo', 'up');
    await bench.ip('addr', 'add', there, 'dev', 'lab1');
    await bench.ip('link', 'set', 'lab1', 'up');
    await bench.ip('route', 'add', 'default', 'dev', 'lab1');
    return bench;
  }

  async ip(...args: readonly string[]): Promise<void> {
    await run('ip', ['-n', this.name, ...args]);
  }

  /** A pretended machine boots there as far as its plan; what the simulator says. */
  async boot(model: string): Promise<{ readonly failed: readonly unknown[] }> {
    const simulator = join(import.meta.dirname, '..', '..', 'netboot', 'tests', 'sim', 'main.ts');
    const words = ['--interface', 'lab1', '--machines', '1', '--over', '0', '--models', model];
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', simulator, ...words];
    const { stdout } = await run('ip', ['netns', 'exec', this.name, ...node]).catch(
      (error: { readonly stdout: string; readonly stderr: string }) => {
        if (!error.stdout?.startsWith('{')) throw new Error(`the simulator ended: ${error.stderr}`);
        return error;
      },
    );
    return JSON.parse(stdout) as { failed: readonly unknown[] };
  }

  /** Pulls the interface out of this machine. */
  async takeAway(): Promise<void> {
    await run('ip', ['link', 'del', 'lab0']);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.takeAway().catch(() => {});
    await run('ip', ['netns', 'del', this.name]);
  }
}
