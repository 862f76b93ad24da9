/**
 * A small Debian that boots from its disk by BIOS, gets an address, and lets the appliance in over SSH: what tasks are
 * made for. Kernel and drivers are the live system's, packages those of this machine's own sources.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kernelOf, makeBare } from './bare.ts';
import type { DiskImage } from './image.ts';

const execute = promisify(execFile);
const MiB = 1 << 20;
const grub = '/usr/lib/grub/i386-pc';
const cache = join(import.meta.dirname, '..', '..', '..', '.cache', 'ssh-image');
const packages = ['systemd-sysv', 'udev', 'openssh-server', 'iproute2'];
const tools = ['/usr/bin/mmdebstrap', '/usr/bin/grub-mkimage', `${grub}/boot.img`, '/usr/sbin/mkfs.ext4'];

/** Why no such image can be made here, false where it can. */
export function noSshImage(): string | false {
  const missing = tools.filter((file) => !existsSync(file) && !existsSync(file.replace('/usr', '')));
  return missing.length === 0 ? false : `needs ${missing.join(', ')}`;
}

export interface SshImageOptions {
  /** Folder with the built live system, whose kernel is taken. */
  readonly live: string;
  readonly hostname: string;
  /** Line of root's authorized_keys. */
  readonly key: string;
}

/** Makes the image at `path`. */
export async function makeSshImage(
  path: string,
  { live, hostname, key }: SshImageOptions,
): Promise<DiskImage> {
  const folder = `${path}.root`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  try {
    await execute('tar', ['--extract', '--numeric-owner', '--file', await packed(), '--directory', folder]);
    await writeFile(join(folder, 'etc', 'hostname'), `${hostname}\n`);
    await mkdir(join(folder, 'root', '.ssh'), { recursive: true, mode: 0o700 });
    await writeFile(join(folder, 'root', '.ssh', 'authorized_keys'), `${key}\n`, { mode: 0o600 });
    await kernelOf(live, join(folder, 'boot', 'vmlinuz'));
    await makeBare(join(folder, 'boot', 'initrd'), {
      live,
      drivers: ['crc16', 'crc32c_generic', 'mbcache', 'jbd2', 'ext4'],
      script: handOver,
    });
    return await diskOf(path, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The address that was leased before stays; the rest is Debian's. */
const handOver = `for each in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda2 ] && break; sleep 1; done
mkdir -p /disk
mount -t ext4 /dev/vda2 /disk
mount --move /dev /disk/dev
mount --move /proc /disk/proc
mount --move /sys /disk/sys
exec switch_root /disk /sbin/init`;

/** The packages, unpacked and set up, as an archive that is made once. */
async function packed(): Promise<string> {
  const name = createHash('sha256').update(packages.join()).digest('hex').slice(0, 16);
  const file = join(cache, `${name}.tar`);
  if (existsSync(file)) return file;
  await mkdir(cache, { recursive: true });
  const partial = join(cache, `${process.pid}.tar`);
  const without = ['doc', 'man', 'locale', 'info'].flatMap((each) => [
    '--dpkgopt',
    `path-exclude=/usr/share/${each}/*`,
  ]);
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
  const args = ['--variant=minbase', `--include=${packages.join(',')}`, ...without, suite, partial];
  await execute('mmdebstrap', args, { maxBuffer: 1 << 26 });
  await rename(partial, file);
  return file;
}

async function diskOf(path: string, folder: string): Promise<DiskImage> {
  const { stdout } = await execute('du', ['--summarize', '--block-size=1M', folder]);
  const system = Number(stdout.split('\t')[0]) + 96;
  const bytes = (system + 4) * MiB;
  const part = `${path}.part`;
  await writeFile(part, '');
  await truncate(part, system * MiB);
  // The reader of GRUB knows no more than these.
  const features = '^metadata_csum,^64bit,^metadata_csum_seed,^orphan_file';
  await execute('mkfs.ext4', ['-q', '-O', features, '-d', folder, part]).catch(() =>
    execute('mkfs.ext4', ['-q', '-O', '^metadata_csum,^64bit', '-d', folder, part]),
  );
  await rm(path, { force: true });
  await writeFile(path, '');
  await truncate(path, bytes);
  const tables = ['--new=1:2048:4095', '--typecode=1:ef02', `--new=2:4096:+${system}M`, '--typecode=2:8300'];
  await execute('sgdisk', [...tables, path]);
  await execute('dd', [`if=${part}`, `of=${path}`, 'bs=1M', 'seek=2', 'conv=notrunc,sparse', 'status=none']);
  await rm(part);
  await writeLoader(path);
  return { path, bytes, marker: 'login:' };
}

/** GRUB for BIOS: its first sector names where the rest begins, the first sector of the rest where that goes on. */
async function writeLoader(path: string): Promise<void> {
  const first = 2048;
  const config = `${path}.cfg`;
  const core = `${path}.core`;
  const kernel = 'linux /boot/vmlinuz console=ttyS0,115200 net.ifnames=0 panic=5 quiet';
  await writeFile(config, `set root=(hd0,gpt2)\n${kernel}\ninitrd /boot/initrd\nboot\n`);
  const modules = ['biosdisk', 'part_gpt', 'ext2', 'linux', 'boot'];
  const made = [
    '--format=i386-pc',
    `--output=${core}`,
    `--config=${config}`,
    '--prefix=(hd0,gpt2)/boot/grub',
  ];
  await execute('grub-mkimage', [...made, ...modules]);
  const [boot, rest] = [await readFile(join(grub, 'boot.img')), await readFile(core)];
  boot.writeBigUInt64LE(BigInt(first), 0x5c);
  rest.writeBigUInt64LE(BigInt(first + 1), 0x1f4);
  const file = await open(path, 'r+');
  try {
    await file.write(boot, 0, 440, 0);
    await file.write(rest, 0, rest.length, first * 512);
  } finally {
    await file.close();
  }
  await Promise.all([rm(config), rm(core)]);
}
