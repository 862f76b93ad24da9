import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { chown, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { Lab, lacks } from '../../../netboot/dhcp/tests/lab.ts';
import { version } from '../../release/version.ts';
import { freePort } from '../../test/port.ts';
import { packImage } from '../archive.ts';
import { user } from '../filesystem.ts';
import { type Built, buildImage, settings } from '../image.ts';
import { Container, makeBundle, noContainer, type Spec, unpackImage } from './runc.ts';

const run = promisify(execFile);
const skip = noContainer;

const work = mkdtempSync(join(tmpdir(), 'bty-image-'));
const layout = join(work, 'layout');
let built: Built;
let unpacked: string;
before(
  async () => {
    if (skip) return;
    built = await buildImage(layout, 'x64');
    unpacked = await unpackImage(layout, join(work, 'unpacked'));
  },
  { timeout: 1_800_000 },
);
after(() => rmSync(work, { recursive: true, force: true }));

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt: readonly string[];
  readonly volumes: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
}
const beside = (name: string) => readFileSync(join(import.meta.dirname, '..', name), 'utf8');
const { services } = parse(beside('compose.yaml')) as { services: Readonly<Record<string, Service>> };

const bundleOf = (
  name: string,
  volume: string,
  environment: readonly string[],
  image = unpacked,
): Promise<string> => makeBundle(image, join(work, name), volume, { environment });

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
  timeout: 1_800_000,
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
  const anew = await unpackImage(layout, join(work, 'anew'));
  const second = new Container(name('second'), await bundleOf('second', volume, given, anew));
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

test('a volume of somebody else is refused with what to do', {
  skip,
  timeout: 1_800_000,
}, async (context) => {
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

test('Compose and Quadlet run the image as it says itself that it wants to be run', () => {
  const [[state] = []] = [Object.keys(settings.Volumes)];
  assert.deepEqual(Object.keys(services), ['bty-web', 'bty-boot']);
  for (const service of Object.values(services)) {
    assert.equal(service.image, 'bty-web:latest');
    assert.deepEqual(service.healthcheck.test, [...settings.Healthcheck.Test]);
    assert.deepEqual(service.volumes, [`bty:${state}`]);
    assert.deepEqual([service.read_only, service.cap_drop], [true, ['ALL']]);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true']);
  }
  const quadlet = new Map(
    beside('bty-web.container')
      .split('\n')
      .flatMap((line) =>
        /^[A-Z]\w+=/.test(line) ? [line.split(/=(.*)/).slice(0, 2) as [string, string]] : [],
      ),
  );
  assert.equal(quadlet.get('Image'), 'localhost/bty-web:latest');
  assert.deepEqual(['CMD', ...JSON.parse(quadlet.get('HealthCmd') ?? '')], [...settings.Healthcheck.Test]);
  assert.equal(quadlet.get('Volume'), `bty.volume:${state}`);
  const rights = ['ReadOnly', 'DropCapability', 'NoNewPrivileges'].map((name) => quadlet.get(name));
  assert.deepEqual(rights, ['true', 'all', 'true']);
});

test('with the network and the rights of "bty-boot" it leases addresses and gives out boot files, as a user without', {
  skip: skip || lacks('busybox', 'curl'),
  timeout: 1_800_000,
}, async (context) => {
  const net = await Lab.make();
  context.after(() => net.close());
  const [here, there] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [there, 'eth0', '10.77.0.2/24']);
  const volume = join(work, 'boot-volume');
  await mkdir(volume, { mode: 0o750 });
  await chown(volume, user.id, user.id);
  const { command = [], cap_add: rights = [] } = services['bty-boot'] ?? assert.fail();
  // No other server leases addresses here.
  const words = command.map((word) => (word === 'proxy' ? 'full' : word));
  const network = `/run/netns/${here}`;
  const bundle = await makeBundle(unpacked, join(work, 'boot'), volume, {
    ...{ environment: [], words, rights, network },
  });
  const container = new Container(`bty-${process.pid}-boot`, bundle);
  context.after(() => container.stop('KILL'));
  const asked = ['-sf', '--max-time', '5', 'http://10.77.0.1:8080/healthz'];
  await container.healthy(async () => (await net.run(there, 'curl', asked)).code === 0);
  const client = ['udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-t', '60', '-T', '2', '-s', '/bin/true'];
  const pxe = ['-V', 'PXEClient:Arch:00000:UNDI:002001', '-x', '93:0000'];
  const { text } = await net.run(there, 'busybox', [...client, ...pxe]);
  assert.match(text, /lease of 10\.77\.0\.\d+ obtained from 10\.77\.0\.1/, `${text}${container.said}`);
  const file = join(net.folder, 'undionly.kpxe');
  const got = await net.run(there, 'busybox', ['tftp', '-g', '-r', 'undionly.kpxe', '-l', file, '10.77.0.1']);
  assert.equal(got.code, 0, `${got.text}${container.said}`);
  assert.ok(statSync(file).size > 50_000, 'the loader for BIOS is in the image');
  const status = await container.status();
  assert.match(status, new RegExp(`^Uid:(\\s+${user.id}){4}$`, 'm'));
  // CAP_NET_BIND_SERVICE is the bit 10.
  assert.match(status, /^CapEff:\s+0*400$/m);
  assert.match(status, /^CapBnd:\s+0*(400)?$/m);
});
