/** What takes minutes: the image of the other architecture, and the programs of others that read what lies beside it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { chown, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { withArm64 } from '../../media/emulate.ts';
import { missingTools } from '../../media/tools.ts';
import { freePort } from '../../test/port.ts';
import { user } from '../filesystem.ts';
import { buildImage } from '../image.ts';
import { Container, makeBundle, noContainer, unpackImage } from './runc.ts';

const run = promisify(execFile);
const long = process.env.BTY_MEDIA === 'all' ? false : 'npm run test:media does it';

test('the image for arm64 serves on a processor that is imitated', {
  skip: noContainer || missingTools(['qemu-aarch64-static']) || long,
  timeout: 900_000,
}, async (context) => {
  const work = mkdtempSync(join(tmpdir(), 'bty-arm64-'));
  context.after(() => rmSync(work, { recursive: true, force: true }));
  const volume = join(work, 'volume');
  await mkdir(volume, { mode: 0o750 });
  await chown(volume, user.id, user.id);
  const layout = join(work, 'layout');
  await buildImage(layout, 'arm64');
  const port = await freePort();
  const environment = [`BTY_WEB_PORT=${port}`, 'BTY_WEB_HOST=127.0.0.1', 'QEMU_CPU=cortex-a72'];
  const bundle = await makeBundle(
    await unpackImage(layout, join(work, 'unpacked')),
    join(work, 'bundle'),
    volume,
    { environment },
  );
  await withArm64(async () => {
    const container = new Container(`bty-${process.pid}-arm64`, bundle);
    try {
      await container.healthy(port, 600);
    } finally {
      await container.stop('KILL');
    }
  });
});

test('Docker Compose and the Quadlet of Podman take the files as they are', {
  skip: missingTools(['mmdebstrap']) || (process.getuid?.() === 0 ? long : 'a root of its own needs root'),
  timeout: 900_000,
}, async (context) => {
  const work = mkdtempSync(join(tmpdir(), 'bty-others-'));
  context.after(() => rmSync(work, { recursive: true, force: true }));
  const [archive, root] = [join(work, 'root.tar'), join(work, 'root')];
  mkdirSync(root);
  // Debian 12 has neither of them in a version that knows these files.
  const include = '--include=docker-compose,podman,libc6,base-files';
  await run('mmdebstrap', ['--variant=extract', '--quiet', include, 'trixie', archive], {
    maxBuffer: 1 << 24,
  });
  await run('tar', ['-xf', archive, '-C', root, '--exclude=./dev/*']);
  const place = join(root, 'given');
  mkdirSync(place);
  for (const name of ['compose.yaml', 'bty-web.container', 'bty.volume'])
    cpSync(join(import.meta.dirname, '..', name), join(place, name));
  const inside = (args: readonly string[]) =>
    run('chroot', [root, ...args], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', QUADLET_UNIT_DIRS: '/given' },
    });
  const compose = ['/usr/libexec/docker/cli-plugins/docker-compose', '-f', '/given/compose.yaml'];
  const { stdout: normal } = await inside([...compose, 'config', '--format', 'json']);
  const { stdout: booting } = await inside([...compose, '--profile', 'boot', 'config', '--format', 'json']);
  assert.deepEqual(Object.keys(JSON.parse(normal).services), ['bty-web']);
  const { network_mode, cap_drop, read_only } = JSON.parse(booting).services['bty-boot'];
  assert.deepEqual([network_mode, cap_drop, read_only], ['host', ['ALL'], true]);
  const { stdout: units, stderr } = await inside(['/usr/libexec/podman/quadlet', '-dryrun']);
  const [, start = ''] = /^ExecStart=(.*bty-web.*)$/m.exec(units) ?? assert.fail(`${units}${stderr}`);
  for (const part of [
    '--read-only',
    '--cap-drop',
    'systemd-bty:/var/lib/bty',
    '--publish 8080:8080',
    'health.cjs',
  ])
    assert.ok(start.includes(part), `${part} in ${start}`);
});
