/** A network of its own: a namespace with a bridge, one tap for each guest, and nothing that leads out. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Why no lab can be made here, false where it can. */
export function noLab(): string | false {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  if (!existsSync('/dev/net/tun')) return '/dev/net/tun is missing, so there are no taps';
  return false;
}

export interface LabProcess {
  readonly name: string;
  /** File with all that it printed. */
  readonly log: string;
  readonly ended: Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

export class Lab {
  readonly address = '10.77.0.1';
  readonly folder: string;
  readonly #namespace: string;
  readonly #router: string;
  readonly #running = new Set<LabProcess>();

  static async create(taps: number): Promise<Lab> {
    const folder = await mkdtemp(join(tmpdir(), 'bty-pxe-'));
    const lab = new Lab(folder, `bty-pxe-${process.pid}-${folder.slice(-6)}`);
    try {
      await execute('ip', ['netns', 'add', lab.#namespace]);
      await lab.#ip('link', 'set', 'lo', 'up');
      await lab.#ip('link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0');
      await lab.#ip('addr', 'add', `${lab.address}/24`, 'dev', 'br0');
      await lab.#ip('link', 'set', 'br0', 'up');
      // The router is a host of its own. Its cable also keeps the bridge up, like a switch that is always on.
      await execute('ip', ['netns', 'add', lab.#router]);
      await lab.#ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'r0', 'netns', lab.#router);
      await lab.#ip('link', 'set', 'v0', 'master', 'br0', 'up');
      await execute('ip', ['-n', lab.#router, 'addr', 'add', '10.77.0.2/24', 'dev', 'r0']);
      await execute('ip', ['-n', lab.#router, 'addr', 'add', 'fd77::1/64', 'dev', 'r0', 'nodad']);
      await execute('ip', ['-n', lab.#router, 'link', 'set', 'r0', 'up']);
      for (let index = 0; index < taps; index++) {
        await lab.#ip('tuntap', 'add', 'dev', `t${index}`, 'mode', 'tap');
        await lab.#ip('link', 'set', `t${index}`, 'master', 'br0', 'up');
      }
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  private constructor(folder: string, namespace: string) {
    this.folder = folder;
    this.#namespace = namespace;
    this.#router = `${namespace}-r`;
  }

  /**
   * A router for IPv6, as most networks have one: iPXE waits 15 seconds for one that is not there. With `addresses` it
   * leases IPv4 addresses, too, and knows nothing of network boots.
   */
  async startRouter(addresses: boolean): Promise<LabProcess> {
    const leases = [
      '--dhcp-range=10.77.0.200,10.77.0.250,255.255.255.0,1h',
      '--dhcp-authoritative',
      '--no-ping',
    ];
    return this.#start(this.#router, 'dnsmasq', 'dnsmasq', [
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--log-facility=-', '--port=0', '--log-dhcp'],
      ...['--interface=r0', '--bind-interfaces', '--except-interface=lo', '--leasefile-ro', '--user=root'],
      ...['--enable-ra', '--dhcp-range=fd77::,ra-only'],
      ...(addresses ? leases : []),
    ]);
  }

  /** Runs a program in the lab; resolves its output. */
  async run(program: string, ...args: readonly string[]): Promise<string> {
    const all = ['netns', 'exec', this.#namespace, program, ...args];
    const { stdout } = await execute('ip', all, { maxBuffer: 1 << 26 });
    return stdout;
  }

  /** Starts a program in the lab that runs until it is stopped. */
  start(name: string, program: string, args: readonly string[]): Promise<LabProcess> {
    return this.#start(this.#namespace, name, program, args);
  }

  async #start(
    namespace: string,
    name: string,
    program: string,
    args: readonly string[],
  ): Promise<LabProcess> {
    const log = join(this.folder, `${name}.log`);
    const out = createWriteStream(log, { flags: 'a' });
    await once(out, 'open');
    // "ip netns exec" becomes the program, so the process is the program's own.
    const child = spawn('ip', ['netns', 'exec', namespace, program, ...args], {
      stdio: ['ignore', out, out],
    });
    const running = new Running(name, log, child);
    this.#running.add(running);
    void running.ended.then(() => this.#running.delete(running));
    return running;
  }

  /** How a program is started in the lab by those who keep hold of its streams. */
  command(program: string, args: readonly string[]): { readonly program: string; readonly args: string[] } {
    return { program: 'ip', args: ['netns', 'exec', this.#namespace, program, ...args] };
  }

  /** Speaks HTTP to a server in the lab as scripts do: with curl. */
  async curl(method: string, url: string, options: CurlOptions = {}): Promise<Reply> {
    const args = ['-sS', '-X', method, '--max-time', '60', '-w', '\n%{http_code}', url];
    for (const header of options.headers ?? []) args.push('-H', header);
    if (options.body !== undefined) args.push('-d', options.body);
    if (options.upload !== undefined) args.push('-T', options.upload);
    if (options.jar !== undefined) args.push('-b', options.jar);
    if (options.newJar !== undefined) args.push('-c', options.newJar);
    const output = await this.run('curl', ...args);
    const at = output.lastIndexOf('\n');
    return { status: Number(output.slice(at + 1)), body: output.slice(0, at) };
  }

  async makeFolder(name: string): Promise<string> {
    const path = join(this.folder, name);
    await mkdir(path, { recursive: true });
    return path;
  }

  /** Stops everything and takes the network away. */
  async close(): Promise<void> {
    await Promise.all([...this.#running].map((each) => each.stop('SIGKILL')));
    for (const namespace of [this.#namespace, this.#router])
      await execute('ip', ['netns', 'del', namespace]).catch(() => {});
    if (process.env.BTY_KEEP_LAB !== '1') await rm(this.folder, { recursive: true, force: true });
  }

  async #ip(...args: readonly string[]): Promise<void> {
    await execute('ip', ['-n', this.#namespace, ...args]);
  }
}

export interface CurlOptions {
  readonly headers?: readonly string[];
  readonly body?: string;
  /** File to send. */
  readonly upload?: string;
  /** File with cookies to send, and where to write the ones that come. Others may read the first at the same time. */
  readonly jar?: string;
  readonly newJar?: string;
}

class Running implements LabProcess {
  readonly name: string;
  readonly log: string;
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;

  constructor(name: string, log: string, child: ChildProcess) {
    this.name = name;
    this.log = log;
    this.#child = child;
    this.ended = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal);
    await this.ended;
  }
}

/** The last of what a program printed, for the message of a failed test. */
export async function tail(path: string, bytes = 3000): Promise<string> {
  return (await readFile(path, 'latin1').catch(() => '')).slice(-bytes);
}
