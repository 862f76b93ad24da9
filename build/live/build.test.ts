import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { buildLive } from './build.ts';
import { output } from './command.ts';

const root = join(import.meta.dirname, '..', '..');
const cache = join(root, '.cache', 'live');

/** False where a live system can be built, else why not. */
async function noBuild(): Promise<string | false> {
  if (!existsSync('/etc/debian_version'))
    return 'the live system is built from packages of Debian, on Debian';
  for (const tool of ['depmod', 'strip', 'readelf', 'cpio', 'unsquashfs'])
    if (!['/usr/bin', '/usr/sbin', '/sbin', '/bin'].some((folder) => existsSync(join(folder, tool))))
      return `needs ${tool}`;
  const known = await output('apt-cache', ['depends', 'linux-image-amd64']).catch(() => '');
  return known.includes('Depends:') ? false : 'apt knows no kernel (run apt-get update)';
}
const skip = await noBuild();

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-live-test-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Paths in an archive, and in the file system that it may hold. */
async function namesIn(archive: Uint8Array, folder: string): Promise<string[]> {
  const options = { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 24 } as const;
  await writeFile(join(folder, 'archive'), archive);
  const names = execFileSync('cpio', ['--list', '--quiet', '-F', 'archive'], options).split('\n');
  const image = names.find((name) => name.endsWith('.squashfs'));
  if (image === undefined) return names;
  execFileSync('cpio', ['--extract', '--make-directories', '--quiet', '-F', 'archive', image], options);
  const inside = execFileSync('unsquashfs', ['-ls', '-no-progress', '-dest', 'system', image], options);
  return [...names, ...inside.split('\n')];
}

const common = {
  cache,
  architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
  firmware: false,
  kernelSuite: undefined,
  say: () => {},
} as const;

test('the same inputs give the same bytes', { skip, timeout: 3_600_000 }, () =>
  inFolder(async (folder) => {
    for (const name of ['one', 'two'])
      await buildLive({
        ...common,
        to: join(folder, name),
        layers: join(folder, `${name}-layers`),
        level: 1,
      });
    for (const file of ['vmlinuz', 'initrd', 'manifest.json', 'sha256']) {
      const [one, two] = [
        await readFile(join(folder, 'one', file)),
        await readFile(join(folder, 'two', file)),
      ];
      assert.equal(Buffer.compare(one, two), 0, file);
    }
    execFileSync('sha256sum', ['--check', '--quiet', 'sha256'], { cwd: join(folder, 'one') });
    assert.ok((await readdir(join(folder, 'one', 'licences'))).length > 10);
  }),
);

test('it is at most 42 MB and holds what flashing needs', { skip, timeout: 3_600_000 }, () =>
  inFolder(async (folder) => {
    const manifest = await buildLive({ ...common, to: join(folder, 'live'), level: 19 });
    const initrd = await readFile(join(folder, 'live', 'initrd'));
    assert.ok(initrd.length <= 42e6, `${initrd.length} bytes`);
    assert.deepEqual(
      manifest.files.map(({ serve_as }) => serve_as),
      ['bty-netboot-x86_64.vmlinuz', 'bty-netboot-x86_64.initrd'],
    );
    const names: string[] = [];
    let at = 0;
    for (const { packing, packed_bytes } of manifest.layers) {
      const content = initrd.subarray(at, at + packed_bytes);
      names.push(...(await namesIn(packing === 'zstd' ? zstdDecompressSync(content) : content, folder)));
      at += packed_bytes + (-packed_bytes & 511);
    }
    assert.equal(at, initrd.length, 'the layers are all there is');
    for (const wanted of [
      'init',
      'bin/busybox',
      'system/bin/node',
      'system/bin/lsblk',
      'system/bin/efibootmgr',
    ])
      assert.ok(names.includes(wanted), wanted);
    for (const wanted of ['bty.js', 'unpack.worker.js', 'digest.worker.js', 'koffi.node', 'lease'])
      assert.ok(names.includes(`usr/lib/bty/${wanted}`), wanted);
    for (const wanted of ['early/0-loop.ko', 'early/1-squashfs.ko'])
      assert.ok(names.includes(wanted), wanted);
    const drivers = [
      'virtio_net',
      'e1000e',
      'igb',
      'ixgbe',
      'i40e',
      'r8169',
      'tg3',
      'bnxt_en',
      'ahci',
      'nvme',
    ];
    for (const driver of [...drivers, 'usb-storage', 'uas', 'mmc_block', 'mpt3sas', 'megaraid_sas'])
      assert.ok(manifest.modules.includes(driver), driver);
    assert.ok(manifest.packages.some(({ name }) => name.startsWith('linux-image-')));
  }),
);
