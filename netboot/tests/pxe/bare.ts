/**
 * A bare initramfs: busybox, the drivers of a virtio machine and one script. It is whatever a test wants beside the live
 * system on the same kernel: a stranger on the network, or what the live system's speed is compared with.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdDecompressSync } from 'node:zlib';
import { type CpioEntry, cpio } from '../../../shared/archive/cpio.ts';

const execute = promisify(execFile);
const drivers = [
  ...['virtio', 'virtio_ring', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci'],
  ...['failover', 'net_failover', 'virtio_net', 'virtio_blk'],
];

export interface BareOptions {
  /** Folder with the built live system, whose drivers are taken. */
  readonly live: string;
  /** Shell script that runs when the network has its address in `$ip` and the server in `$server`. */
  readonly script: string;
  /** Further drivers, in the order in which they are loaded. */
  readonly drivers?: readonly string[];
  /** Further files: path in the archive, path on this machine. */
  readonly files?: ReadonlyMap<string, string>;
}

/** Writes the archive to `to`, not packed. */
export async function makeBare(
  to: string,
  { live, script, drivers: more = [], files = new Map() }: BareOptions,
): Promise<void> {
  const busybox = await readFile('/bin/busybox').catch(() => readFile('/usr/bin/busybox'));
  const modules = await modulesOf(live, [...drivers, ...more]);
  const folder = (name: string): CpioEntry => ({ kind: 'directory', name, mode: 0o755 });
  const file = (name: string, content: Uint8Array): CpioEntry => {
    return { kind: 'file', name, mode: 0o755, content };
  };
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  const folders = new Set(['bin', 'dev', 'proc', 'sys', 'tmp', 'modules', 'etc', 'lib', 'lib64', 'usr']);
  for (const name of files.keys()) {
    const parts = name.split('/').slice(0, -1);
    for (const index of parts.keys()) folders.add(parts.slice(0, index + 1).join('/'));
  }
  const entries: CpioEntry[] = [
    ...[...folders].sort().map(folder),
    { kind: 'character', name: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    file('bin/busybox', busybox),
    ...modules.map(({ name, content }) => file(`modules/${name}.ko`, content)),
    file('lease', text(lease)),
    file('init', text(`${init(modules.map(({ name }) => name))}\n${script}\n`)),
  ];
  for (const [name, from] of files) entries.push(file(name, await readFile(from)));
  await writeFile(to, cpio(entries));
}

/** Which driver needs which differs between kernels, so they are loaded in two rounds. */
const init = (modules: readonly string[]): string => `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for each in ${modules.join(' ')} ${modules.join(' ')}; do insmod /modules/$each.ko 2>/dev/null; done
ip link set lo up
ip link set eth0 up
udhcpc -q -n -t 10 -T 1 -i eth0 -s /lease >/dev/null 2>&1
. /tmp/address`;

const lease = `#!/bin/busybox sh
if [ "$1" = bound ]; then
  ip addr add "$ip/24" dev eth0
  echo "ip=$ip" >/tmp/address
fi
`;

interface Module {
  readonly name: string;
  readonly content: Uint8Array;
}

/** The drivers out of the live system, so that both run the very same kernel and modules. */
async function modulesOf(live: string, wanted: readonly string[]): Promise<readonly Module[]> {
  const manifest = JSON.parse(await readFile(join(live, 'manifest.json'), 'utf8')) as {
    layers: { name: string; packed_bytes: number }[];
  };
  const initrd = await readFile(join(live, 'initrd'));
  let at = 0;
  for (const { name, packed_bytes } of manifest.layers) {
    if (name === 'drivers')
      return unpacked(zstdDecompressSync(initrd.subarray(at, at + packed_bytes)), wanted);
    at += packed_bytes + (-packed_bytes & 511);
  }
  throw new Error('the live system has no drivers');
}

async function unpacked(archive: Uint8Array, wanted: readonly string[]): Promise<readonly Module[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bty-bare-'));
  try {
    await writeFile(join(folder, 'archive'), archive);
    await execute('cpio', ['--extract', '--make-directories', '--quiet', '-F', 'archive'], { cwd: folder });
    const files = await readdir(folder, { recursive: true });
    const found: Module[] = [];
    for (const name of wanted) {
      const file = files.find(
        (each) => each.endsWith(`/${name}.ko`) || each.endsWith(`/${name.replaceAll('_', '-')}.ko`),
      );
      if (file !== undefined) found.push({ name, content: await readFile(join(folder, file)) });
    }
    return found;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Copies the kernel beside the archive, so that a build meanwhile does not change it. */
export async function kernelOf(live: string, to: string): Promise<string> {
  await cp(join(live, 'vmlinuz'), to);
  return to;
}
