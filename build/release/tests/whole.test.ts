/** What takes an hour: a release of everything, made by its command, signed, and fetched by an appliance. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestAppliance, temporaryDirectory } from '../../../netboot/testing.ts';
import { piTools } from '../../media/rpi.ts';
import { serverTools } from '../../media/server.ts';
import { missingTools } from '../../media/tools.ts';
import { stickTools } from '../../media/usb.ts';
import { publicLine } from '../sign.ts';
import { root, version } from '../version.ts';
import { fetched, newKey, serve } from './place.ts';

const skip =
  (process.env.BTY_MEDIA === 'all' ? false : 'npm run test:media makes a whole release') ||
  (process.getuid?.() === 0 ? false : 'the media of a release are built by root') ||
  (process.arch === 'x64' ? false : 'the media are built on x86-64') ||
  missingTools([...stickTools, ...serverTools, ...piTools]) ||
  (spawnSync('minisign', ['-v']).status === 0 ? false : 'minisign is not installed');

const live = ['bty-netboot-x86_64.vmlinuz', 'bty-netboot-x86_64.initrd', 'bty-netboot-x86_64.json'];
const media = ['bty-usb-x86_64.img.zst', 'bty-server-x86_64.img.zst', 'bty-server-rpi-arm64.img.zst'];
const all = [
  ...['bty.tgz', 'bty-tools_amd64.deb', 'bty-tools_arm64.deb', 'bty_amd64.deb'],
  ...['bty-linux-x64.tar.gz', 'bty-linux-arm64.tar.gz', ...live, ...media],
  ...[
    'bty-container-amd64.tar',
    'bty-container-arm64.tar',
    'compose.yaml',
    'bty-web.container',
    'bty.volume',
  ],
  ...['CHANGELOG.md', 'NOTES.md', 'bty.cdx.json', 'bty-netboot-x86_64.sha256'],
];

/** First bytes of a file. */
function head(path: string, bytes: number): Buffer {
  const into = Buffer.alloc(bytes);
  const file = openSync(path, 'r');
  readSync(file, into, 0, bytes, 0);
  closeSync(file);
  return into;
}

test('one command makes everything, signs it, and an appliance takes its live files from there', {
  skip,
  timeout: 7_200_000,
}, async (context) => {
  // Beside the release of this checkout: there is room for gigabytes.
  mkdirSync(join(root, 'dist'), { recursive: true });
  const folder = mkdtempSync(join(root, 'dist', '.whole-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const { key, secret, file } = newKey(temporaryDirectory(context));
  const command = [join(root, 'build', 'release', 'run.ts'), '--fast', '--to', folder];
  const making = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...command], {
    cwd: root,
    env: { ...process.env, BTY_SIGNING_KEY: secret },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [making.stdout, making.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const [code] = (await once(making, 'close')) as [number | null];
  assert.equal(code, 0, said.slice(-5000));
  process.stderr.write(said.slice(said.lastIndexOf('Packing')));
  assert.ok(said.includes(`BTY_BOOT_RELEASE_KEY=${publicLine(key)}`));

  const place = join(folder, 'latest');
  const lists = ['SHA256SUMS', 'SHA256SUMS.minisig', 'bty-netboot-x86_64.sha256.minisig', 'release.json'];
  assert.deepEqual(readdirSync(place).sort(), [...all, ...lists].sort());
  const release = JSON.parse(readFileSync(join(place, 'release.json'), 'utf8')) as {
    version: string;
    files: { name: string }[];
  };
  assert.equal(release.version, version);
  assert.deepEqual(release.files.map(({ name }) => name).sort(), all.toSorted());
  // What anybody can check by hand.
  execFileSync('sha256sum', ['--check', '--quiet', '--strict', 'SHA256SUMS'], { cwd: place });
  for (const list of ['SHA256SUMS', 'bty-netboot-x86_64.sha256']) {
    const told = execFileSync('minisign', ['-V', '-p', file, '-m', join(place, list)], { encoding: 'utf8' });
    assert.ok(told.includes(`Trusted comment: bty ${version} ${list}`), told);
  }
  for (const name of media) assert.equal(head(join(place, name), 4).readUInt32LE(0), 0xfd2fb528, name);
  for (const name of ['bty_amd64.deb', 'bty-tools_amd64.deb'])
    assert.match(
      execFileSync('dpkg-deb', ['--info', join(place, name)], { encoding: 'utf8' }),
      /^ Version: /m,
    );

  const url = await serve(context, folder);
  const config = { bootReleaseRepo: `${url}/{tag}/`, bootReleaseKey: publicLine(key) };
  const appliance = await startTestAppliance(context, { config });
  assert.deepEqual((await fetched(appliance, 'latest')).error, null);
  for (const name of live)
    assert.ok(
      readFileSync(join(appliance.stateDir, 'boot', name)).equals(readFileSync(join(place, name))),
      name,
    );
  const served = await fetch(`${appliance.url}/boot/${live[0]}`);
  assert.equal(Buffer.from(await served.arrayBuffer()).toString('latin1', 0x202, 0x206), 'HdrS');
});
