import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { chown, mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { version } from '../../release/version.ts';
import { packImage } from '../archive.ts';
import { user } from '../filesystem.ts';
import { type Built, buildImage, settings } from '../image.ts';

const run = promisify(execFile);
const tools = ['mmdebstrap', 'umoci', 'runc', 'skopeo'];
const missing = tools.filter(
  (tool) => !(process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, tool))),
);
const skip =
  missing.length > 0
    ? `not installed: ${missing.join(' ')}`
    : process.getuid?.() !== 0
      ? 'a container with a network of its own needs root'
      : process.arch !== 'x64' && 'the image is run for x64 here';

const work = mkdtempSync(join(tmpdir(), 'bty-image-'));
const layout = join(work, 'layout');
let built: Built;
before(
  async () => {
    if (!skip) built = await buildImage(layout, 'x64');
  },
  { timeout: 300_000 },
);
after(() => rmSync(work, { recursive: true, force: true }));

interface Spec {
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
  linux: { namespaces: { type: string }[] } & Record<string, unknown>;
}

/** One start of the image by runc, as `compose.yaml` says it is run: read-only, without rights, with one volume. */
class Container {
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

  /** Resolves when it answers; rejects when it ends before, or has not after a minute. */
  async healthy(port: number): Promise<void> {
    const ended = once(this.#child, 'exit').then(() => assert.fail(`it ended: ${this.said}`));
    const asked = (async () => {
      const until = performance.now() + 60_000;
      while (performance.now() < until) {
        const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null);
        if (answer?.ok) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.fail(`it does not answer: ${this.said}`);
    })();
    await Promise.race([ended, asked]);
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : assert.fail();
}

/** Unpacks the image by umoci, which knows the specification and not us, and settles how it is run. */
async function bundleOf(name: string, volume: string, environment: readonly string[]): Promise<string> {
  const bundle = join(work, name);
  await run('umoci', ['unpack', '--image', `${layout}:${version}`, bundle]);
  const file = join(bundle, 'config.json');
  const spec = JSON.parse(readFileSync(file, 'utf8')) as Spec;
  const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
  spec.process = {
    ...spec.process,
    terminal: false,
    noNewPrivileges: true,
    capabilities: none,
    env: [...spec.process.env, ...environment],
  };
  spec.root.readonly = true;
  const mounts = spec.mounts.filter(
    ({ destination, type }) => destination !== '/var/lib/bty' && type !== 'cgroup',
  );
  spec.mounts = [
    ...mounts,
    { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev'] },
    { destination: '/var/lib/bty', type: 'bind', source: volume, options: ['rbind', 'rw'] },
  ];
  // The port that is published is one of this machine's loopback.
  spec.linux = {
    ...spec.linux,
    namespaces: spec.linux.namespaces.filter(({ type }) => type !== 'network' && type !== 'cgroup'),
  };
  writeFileSync(file, JSON.stringify(spec));
  return bundle;
}

test('the image is small, unprivileged, and of the form that other tools expect', { skip }, async () => {
  const { stdout } = await run('skopeo', ['inspect', '--config', `oci:${layout}:${version}`]);
  const { config, architecture } = JSON.parse(stdout) as {
    architecture: string;
    config: Record<string, unknown>;
  };
  assert.deepEqual([architecture, config.User, config.StopSignal], ['amd64', '999:999', 'SIGTERM']);
  assert.deepEqual(config.Volumes, { '/var/lib/bty': {} });
  const packed = built.layers.reduce((sum, { size }) => sum + size, 0);
  assert.ok(packed < 50e6 && built.unpacked < 130e6, `${packed} bytes packed, ${built.unpacked} unpacked`);
  // A new version brings a new program and not a new runtime.
  assert.ok((built.layers[1]?.size ?? 0) < 3e6, 'the layer of the program is small');
  const file = join(work, 'image.tar');
  await packImage(file, layout, built);
  const copied = join(work, 'copied');
  await run('skopeo', ['copy', '--quiet', `docker-archive:${file}`, `oci:${copied}:again`]);
  await run('skopeo', ['inspect', '--raw', `oci-archive:${file}:${version}`]);
});

test('the container serves its catalog, and survives being killed and an upgrade with its volume', {
  skip,
  timeout: 240_000,
}, async (context) => {
  const volume = join(work, 'volume');
  await mkdir(volume, { mode: 0o750 });
  await chown(volume, user.id, user.id);
  const port = await freePort();
  const given = [`BTY_WEB_PORT=${port}`, 'BTY_WEB_HOST=127.0.0.1', 'BTY_ADMIN_PASSWORD=correct-horse-1'];
  const url = `http://127.0.0.1:${port}`;
  const name = (part: string) => `bty-${process.pid}-${part}`;

  const bundle = await bundleOf('first', volume, given);
  const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as Spec;
  assert.deepEqual([spec.process.user.uid, spec.process.user.gid], [user.id, user.id]);
  const first = new Container(name('first'), bundle);
  context.after(() => first.stop('KILL'));
  await first.healthy(port);
  const [, ...health] = settings.Healthcheck.Test;
  assert.equal(await first.check(health), 0);
  const other = [
    '/usr/lib/bty/node',
    '-e',
    `process.env.BTY_WEB_PORT='1';require(process.argv[1])`,
    '/usr/lib/bty/health.cjs',
  ];
  assert.equal(await first.check(other), 1, 'the check can fail');
  const write = ['/usr/lib/bty/node', '-e', `require('node:fs').writeFileSync('/usr/x','')`];
  assert.notEqual(await first.check(write), 0, 'the root is read-only');

  const login = await fetch(`${url}/ui/login`, {
    method: 'POST',
    body: new URLSearchParams({ password: 'correct-horse-1' }),
    redirect: 'manual',
  });
  const cookie = login.headers
    .getSetCookie()
    .map((each) => each.split(';')[0])
    .join('; ');
  const image = Buffer.alloc(1 << 20, 'image');
  const digest = createHash('sha256').update(image).digest('hex');
  const put = await fetch(`${url}/images/a.img`, { method: 'PUT', body: image, headers: { cookie } });
  assert.equal(put.status, 200, await put.text());
  await first.stop('KILL');

  // The same volume under an image that was unpacked anew: what an upgrade is.
  const second = new Container(name('second'), await bundleOf('second', volume, given));
  context.after(() => second.stop('KILL'));
  await second.healthy(port);
  const listed = await (await fetch(`${url}/images`, { headers: { cookie } })).text();
  assert.match(listed, /a\.img/, 'the session and the image are still there');
  const fetched = Buffer.from(
    await (await fetch(`${url}/images/${digest}`, { headers: { cookie } })).arrayBuffer(),
  );
  assert.ok(fetched.equals(image), 'the image is given out under its digest');
  assert.match(await (await fetch(`${url}/ui/login`)).text(), /<html/);
  await second.stop('TERM');
  assert.equal(statSync(join(volume, 'state.db')).uid, user.id);
  assert.deepEqual(readdirSync(join(volume, 'images')).includes('a.img'), true);
});

test('a volume of somebody else is refused with what to do', { skip, timeout: 120_000 }, async (context) => {
  const volume = join(work, 'foreign');
  await mkdir(volume, { mode: 0o755 });
  const port = await freePort();
  const container = new Container(
    `bty-${process.pid}-foreign`,
    await bundleOf('third', volume, [`BTY_WEB_PORT=${port}`]),
  );
  context.after(() => container.stop('KILL'));
  await assert.rejects(container.healthy(port), /it ended: .*\/var\/lib\/bty/s);
});
