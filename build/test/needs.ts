import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A tool that some tests compare with, and the Debian package that holds it. */
const tools: Readonly<Record<string, string>> = {
  zstd: 'zstd',
  xz: 'xz-utils',
  bzip2: 'bzip2',
  lz4: 'lz4',
  zip: 'zip',
  unzip: 'unzip',
  lsblk: 'util-linux',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  'mkfs.ntfs': 'ntfs-3g',
  'mkfs.vfat': 'dosfstools',
  'mkfs.exfat': 'exfatprogs',
  sgdisk: 'gdisk',
  sfdisk: 'fdisk',
  'qemu-img': 'qemu-utils',
  'qemu-system-x86_64': 'qemu-system-x86',
  bmaptool: 'bmap-tools',
  fusermount3: 'fuse3',
  cpio: 'cpio',
  busybox: 'busybox-static',
  depmod: 'kmod',
  mdadm: 'mdadm',
  lvm: 'lvm2',
  'mkfs.xfs': 'xfsprogs',
  'mkfs.f2fs': 'f2fs-tools',
  mksquashfs: 'squashfs-tools',
  xorriso: 'xorriso',
  cryptsetup: 'cryptsetup-bin',
  mkudffs: 'udftools',
  curl: 'curl',
  dnsmasq: 'dnsmasq-base',
  readelf: 'binutils',
  ip: 'iproute2',
  mformat: 'mtools',
  'grub-mkimage': 'grub-common',
  atftp: 'atftp',
  tftp: 'tftp-hpa',
  'mkfs.erofs': 'erofs-utils',
  'mkfs.jfs': 'jfsutils',
  pkexec: 'pkexec',
  pkttyagent: 'polkitd',
  'dbus-daemon': 'dbus',
  Xvfb: 'xvfb',
  dhclient: 'isc-dhcp-client',
  dhcrelay: 'isc-dhcp-relay',
  perfdhcp: 'kea-admin',
  'systemd-socket-activate': 'systemd',
  setpriv: 'util-linux',
  tcpdump: 'tcpdump',
  tmux: 'tmux',
  mmdebstrap: 'mmdebstrap',
  runc: 'runc',
  umoci: 'umoci',
  skopeo: 'skopeo',
  minisign: 'minisign',
  sshd: 'openssh-server',
  udevadm: 'udev',
  chromium: 'chromium',
};
const others: readonly { readonly file: string; readonly debian: string }[] = [
  { file: '/usr/lib/x86_64-linux-gnu/libgtk-3.so.0', debian: 'libgtk-3-0' },
  { file: '/usr/lib/x86_64-linux-gnu/libnss3.so', debian: 'libnss3' },
  { file: '/usr/lib/x86_64-linux-gnu/libasound.so.2', debian: 'libasound2' },
  { file: '/usr/lib/x86_64-linux-gnu/libgbm.so.1', debian: 'libgbm1' },
  { file: '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf', debian: 'fonts-dejavu-core' },
  { file: '/usr/share/seabios/bios-256k.bin', debian: 'seabios' },
  { file: '/usr/lib/grub/x86_64-efi/normal.mod', debian: 'grub-efi-amd64-bin' },
  { file: '/usr/lib/ipxe/undionly.kpxe', debian: 'ipxe' },
  { file: '/usr/lib/ipxe/qemu/pxe-virtio.rom', debian: 'ipxe-qemu' },
  { file: '/usr/share/OVMF/OVMF_CODE_4M.fd', debian: 'ovmf' },
  { file: '/usr/lib/python3/dist-packages/fusepy.py', debian: 'python3-fusepy' },
  { file: '/usr/lib/python3/dist-packages/dbus', debian: 'python3-dbus' },
  { file: '/usr/lib/python3/dist-packages/gi', debian: 'python3-gi' },
];

function onPath(tool: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function missing(): string[] {
  const lacking = Object.entries(tools).filter(([tool]) => !onPath(tool));
  const files = others.filter(({ file }) => !existsSync(file));
  return [...new Set([...lacking.map(([, debian]) => debian), ...files.map(({ debian }) => debian)])];
}

/** Installs what the tests compare with, where that is possible: as root on Debian. Says what stays away. */
export function installNeeds(): void {
  const wanted = missing();
  if (wanted.length === 0) return;
  const apt = process.getuid?.() === 0 && existsSync('/etc/debian_version') && onPath('apt-get');
  if (apt) {
    process.stdout.write(`Installing what the tests compare with: ${wanted.join(' ')}\n`);
    const options = ['-qq', '-o', 'DPkg::Lock::Timeout=400'];
    const run = (args: readonly string[]) =>
      spawnSync('apt-get', [...options, ...args], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      }).status === 0;
    // The lists of a new machine are missing or old, so they are fetched before the packages.
    const updated = run(['update']);
    if (!updated || !run(['install', '-y', '--no-install-recommends', ...wanted])) {
      // One package that is not to be had must not keep the others away.
      for (const name of wanted) run(['install', '-y', '--no-install-recommends', name]);
    }
  }
  const still = missing();
  if (still.length > 0) {
    const how = apt
      ? 'could not be installed'
      : 'are not installed (as root on Debian this command installs them)';
    process.stdout.write(
      `These Debian packages ${how}, so tests that need them are skipped: ${still.join(' ')}\n`,
    );
  }
}
