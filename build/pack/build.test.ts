import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { noLoops } from '../../agent/disk/testing.ts';
import { listed, nobody, Peer, wish } from '../../agent/tests/helperpeer.ts';
import { withOldDisk } from '../../agent/tests/look.ts';
import { sampleImage } from '../demo/sample.ts';

const folder = mkdtempSync(join(tmpdir(), 'bty-executable-'));
const bty = join(folder, 'bty');
/** Nothing of this checkout, no tools. */
const bare = { cwd: folder, env: { PATH: '' }, encoding: 'utf8' } as const;

before(() => {
  execFileSync(process.execPath, [join(import.meta.dirname, 'build.ts')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  for (const name of ['bty', 'bty-web'])
    copyFileSync(join(import.meta.dirname, '..', '..', 'dist', 'bin', name), join(folder, name));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('bty tells its version away from the checkout', () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'));
  assert.equal(execFileSync(bty, ['--version'], bare), `bty ${version}\n`);
});

test('bty-tui is the same file by another name, and says so in its own words', () => {
  const [one, other] = ['bty', 'bty-tui'].map((name) =>
    statSync(join(import.meta.dirname, '..', '..', 'dist', 'bin', name)),
  );
  assert.equal(one?.ino, other?.ino);
  linkSync(bty, join(folder, 'bty-tui'));
  symlinkSync(bty, join(folder, 'bty-tui.link'));
  for (const name of ['bty-tui', 'bty-tui.link'])
    assert.match(execFileSync(join(folder, name), ['--version'], bare), /^bty-tui \d/);
  const { status, stderr } = spawnSync(join(folder, 'bty-tui'), [], bare);
  assert.equal(status, 2);
  assert.match(stderr, /needs a terminal/);
});

test('bty flashes and verifies with threads and system calls of its own', () => {
  const image = sampleImage(8 << 20);
  writeFileSync(join(folder, 'a.img.zst'), zstdCompressSync(image));
  writeFileSync(join(folder, 'disk'), '');
  truncateSync(join(folder, 'disk'), 16 << 20);
  const args = ['flash', '--image', 'a.img.zst', '--virtual-disk', 'disk', '--sparse', '--yes', '--json'];
  const { status, stdout, stderr } = spawnSync(bty, args, bare);
  assert.equal(status, 0, stderr);
  assert.equal(JSON.parse(stdout).verified, true);
  assert.equal(Buffer.compare(readFileSync(join(folder, 'disk')).subarray(0, image.length), image), 0);
});

test(
  'the helper of the executable writes a disk as root and reads the image as the user',
  { skip: noLoops },
  () =>
    withOldDisk({ size: 8 << 20 }, async (disk) => {
      chmodSync(folder, 0o755);
      const image = join(folder, 'helped.img');
      writeFileSync(image, Buffer.alloc(2 << 20, 1), { mode: 0o644 });
      const environment = { PKEXEC_UID: `${nobody}`, PATH: '' };
      const peer = new Peer(wish(image, [listed(disk.path)]), { command: [bty, 'helper'], environment });
      const { uid } = await peer.reply('accepted');
      assert.equal(await peer.ended, 0, peer.told());
      assert.deepEqual([uid, peer.outcome], [nobody, 'done']);
      assert.ok(
        readFileSync(disk.backing)
          .subarray(0, 2 << 20)
          .every((byte) => byte === 1),
      );
    }),
);

test('a tool that is missing is told with exit code 4', () => {
  const { status, stderr } = spawnSync(bty, ['list', 'disks'], bare);
  assert.equal(status, 4);
  assert.match(stderr, /"lsblk" is needed to list/);
});

test('the appliance runs away from the checkout with nothing but a state directory', async () => {
  const args = ['serve', '--state-dir', join(folder, 'state'), '--web-host', '127.0.0.1', '--web-port', '0'];
  const appliance = spawn(join(folder, 'bty-web'), args, {
    cwd: folder,
    env: { PATH: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let told = '';
    for await (const chunk of appliance.stdout.setEncoding('utf8')) {
      told += chunk;
      if (/password of the operator is/.test(told)) break;
    }
    const url = /http:\S+/.exec(told)?.[0] ?? assert.fail(told);
    assert.deepEqual(await (await fetch(`${url}/healthz`)).json(), { status: 'ok' });
    await pagesAreServed(url);
  } finally {
    appliance.kill('SIGTERM');
  }
  const [status] = await once(appliance, 'exit');
  assert.equal(status, 0);
});

/** The pages are in the executable, for who takes gzip and for who does not. */
async function pagesAreServed(url: string): Promise<void> {
  const html = await (await fetch(`${url}/ui/login`)).text();
  const script = /src="([^"]+\.js)"/.exec(html)?.[1] ?? assert.fail(html);
  const packed = await fetch(`${url}${script}`);
  const plain = await fetch(`${url}${script}`, { headers: { 'accept-encoding': 'identity' } });
  assert.deepEqual(
    [packed.headers.get('content-encoding'), plain.headers.get('content-encoding')],
    ['gzip', null],
  );
  assert.match(packed.headers.get('cache-control') ?? '', /immutable/);
  assert.equal(await packed.text(), await plain.text());
}
