/** A real Debian as a disk image: made of the packages of this machine's own sources, booted by UEFI through GRUB. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const cache = join(import.meta.dirname, '..', '..', '..', '.cache', 'pxe');
const MiB = 1 << 20;
const espMebibytes = 32;
const rootMebibytes = 900;
const rootUuid = 'b7e0b7e0-0000-4000-8000-0000000000de';
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const tools = ['/usr/bin/mmdebstrap', '/usr/bin/grub-mkstandalone', '/usr/bin/zstd'];

/** Why it cannot be made here, false where it can. */
export function noDebian(): string | false {
  const missing = [...tools, '/usr/lib/grub/x86_64-efi/normal.mod', keyring].filter(
    (each) => !existsSync(each),
  );
  return missing.length === 0 ? false : `needs ${missing.join(', ')}`;
}

export interface DebianImage {
  /** Packed by zstd. */
  readonly path: string;
  readonly bytes: number;
  /** Byte at which its root file system (ext4) begins. */
  readonly rootAt: number;
}

/** Makes the image, or takes the one that was made before: it takes minutes. */
export async function debianImage(): Promise<DebianImage> {
  const bytes = (1 + espMebibytes + rootMebibytes + 1) * MiB;
  const made = { bytes, rootAt: (1 + espMebibytes) * MiB };
  const path = join(cache, `debian-${await codename()}-${rootMebibytes}.img.zst`);
  if (existsSync(path)) return { ...made, path };
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), 'bty-debian-'));
  try {
    const root = join(work, 'root');
    await makeRoot(root);
    const image = join(work, 'disk.img');
    await writeFile(image, '');
    await truncate(image, bytes);
    await execute('sgdisk', [
      ...[`--new=1:2048:+${espMebibytes}M`, '--typecode=1:ef00', '--new=2:0:0', '--typecode=2:8300', image],
    ]);
    const file = join(work, 'root.ext4');
    await execute('truncate', ['-s', `${rootMebibytes}M`, file]);
    await execute('mkfs.ext4', ['-q', '-F', '-U', rootUuid, '-d', root, file]);
    await place(file, image, made.rootAt);
    await place(await makeEsp(work), image, MiB);
    await execute('zstd', ['-q', '-3', '-T2', image, '-o', `${image}.zst`]);
    await execute('mv', [`${image}.zst`, `${path}.part`]);
    await rename(`${path}.part`, path);
    return { ...made, path };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function codename(): Promise<string> {
  const [, name] = /^VERSION_CODENAME=(\w+)/m.exec(await readFile('/etc/os-release', 'utf8')) ?? [];
  if (!name) throw new Error('this Debian has no name');
  return name;
}

/** Where this machine gets its own packages, as lines of sources.list(5). */
async function sources(): Promise<readonly string[]> {
  const format = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)';
  const { stdout } = await execute('apt-get', ['indextargets', '--format', format, 'Identifier: Packages']);
  const lines = new Set<string>();
  for (const line of stdout.split('\n')) {
    const [address, release, component, origin] = line.split('|');
    if (!address || component !== 'main' || !origin?.startsWith('Debian')) continue;
    lines.add(`deb [signed-by=${keyring}] ${address} ${release} main`);
  }
  return [...lines];
}

async function makeRoot(root: string): Promise<void> {
  const packages = 'linux-image-amd64,systemd-sysv,udev,login,e2fsprogs';
  await execute(
    'mmdebstrap',
    ['--quiet', '--variant=minbase', `--include=${packages}`, await codename(), root, ...(await sources())],
    { maxBuffer: 1 << 24 },
  );
  await writeFile(join(root, 'etc', 'hostname'), 'flashed\n');
  await writeFile(join(root, 'etc', 'fstab'), `UUID=${rootUuid} / ext4 errors=remount-ro 0 1\n`);
  await mkdir(join(root, 'boot', 'grub'), { recursive: true });
  // As Debian's own update-grub writes it.
  await writeFile(
    join(root, 'boot', 'grub', 'grub.cfg'),
    `set timeout=0
menuentry 'Debian GNU/Linux' {
\tinsmod ext2
\tsearch --no-floppy --fs-uuid --set=root ${rootUuid}
\techo\t'Loading Linux ...'
\tlinux\t/vmlinuz root=UUID=${rootUuid} ro quiet console=ttyS0,115200
\tinitrd\t/initrd.img
}
`,
  );
}

async function makeEsp(work: string): Promise<string> {
  const config = join(work, 'start.cfg');
  await writeFile(
    config,
    `search --no-floppy --fs-uuid --set=root ${rootUuid}\nconfigfile /boot/grub/grub.cfg\n`,
  );
  const loader = join(work, 'BOOTX64.EFI');
  const modules = 'part_gpt ext2 fat normal configfile linux search search_fs_uuid echo all_video';
  await execute('grub-mkstandalone', [
    ...['-O', 'x86_64-efi', '-o', loader, `--modules=${modules}`, `--install-modules=${modules}`],
    ...['--fonts=', '--themes=', '--locales=', `boot/grub/grub.cfg=${config}`],
  ]);
  const esp = join(work, 'esp.img');
  await execute('truncate', ['-s', `${espMebibytes}M`, esp]);
  await execute('mkfs.vfat', [esp]);
  await execute('mmd', ['-i', esp, '::/EFI', '::/EFI/BOOT']);
  await execute('mcopy', ['-i', esp, loader, '::/EFI/BOOT/BOOTX64.EFI']);
  return esp;
}

/** Copies `from` into `image` at a byte, leaving holes where it has them. */
async function place(from: string, image: string, at: number): Promise<void> {
  const [source, target] = [await open(from, 'r'), await open(image, 'r+')];
  try {
    const piece = Buffer.alloc(MiB);
    const zeros = Buffer.alloc(MiB);
    for (let done = 0; ; ) {
      const { bytesRead } = await source.read(piece, 0, MiB, done);
      if (bytesRead === 0) break;
      const part = piece.subarray(0, bytesRead);
      if (!part.equals(zeros.subarray(0, bytesRead))) await target.write(part, 0, bytesRead, at + done);
      done += bytesRead;
    }
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
}
