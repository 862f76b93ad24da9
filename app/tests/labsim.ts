/** An appliance with DHCP on one end of a cable, pretended machines on the other, each end in a namespace of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { builtPages, password } from './lab.ts';
import { patience } from './processes.ts';
import { noise } from './sample.ts';

const run = promisify(execFile);
const ip = (...args: string[]) => run('ip', args);
const root = join(import.meta.dirname, '..', '..');
const node = [process.execPath, '--disable-warning=ExperimentalWarning'] as const;
let made = 0;

export interface SimLab extends AsyncDisposable {
  readonly url: string;
  /** Chromium that stands on the appliance's end, to be started as a browser is. */
  readonly browser: string;
  /** Lets `count` machines boot; answers what `bty-sim` says of them. */
  readonly boot: (count: number, over: number) => Promise<{ readonly failed: readonly unknown[] }>;
}

/** Why there can be no such network; false when there can. */
export function whyNoNetwork(): string | false {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  return process.platform === 'linux' ? false : 'network namespaces are Linux’s';
}

export async function startSimLab(): Promise<SimLab> {
  const name = `bty-lab-${process.pid}-${made++}`;
  const [server, clients] = [`${name}s`, `${name}c`];
  const folder = await mkdtemp(join(tmpdir(), 'bty-labsim-'));
  const running: ChildProcess[] = [];
  const close = async () => {
    for (const child of running) await end(child);
    for (const space of [server, clients]) await ip('netns', 'del', space).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await cable(server, clients);
    running.push(await appliance(server, folder));
    const browser = join(folder, 'chromium');
    await writeFile(browser, `#!/bin/sh\nexec ip netns exec ${server} /usr/bin/chromium "$@"\n`);
    await chmod(browser, 0o755);
    return {
      url: 'http://10.78.0.1:8080',
      browser,
      boot: async (count, over) => {
        const args = ['--machines', String(count), '--over', String(over), '--interface', 'lab1'];
        const admin = ['--appliance', 'http://10.78.0.1:8080', '--password', password];
        const program = [...node, join(root, 'netboot', 'tests', 'sim', 'main.ts'), ...args, ...admin];
        const { stdout } = await run('ip', ['netns', 'exec', clients, ...program]).catch(
          (error: { stdout: string }) => error,
        );
        return JSON.parse(stdout) as { failed: unknown[] };
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function cable(server: string, clients: string): Promise<void> {
  for (const space of [server, clients]) {
    await ip('netns', 'add', space);
    await ip('-n', space, 'link', 'set', 'lo', 'up');
  }
  await ip('-n', server, 'link', 'add', 'lab0', 'type', 'veth', 'peer', 'name', 'lab1', 'netns', clients);
  await ip('-n', server, 'addr', 'add', '10.78.0.1/16', 'dev', 'lab0');
  await ip('-n', clients, 'addr', 'add', '10.78.0.2/16', 'dev', 'lab1');
  await ip('-n', server, 'link', 'set', 'lab0', 'up');
  await ip('-n', clients, 'link', 'set', 'lab1', 'up');
  // Broadcasts of the pretended machines leave by the default route.
  await ip('-n', clients, 'route', 'add', 'default', 'dev', 'lab1');
}

async function appliance(space: string, folder: string): Promise<ChildProcess> {
  const state = join(folder, 'state');
  await mkdir(join(state, 'boot'), { recursive: true });
  // Nothing runs them: what matters is that they arrive.
  await writeFile(join(state, 'boot', 'bty-netboot-x86_64.vmlinuz'), noise(400_000, 2));
  await writeFile(join(state, 'boot', 'bty-netboot-x86_64.initrd'), noise(1_000_000, 3));
  const args = [
    ...['netns', 'exec', space, ...node, join(root, 'netboot', 'main.ts'), 'serve', '--state-dir', state],
    ...['--web-host', '10.78.0.1', '--web-port', '8080', '--interface', 'lab0', '--dhcp', 'full'],
    ...['--dhcp-anyway', '--user', 'root', '--admin-password', password, '--ui-dir', await builtPages()],
  ];
  const child = spawn('ip', args, { stdio: 'ignore' });
  const limit = performance.now() + patience;
  while (performance.now() < limit) {
    const asks = ['netns', 'exec', space, 'curl', '-sf', '-m', '2', 'http://10.78.0.1:8080/healthz'];
    const answers = await ip(...asks).then(
      () => true,
      () => false,
    );
    if (answers) return child;
    if (child.exitCode !== null) break;
    await wait(100);
  }
  await end(child);
  throw new Error('the appliance does not serve');
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}
