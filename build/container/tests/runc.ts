/** The image under runc, which knows the specification and not us. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { version } from '../../release/version.ts';

const run = promisify(execFile);
const tools = ['mmdebstrap', 'umoci', 'runc', 'skopeo'];
const missing = tools.filter(
  (tool) => !(process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, tool))),
);

/** Why no container can be run here, false where one can. */
export const noContainer: string | false =
  missing.length > 0
    ? `not installed: ${missing.join(' ')}`
    : process.getuid?.() !== 0
      ? 'a container with a network of its own needs root'
      : process.arch !== 'x64' && 'the image is run for x64 here';

export interface Spec {
  process: {
    args: string[];
    env: string[];
    user: { uid: number; gid: number };
    terminal?: boolean;
    noNewPrivileges?: boolean;
    capabilities?: Record<string, string[]>;
  };
  root: { path: string; readonly?: boolean };
  mounts: { destination: string; type?: string; source?: string; options?: string[] }[];
  linux: { namespaces: { type: string; path?: string }[] } & Record<string, unknown>;
}

const isWell = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(30_000) }).then(
    ({ ok }) => ok,
    () => false,
  );

/** One start of the image by runc, as `compose.yaml` says it is run: read-only, without rights, with one volume. */
export class Container {
  readonly #name: string;
  readonly #child;
  said = '';

  constructor(name: string, bundle: string) {
    this.#name = name;
    const args = ['run', '--bundle', bundle, name];
    this.#child = spawn('runc', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
  }

  /**
   * Resolves when it answers; rejects when it ends before, or has not after `seconds`. It is asked at a port of this
   * machine's loopback, or by `ask`.
   */
  async healthy(ask: number | (() => Promise<boolean>), seconds = 240): Promise<void> {
    const ended = once(this.#child, 'exit').then(() => assert.fail(`it ended: ${this.said}`));
    const asked = (async () => {
      const until = performance.now() + seconds * 1000;
      while (performance.now() < until) {
        if (await (typeof ask === 'number' ? isWell(ask) : ask())) return;
        await pause(100);
      }
      assert.fail(`it does not answer: ${this.said}`);
    })();
    await Promise.race([ended, asked]);
  }

  /** What the kernel says of its first process (proc_pid_status(5)). */
  async status(): Promise<string> {
    const { pid } = JSON.parse((await run('runc', ['state', this.#name])).stdout) as { pid: number };
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  }

  /** Runs the image's own health check in it. */
  async check(test: readonly string[]): Promise<number> {
    const args = ['exec', this.#name, ...test];
    return run('runc', args).then(
      () => 0,
      (error: { code?: number }) => error.code ?? -1,
    );
  }

  async stop(signal: 'KILL' | 'TERM'): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      await run('runc', ['kill', this.#name, signal]).catch(() => this.#child.kill('SIGKILL'));
      await ended;
    }
    await run('runc', ['delete', '--force', this.#name]).catch(() => {});
  }
}

/** What is settled when a container is started, as options of Compose or Podman. */
export interface Settled {
  readonly environment: readonly string[];
  /** Arguments in place of the image's. */
  readonly words?: readonly string[];
  /** Starts as root with these capabilities; else as the image's own user with none. */
  readonly rights?: readonly string[];
  /** Network namespace; that of this machine unless given. */
  readonly network?: string;
}

/** Unpacks the image of `layout` by umoci into the folder `to`. */
export async function unpackImage(layout: string, to: string): Promise<string> {
  await run('umoci', ['unpack', '--image', `${layout}:${version}`, to]);
  return to;
}

/** Makes the folder `bundle`, which runs the `unpacked` image with `volume`. Bundles may share an image: none writes to it. */
export async function makeBundle(
  unpacked: string,
  bundle: string,
  volume: string,
  { environment, words, rights, network }: Settled,
): Promise<string> {
  const spec = JSON.parse(readFileSync(join(unpacked, 'config.json'), 'utf8')) as Spec;
  const own = (rights ?? []).map((name) => `CAP_${name}`);
  const capabilities = { bounding: own, effective: own, permitted: own, inheritable: [], ambient: [] };
  const { args } = spec.process;
  spec.process = {
    ...spec.process,
    args: words ? [...args.slice(0, -1), ...words] : args,
    ...(rights ? { user: { uid: 0, gid: 0 } } : {}),
    terminal: false,
    noNewPrivileges: true,
    capabilities,
    env: [...spec.process.env, ...environment],
  };
  spec.root = { path: join(unpacked, 'rootfs'), readonly: true };
  const mounts = spec.mounts.filter(
    ({ destination, type }) => destination !== '/var/lib/bty' && type !== 'cgroup',
  );
  spec.mounts = [
    ...mounts,
    { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev'] },
    { destination: '/var/lib/bty', type: 'bind', source: volume, options: ['rbind', 'rw'] },
  ];
  // Without a namespace of its own a port that is published is one of this machine's loopback.
  const namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'network' && type !== 'cgroup');
  spec.linux = {
    ...spec.linux,
    namespaces: network === undefined ? namespaces : [...namespaces, { type: 'network', path: network }],
  };
  mkdirSync(bundle);
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
  return bundle;
}
