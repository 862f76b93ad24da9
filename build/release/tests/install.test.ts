import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { sampleImage } from '../../demo/sample.ts';
import { programs } from '../../pack/programs.ts';
import { packDeb } from '../deb.ts';
import { packNpm } from '../npm.ts';
import { packTarball } from '../tarball.ts';
import { version } from '../version.ts';
import { CleanRoot, noCleanRoot, npmFolder } from './cleanroot.ts';

const skip = noCleanRoot || (process.arch !== 'x64' && 'the packages are built for x64 here');
const names = programs.map(({ name }) => name);
let root: CleanRoot;
before(async () => {
  if (!skip) root = await CleanRoot.make();
});
after(() => root?.remove());

/** Packs straight into a fresh root, and gives the path in there. */
async function packed(name: string, pack: (file: string) => Promise<unknown>): Promise<string> {
  await pack(join(root.folder, name));
  return `/${basename(name)}`;
}

/** What every way to install must give: the commands, a flash that is verified, an appliance that answers. */
async function proves(folder: string): Promise<void> {
  for (const name of names)
    assert.equal(await root.run([join(folder, name), '--version']), `${name} ${version}\n`);
  const image = sampleImage(4 << 20);
  writeFileSync(join(root.folder, 'tmp', 'a.img.zst'), zstdCompressSync(image));
  writeFileSync(join(root.folder, 'tmp', 'disk'), Buffer.alloc(8 << 20));
  const words = ['flash', '--image', '/tmp/a.img.zst', '--virtual-disk', '/tmp/disk', '--yes', '--json'];
  const told = JSON.parse(await root.run([join(folder, 'bty'), ...words]));
  assert.equal(told.verified, true);
  assert.deepEqual(readFileSync(join(root.folder, 'tmp', 'disk')).subarray(0, image.length), image);

  const state = folder === '/usr/bin' ? '/var/lib/bty' : '/tmp/state';
  rmSync(join(root.folder, 'tmp', 'state'), { recursive: true, force: true });
  const serve = ['serve', '--state-dir', state, '--web-host', '127.0.0.1', '--web-port', '0'];
  const appliance = root.start([join(folder, 'bty-web'), ...serve]);
  const ended = once(appliance, 'exit');
  try {
    let [said, complained] = ['', ''];
    appliance.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      complained += chunk;
    });
    for await (const chunk of appliance.stdout?.setEncoding('utf8') ?? []) {
      said += chunk;
      if (/password of the operator is/.test(said)) break;
    }
    const url = /http:\S+/.exec(said)?.[0] ?? assert.fail(`it said: ${said}${complained}`);
    assert.deepEqual(await (await fetch(`${url}/healthz`)).json(), { status: 'ok' });
    assert.match(await (await fetch(`${url}/ui/login`)).text(), /<script [^>]*src="\/static\//);
  } finally {
    appliance.kill('SIGTERM');
    await ended;
  }
}

test('the Debian package installs, runs, serves as its own user, and leaves the state when it goes', {
  skip,
}, async () => {
  const deb = await packed('bty.deb', (file) => packDeb(file, 'x64'));
  await root.run(['dpkg', '--install', deb]);
  assert.match(await root.run(['getent', 'passwd', 'bty']), /:\/var\/lib\/bty:\/usr\/sbin\/nologin\n$/);
  await proves('/usr/bin');
  assert.equal(await root.run(['stat', '--format=%U %a', '/var/lib/bty/state.db']), 'bty 600\n');
  assert.equal(await root.run(['dpkg', '--verify', 'bty-tools']), '');
  const unit = readFileSync(join(root.folder, 'usr/lib/systemd/system/bty-web.service'), 'utf8');
  const [, program = '', settings = ''] = /ExecStart=(\S+) .*--config (\S+)/.exec(unit) ?? [];
  assert.match(
    await root.run([program, 'config', '--config', settings]),
    /^# bty.toml: \/etc\/bty\/bty.toml/,
  );
  await root.run(['dpkg', '--remove', 'bty-tools']);
  assert.equal(existsSync(join(root.folder, 'usr/lib/bty')), false);
  assert.equal(existsSync(join(root.folder, 'var/lib/bty/state.db')), true);
});

test('the tarball runs from wherever it was unpacked, also through a link', { skip }, async () => {
  const tarball = await packed('bty.tar.gz', (file) => packTarball(file, 'x64'));
  mkdirSync(join(root.folder, 'opt/some where'), { recursive: true });
  await root.run(['tar', '-xzf', tarball, '-C', '/opt/some where']);
  symlinkSync(`/opt/some where/bty-${version}/bin/bty`, join(root.folder, 'usr/local/bin/linked'));
  assert.equal(await root.run(['linked', '--version']), `bty ${version}\n`);
  assert.equal(await root.run(['linked', '--version'], { NODE_OPTIONS: '--no-such' }), `bty ${version}\n`);
  await proves(`/opt/some where/bty-${version}/bin`);
});

test('npm installs the commands with no registry at hand, and npx runs them', { skip }, async () => {
  const tgz = await packed('bty.tgz', packNpm);
  cpSync(process.execPath, join(root.folder, 'usr/local/bin/node'));
  cpSync(npmFolder(), join(root.folder, 'usr/local/lib/node_modules/npm'), { recursive: true });
  for (const name of ['npm', 'npx'] as const)
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root.folder, 'usr/local/bin', name));
  const quiet = { npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false' };
  const shown = await root.run(
    ['npx', '--yes', '--offline', '--package', tgz, '--', 'bty', '--version'],
    quiet,
  );
  assert.equal(shown, `bty ${version}\n`);
  await root.run(['npm', 'install', '--global', '--offline', tgz], quiet);
  await proves('/usr/local/bin');
});

test('under an older Node.js the commands of npm say which one they need', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bty-npm-'));
  try {
    await packNpm(join(folder, 'bty.tgz'));
    execFileSync('tar', ['-xzf', 'bty.tgz'], { cwd: folder });
    // Stands in for an old Node.js: the real one with another version number.
    const old = join(folder, 'old.cjs');
    writeFileSync(old, "Object.defineProperty(process.versions, 'node', { value: '20.1.0' });\n");
    const launcher = join(folder, 'package', 'bin', 'bty.cjs');
    const asked = spawnSync(process.execPath, ['--require', old, launcher, '--version'], {
      encoding: 'utf8',
    });
    assert.deepEqual([asked.status, asked.stdout], [4, '']);
    assert.match(asked.stderr, /Node.js 24 or newer is needed; this is 20.1.0/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
