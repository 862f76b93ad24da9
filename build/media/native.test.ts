import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const script = join(import.meta.dirname, 'native.sh');
const skip =
  (process.getuid?.() === 0 ? false : 'chroot needs root') ||
  (existsSync('/etc/debian_version') ? false : 'the programs of Debian stand in for those of Debian');

test('programs of this machine run in a foreign root while packages are installed, and nothing of them stays', {
  skip,
}, (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'bty-native-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const root = join(folder, 'a root');
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  mkdirSync(join(root, 'usr/lib'));
  symlinkSync('usr/lib', join(root, 'lib'));
  for (const name of ['dash', 'sed', 'dpkg']) writeFileSync(join(root, 'usr/bin', name), `foreign ${name}`);
  symlinkSync('dash', join(root, 'usr/bin/sh'));
  const tree = () => readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  const before = tree();

  execFileSync(script, ['on', root]);
  const words = ['/usr/bin/sh', '-c', 'echo works | sed s/w/W/'];
  assert.equal(execFileSync('chroot', [root, ...words], { encoding: 'utf8' }), 'Works\n');
  assert.equal(readFileSync(join(root, 'usr/bin/dpkg'), 'utf8'), 'foreign dpkg', 'only small programs');
  assert.equal(existsSync(join(root, 'usr/bin/grep')), false, 'what the system lacks it goes on lacking');

  execFileSync(script, ['off', root]);
  assert.deepEqual(tree(), before);
  for (const name of ['dash', 'sed'])
    assert.equal(readFileSync(join(root, 'usr/bin', name), 'utf8'), `foreign ${name}`);
});
