/**
 * `npm run test:deb`: the release of the app at its full size, as a Debian package in a Debian that has nothing else,
 * started there by an ordinary user with the sandbox of Chromium on, and driven. Takes some minutes, and the archive of
 * Debian for the first time.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, link, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { depends, makeDeb } from '../../build/app/deb.ts';
import { readFuses } from '../../build/app/fuses.ts';
import { packApp } from '../../build/app/pack.ts';
import { CleanRoot, noCleanRoot } from '../../build/release/tests/cleanroot.ts';
import { startDisplay } from './display.ts';
import { digestOf } from './loop.ts';
import { packedApp } from './packed.ts';
import { descendantsOf, until } from './processes.ts';
import { RemotePage } from './remote.ts';
import { partitionedImage } from './sample.ts';
import { whyNoWindow } from './steps.ts';

const skip = whyNoWindow() || noCleanRoot;
const version = '9.8.7';
const user = { name: 'ann', uid: 1000 };
const home = `/home/${user.name}`;
let root: CleanRoot;
let output = '';

before(async () => {
  if (skip) return;
  output = await mkdtemp(join(tmpdir(), 'bty-installed-'));
  // What the package asks for, as the oldest Debian that it is for names it, and letters to be seen.
  const needed = depends.map((choice) => choice.split(' | ').at(-1) ?? choice);
  const old = needed.map((name) => (name === 'policykit-1' ? 'pkexec' : name));
  root = await CleanRoot.make([...old, 'polkitd', 'fonts-dejavu-core']);
  const { folder } = await packedApp();
  const [program, appliance] = ['bty', 'bty-web'].map((name) => join(folder, 'resources', name));
  const packed = await packApp({
    output,
    program: program ?? '',
    appliance: appliance ?? '',
    debuggable: false,
  });
  const deb = await makeDeb({ folder: packed.folder, icons: join(output, 'icons'), output, version });
  const sizes = await Promise.all(
    [deb, join(packed.folder, 'bty-app')].map(async (path) => (await stat(path)).size),
  );
  console.log(`the package has ${Math.round((sizes[0] ?? 0) / 1e6)} MB`);
  await copyFile(deb, join(root.folder, 'bty.deb'));
});
after(async () => {
  root?.remove();
  if (output) await rm(output, { recursive: true, force: true });
});

/** Words that run a command as the ordinary user. */
const asUser = (...command: readonly string[]): readonly string[] => [
  ...['setpriv', '--reuid', `${user.uid}`, '--regid', `${user.uid}`, '--init-groups', '--'],
  ...['env', `HOME=${home}`, ...command],
];

test("the package installs, and everything is root's and where it is looked for", { skip }, async () => {
  await root.run(['dpkg', '--install', '/bty.deb']);
  await root.run(['useradd', '--create-home', '--uid', `${user.uid}`, user.name]);
  assert.equal(await root.run(['dpkg', '--verify', 'bty']), '');
  assert.equal(
    await root.run([
      'find',
      '/opt/bty',
      '/usr/bin/bty',
      '!',
      '-user',
      'root',
      '-o',
      '-perm',
      '/022',
      '!',
      '-type',
      'l',
    ]),
    '',
  );
  assert.equal(await root.run(['stat', '--format=%U %a', '/opt/bty/chrome-sandbox']), 'root 4755\n');
  assert.match(await root.run(['bty', '--version']), /^bty \d/);
  const libraries = await root.run([
    'sh',
    '-c',
    'ldd /opt/bty/bty-app /opt/bty/*.so | grep "not found" || true',
  ]);
  assert.equal(libraries, '', 'the package asks for every library that it loads');
  const { runAsNode, enableNodeCliInspectArguments, onlyLoadAppFromAsar } = await readFuses(
    join(root.folder, 'opt', 'bty', 'bty-app'),
  );
  assert.deepEqual([runAsNode, enableNodeCliInspectArguments, onlyLoadAppFromAsar], [false, false, true]);
  const actions = await root.run(['pkaction', '--version']).catch(() => '');
  assert.match(actions, /^pkaction version/);
});

test('an ordinary user starts it within the sandbox, and writes a disk to try with', { skip }, async () => {
  const image = await partitionedImage(join(root.folder, 'tmp', 'first.img'), 8 << 20);
  await using display = await startDisplay(1280, 800);
  // The screen's socket in the other root: another name for it.
  const number = display.name.slice(1);
  await mkdir(join(root.folder, 'tmp', '.X11-unix'), { recursive: true });
  await link(`/tmp/.X11-unix/X${number}`, join(root.folder, 'tmp', '.X11-unix', `X${number}`));
  const words = [
    '/usr/bin/bty-app',
    '--remote-debugging-port=0',
    '--inspect=0',
    '--disable-gpu',
    '/tmp/first.img',
  ];
  const environment = [`DISPLAY=${display.name}`, 'LANG=C.UTF-8'];
  const child = root.start(asUser(...environment, ...words));
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = once(child, 'exit');
  try {
    const listening = /DevTools listening on (\S+)\s/;
    await until(
      () => listening.test(said) || child.exitCode !== null || child.signalCode !== null,
      'a window',
      60,
    );
    const [, address = assert.fail(`it ended: ${child.signalCode ?? child.exitCode}\n${said}`)] =
      listening.exec(said) ?? [];
    assert.doesNotMatch(said, /Debugger listening/, 'Node.js takes no debugger');
    using page = await RemotePage.open(address);
    await page.says('first.img');
    await page.says('2 partitions');
    await page.click('button', 'Try it without a disk');
    await page.click('.disk', 'Disk to try with');
    await page.says('Nothing real is touched');
    await page.click('button', 'Flash');
    await page.says('Written and verified');
    const written = join(root.folder, home, '.config', 'bty', 'virtual-disk.img');
    assert.equal(await digestOf(written, 8 << 20), await digestOf(image, 8 << 20));

    const all = await descendantsOf(child.pid ?? 0);
    const pages = all.filter(({ command }) => command.includes('--type=renderer'));
    assert.ok(pages.length > 0);
    for (const { pid, command } of pages) {
      assert.doesNotMatch(command, /--no-sandbox/);
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      assert.match(status, /^Seccomp:\s+2$/m, 'the page can make few calls');
      assert.match(status, /^NoNewPrivs:\s+1$/m);
    }
  } finally {
    child.kill();
    await ended;
  }
});

test('the program of the window runs no other program than its own', { skip }, async () => {
  await writeFile(
    join(root.folder, 'tmp', 'evil.js'),
    'console.log("evil " + process.version); process.exit(0);',
  );
  await mkdir(join(root.folder, 'tmp', 'evil'), { recursive: true });
  await writeFile(join(root.folder, 'tmp', 'evil', 'package.json'), '{ "main": "../evil.js" }');
  const tries: readonly (readonly string[])[] = [
    ['ELECTRON_RUN_AS_NODE=1', '/usr/bin/bty-app', '/tmp/evil.js'],
    ['NODE_OPTIONS=--require=/tmp/evil.js', '/usr/bin/bty-app'],
    ['/usr/bin/bty-app', '--require', '/tmp/evil.js'],
    ['/usr/bin/bty-app', '/tmp/evil'],
  ];
  for (const words of tries) {
    // Without a screen it ends by itself.
    const said = await root
      .run(asUser(...words))
      .catch((error: { stdout: string; stderr: string }) => error.stdout + error.stderr);
    assert.doesNotMatch(said, /evil v\d/, words.join(' '));
  }
});

test('it goes without a trace but what the person made', { skip }, async () => {
  await root.run(['dpkg', '--purge', 'bty']);
  const left = await root.run([
    'sh',
    '-c',
    'ls -d /opt/bty /usr/bin/bty* /usr/share/polkit-1/actions/org.bty* 2>/dev/null || true',
  ]);
  assert.equal(left, '');
  assert.equal((await stat(join(root.folder, home, '.config', 'bty'))).isDirectory(), true);
});
