/** An appliance, a DHCP server of others and pretended machines on one switch, each in a namespace of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { noise, until } from '../../testing/files.ts';

const run = promisify(execFile);
const ip = (...args: string[]) => run('ip', args);
const password = 'correct horse battery';
const node = [process.execPath, '--disable-warning=ExperimentalWarning'];
const neighbours = 32_768;
let made = 0;

export interface Failed {
  readonly mac: string;
  readonly model: string;
  readonly problem: string;
  readonly diagnosis: { readonly state: string; readonly code: string; readonly cause: string } | null;
}

export interface Report {
  readonly machines: number;
  readonly failed: readonly Failed[];
  readonly stages: Readonly<
    Record<string, { readonly p50: number; readonly p99: number; readonly count: number }>
  >;
}

export interface Taken {
  /** Most bytes at once, and seconds of processor time. */
  readonly memory: number;
  readonly processor: number;
  /** Lost before they were read, since their queue was full. */
  readonly datagrams: number;
  readonly connections: number;
}

export class SimNetwork {
  readonly #folder: string;
  readonly #server: string;
  readonly #clients: string;
  readonly #switch: string;
  readonly #running: ChildProcess[] = [];
  /** Limits of the kernel's neighbour table as they were. */
  #neighbours: readonly (readonly [path: string, value: string])[] = [];
  #served: { readonly child: ChildProcess; readonly dhcp: string } | null = null;

  private constructor(folder: string) {
    this.#folder = folder;
    const name = `${process.pid}-${made++}`;
    this.#server = `bty-sim-s${name}`;
    this.#clients = `bty-sim-c${name}`;
    this.#switch = `bty-sim-b${name}`;
  }

  /** With an appliance that serves; in proxy mode beside dnsmasq at 10.77.0.3. */
  static async make(dhcp: 'full' | 'proxy'): Promise<SimNetwork> {
    const network = new SimNetwork(await mkdtemp(join(tmpdir(), 'bty-sim-')));
    try {
      await network.#room();
      await network.#cables();
      if (dhcp === 'proxy') network.#router();
      await network.#appliance(dhcp);
      return network;
    } catch (error) {
      await network.close();
      throw error;
    }
  }

  /** Pretended machines and the appliance share the neighbour table of one kernel, where each would have its own. */
  async #room(): Promise<void> {
    const names = ['gc_thresh3', 'gc_thresh2'].map((name) => `/proc/sys/net/ipv4/neigh/default/${name}`);
    const before = await Promise.all(
      names.map(async (path) => [path, await readFile(path, 'utf8').catch(() => '')] as const),
    );
    this.#neighbours = before.filter(([, value]) => Number(value) > 0 && Number(value) < neighbours);
    for (const [path] of this.#neighbours) await writeFile(path, String(neighbours)).catch(() => undefined);
  }

  async #cables(): Promise<void> {
    for (const name of [this.#server, this.#clients, this.#switch]) {
      await ip('netns', 'add', name);
      await ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    await ip('-n', this.#switch, 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0');
    await ip('-n', this.#switch, 'addr', 'add', '10.77.0.3/16', 'dev', 'br0');
    await ip('-n', this.#switch, 'link', 'set', 'br0', 'up');
    for (const [space, name, address] of [
      [this.#server, 'lab0', '10.77.0.1/16'],
      [this.#clients, 'lab1', '10.77.0.2/16'],
    ] as const) {
      const port = `p${name}`;
      await ip('-n', this.#switch, 'link', 'add', port, 'type', 'veth', 'peer', 'name', name, 'netns', space);
      await ip('-n', this.#switch, 'link', 'set', port, 'master', 'br0', 'up');
      await ip('-n', space, 'addr', 'add', address, 'dev', name);
      await ip('-n', space, 'link', 'set', name, 'up');
    }
    await ip('-n', this.#clients, 'route', 'add', 'default', 'dev', 'lab1');
  }

  /** A DHCP server that knows nothing of network boots. */
  #router(): void {
    this.#start(this.#switch, 'dnsmasq', [
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--log-facility=-', '--port=0', '--user=root'],
      ...['--interface=br0', '--bind-interfaces', '--except-interface=lo', '--leasefile-ro', '--no-ping'],
      ...['--dhcp-range=10.77.128.1,10.77.191.254,255.255.0.0,1h', '--dhcp-authoritative'],
    ]);
  }

  async #appliance(dhcp: string): Promise<void> {
    const state = join(this.#folder, 'state');
    await mkdir(join(state, 'boot'), { recursive: true });
    // Nothing runs them: what matters is that they arrive.
    await writeFile(join(state, 'boot', 'bty-netboot-x86_64.vmlinuz'), noise(400_000, 2));
    await writeFile(join(state, 'boot', 'bty-netboot-x86_64.initrd'), noise(1_000_000, 3));
    const [program = '', ...flags] = node;
    const child = this.#start(this.#server, program, [
      ...[...flags, join(import.meta.dirname, '..', '..', 'main.ts'), 'serve'],
      ...['--state-dir', state, '--web-host', '10.77.0.1', '--web-port', '8080'],
      ...['--interface', 'lab0', '--dhcp', dhcp, '--dhcp-anyway', '--user', 'root'],
      ...['--admin-password', password],
    ]);
    this.#served = { child, dhcp };
    const asks = ['-sS', '-m', '3', '-o', '/dev/null', 'tftp://10.77.0.1/undionly.kpxe'];
    const serves = () =>
      ip('netns', 'exec', this.#clients, 'curl', ...asks).then(
        () => true,
        () => false,
      );
    await until('the appliance serves', serves);
  }

  #start(space: string, program: string, args: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', space, program, ...args], { stdio: 'ignore' });
    this.#running.push(child);
    return child;
  }

  /** How many leases the appliance confirmed, by its journal. */
  async leases(): Promise<number> {
    const text = await readFile(join(this.#folder, 'state', 'dhcp', 'leases.journal'), 'utf8').catch(
      () => '',
    );
    return text.split('"state":"bound"').length - 1;
  }

  /** Ends the appliance as a power cut does, and starts it again. */
  async crash(): Promise<void> {
    if (this.#served === null) throw new Error('nothing serves');
    const { child, dhcp } = this.#served;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    await this.#appliance(dhcp);
  }

  /** What the appliance took so far, and what the kernel had no room for before it. */
  async taken(): Promise<Taken> {
    const pid = this.#served?.child.pid;
    if (pid === undefined) throw new Error('nothing serves');
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const memory = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
    // proc(5): the name stands in parentheses; utime and stime are the 12th and 13th field after it, in hundredths.
    const times = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ');
    const processor = (Number(times[11]) + Number(times[12])) / 100;
    const counters = ['/proc/net/snmp', '/proc/net/netstat'];
    const { stdout } = await ip('netns', 'exec', this.#server, 'cat', ...counters);
    // proc(5): of each group a line of names, and one of values.
    const counted = (group: string, name: string) => {
      const lines = [...stdout.matchAll(new RegExp(`^${group}: (.*)$`, 'gm'))];
      const [names = [], values = []] = lines.map(([, text = '']) => text.split(' '));
      return Number(values[names.indexOf(name)]);
    };
    const datagrams = counted('Udp', 'RcvbufErrors');
    return { memory, processor, datagrams, connections: counted('TcpExt', 'ListenOverflows') };
  }

  /** Runs `bty-sim`, as the lab admin who binds an image to the machines, or only until they have a plan. */
  async simulate(
    machines: number,
    over: number,
    { powerOns = 1, together = Number.POSITIVE_INFINITY, until = 'deployed' as 'deployed' | 'plan' } = {},
  ): Promise<Report> {
    const counts = ['--machines', String(machines), '--over', String(over), '--interface', 'lab1'];
    counts.push('--power-ons', String(powerOns), '--together', String(together));
    const admin =
      until === 'deployed' ? ['--appliance', 'http://10.77.0.1:8080', '--password', password] : [];
    const program = [...node, join(import.meta.dirname, 'main.ts'), ...counts, ...admin];
    const { stdout, stderr } = await run('ip', ['netns', 'exec', this.#clients, ...program], {
      maxBuffer: 1 << 24,
    }).catch((error: { stdout: string; stderr: string }) => error);
    if (!stdout.startsWith('{')) throw new Error(`the simulator ended: ${stderr}`);
    return JSON.parse(stdout) as Report;
  }

  async close(): Promise<void> {
    for (const child of this.#running) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    }
    for (const name of [this.#server, this.#clients, this.#switch])
      await ip('netns', 'del', name).catch(() => undefined);
    for (const [path, value] of this.#neighbours) await writeFile(path, value).catch(() => undefined);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
