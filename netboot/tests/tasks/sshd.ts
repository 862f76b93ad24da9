/** A real OpenSSH server in namespaces of its own: it looks like a machine that booted a moment ago. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { until } from '../../testing/files.ts';
import { temporaryDirectory } from '../../testing.ts';

export interface SshdOptions {
  readonly address: string;
  /** Lines of authorized_keys. */
  readonly keys: readonly string[];
  /** Another one in the place of the one that is made. */
  readonly hostKey?: string;
  /** Seconds that it seems to be up; the host's own where null. */
  readonly uptime?: number | null;
  readonly commandLine?: string;
  /** Of the kernel's boot, in the place of the host's own. */
  readonly bootId?: string;
  /** File that its `systemctl` writes to, instead of rebooting anything. */
  readonly reboots?: string;
  /** More lines of sshd_config, and lines that win over what the others say (sshd_config(5): the first one counts). */
  readonly config?: readonly string[];
  readonly wins?: readonly string[];
}

export interface Sshd {
  readonly address: string;
  readonly folder: string;
  readonly hostKey: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
  readonly log: () => string;
  /** Ends it and everything in its namespaces, as a power cut would. */
  readonly stop: () => Promise<void>;
  /** Stops all of its processes where they are: nothing answers any more, and nothing is closed. */
  readonly freeze: () => void;
}

export const port = 22;

/** A host key; answers its file. */
export function makeHostKey(folder: string, name = 'host'): string {
  const file = join(folder, name);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file]);
  return file;
}

export async function startSshd(context: TestContext, options: SshdOptions): Promise<Sshd> {
  const { address, keys, uptime = 5 } = options;
  const folder = temporaryDirectory(context);
  // The server reads the keys with the rights of the user who logs in.
  chmodSync(folder, 0o755);
  const hostKey = options.hostKey ?? makeHostKey(folder);
  const authorized = join(folder, 'authorized_keys');
  writeFileSync(authorized, `${keys.join('\n')}\n`, { mode: 0o644 });
  const commandLine = join(folder, 'cmdline');
  writeFileSync(commandLine, `${options.commandLine ?? 'root=/dev/vda1 quiet'}\n`);
  const config = join(folder, 'sshd_config');
  const lines = [
    ...(options.wins ?? []),
    `Port ${port}`,
    `ListenAddress ${address}`,
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${authorized}`,
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
    'PasswordAuthentication no',
    'PermitRootLogin yes',
    'Subsystem sftp internal-sftp',
    'LogLevel VERBOSE',
    'MaxStartups 100',
    ...(options.config ?? []),
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  // Users of the machine: those of this one, and one without rights.
  const passwd = join(folder, 'passwd');
  writeFileSync(passwd, `${readFileSync('/etc/passwd', 'utf8')}plain:x:4242:4242::/tmp:/bin/sh\n`);
  mkdirSync(join(folder, 'run'));
  const script = [
    `mount --bind ${folder}/run /run`,
    'mkdir -p /run/sshd',
    `mount --bind ${passwd} /etc/passwd`,
    `mount --bind ${commandLine} /proc/cmdline`,
    ...stage(folder, options),
    `exec /usr/sbin/sshd -D -e -f ${config}`,
  ].join(' && ');
  const here = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  const time = uptime === null ? [] : ['--time', '--boottime', String(-Math.floor(here - uptime))];
  const namespaces = ['--mount', '--uts', '--pid', '--mount-proc', '--fork', '--kill-child', ...time];
  const child = spawn('unshare', [...namespaces, 'sh', '-c', script], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr?.on('data', (piece: Buffer) => {
    log = (log + piece.toString('utf8')).slice(-100_000);
  });
  const stop = () => ended(child);
  context.after(stop);
  await until(`sshd answers on ${address}`, () => answers(address, () => log));
  const shown = execFileSync('ssh-keygen', ['-l', '-f', `${hostKey}.pub`], { encoding: 'utf8' });
  const freeze = () => {
    for (const pid of processesIn(child.pid ?? 0)) process.kill(pid, 'SIGSTOP');
  };
  return { address, folder, hostKey, fingerprint: shown.split(' ')[1] ?? '', log: () => log, stop, freeze };
}

/** What the machine has in the place of the host's own. */
function stage(folder: string, { bootId, reboots }: SshdOptions): readonly string[] {
  const commands: string[] = [];
  if (bootId !== undefined) {
    const file = join(folder, 'boot_id');
    writeFileSync(file, `${bootId}\n`);
    commands.push(`mount --bind ${file} /proc/sys/kernel/random/boot_id`);
  }
  if (reboots !== undefined) {
    const file = join(folder, 'systemctl');
    writeFileSync(file, `#!/bin/sh\necho "$@" >>${reboots}\n`, { mode: 0o755 });
    commands.push(`mount --bind ${file} /usr/bin/systemctl`);
  }
  return commands;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  // The first process of a PID namespace takes all others with it.
  const over = once(child, 'exit');
  child.kill('SIGKILL');
  await over;
}

async function answers(address: string, log: () => string): Promise<boolean> {
  if (/fatal|error: Bind/.test(log())) throw new Error(log());
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** All descendants of a process. */
function processesIn(parent: number): readonly number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(/\s+/);
  return children
    .filter((word) => word !== '')
    .flatMap((word) => [Number(word), ...processesIn(Number(word))]);
}

/** Processes, wherever they run, with this word among their arguments. */
export function processesWith(word: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(word);
      } catch {
        return false;
      }
    });
}
