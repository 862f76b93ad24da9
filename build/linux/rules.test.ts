import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, for loop devices';
  try {
    for (const tool of ['udevadm', 'losetup', 'sfdisk', 'partx', 'unshare']) execFileSync('which', [tool]);
    execFileSync('losetup', ['--find']);
    return false;
  } catch {
    return 'udevadm, losetup, sfdisk, partx or loop devices are missing';
  }
}

/** What udev with our rules and `runtime` as its /run makes of the block device `name`. Needs no running udev. */
async function propertiesOf(name: string, runtime: string): Promise<string> {
  const script = 'mount --bind "$1" /run && shift && exec "$@"';
  const own = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', runtime];
  const udev = ['udevadm', 'test', '--action=change', `/sys/class/block/${name}`];
  const { stdout } = await run('unshare', [...own, ...udev]);
  return stdout;
}

test('udev keeps desktops from mounting a disk that was written, with its partitions, and no other', {
  skip: whyNot(),
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bty-rules-'));
  const disks: string[] = [];
  try {
    for (const name of ['written', 'other']) {
      const file = join(folder, name);
      await writeFile(file, '');
      await truncate(file, 16 << 20);
      execFileSync('sfdisk', ['--quiet', file], { input: 'label: gpt\nstart=1MiB, size=4MiB\n' });
      disks.push((await run('losetup', ['--show', '--find', file])).stdout.trim());
    }
    // The kernel need not know this kind of table itself.
    for (const path of disks) await run('partx', ['--add', path]);
    const [written = '', other = ''] = disks.map((path) => basename(path));
    const runtime = join(folder, 'run');
    await mkdir(join(runtime, 'udev', 'rules.d'), { recursive: true });
    await mkdir(join(runtime, 'bty', 'written'), { recursive: true });
    await cp(join(import.meta.dirname, '70-bty.rules'), join(runtime, 'udev', 'rules.d', '70-bty.rules'));
    const { stdout } = await run('cat', [`/sys/class/block/${written}/diskseq`]);
    await writeFile(join(runtime, 'bty', 'written', stdout.trim()), '');
    for (const name of [written, `${written}p1`])
      assert.match(await propertiesOf(name, runtime), /^UDISKS_AUTO=0$/m, name);
    for (const name of [other, `${other}p1`])
      assert.doesNotMatch(await propertiesOf(name, runtime), /^UDISKS_AUTO/m, name);
  } finally {
    for (const path of disks) {
      await run('partx', ['--delete', path]).catch(() => {});
      await run('losetup', ['--detach', path]);
    }
    await rm(folder, { recursive: true });
  }
});
