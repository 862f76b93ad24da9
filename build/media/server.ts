/** Builds the appliance for PCs: a disk image that boots by BIOS and UEFI into `bty-web`. */
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { buildLive } from '../live/build.ts';
import { sourceDate } from '../release/version.ts';
import { debianBase } from './base.ts';
import { bootSector, placedCore } from './bios.ts';
import { makeExt4, settleTree } from './ext4.ts';
import { makeTable, partitionTypes, tailSectors } from './gpt.ts';
import { fetchLoaders, layEfi, makeCore } from './grub.ts';
import { run } from './iso.ts';
import { layOverlay } from './overlay.ts';
import { packTo, steady } from './usb.ts';

const MiB = 1 << 20;
const sector = 512;
const perMiB = MiB / sector;
const root = join(import.meta.dirname, '..', '..');
/** The state begins here on every disk, behind the largest system there will ever be: 6 GiB. */
export const stateSector = 6 * 1024 * perMiB;

export const serverTools = [
  ...['apt-get', 'dpkg-deb', 'depmod', 'strip', 'readelf', 'xz', 'grub-mkimage', 'mkfs.vfat', 'mcopy'],
  ...['mmdebstrap', 'mkfs.ext4', 'debugfs', 'tar'],
];

export const appliancePackages = [
  ...['systemd-sysv', 'systemd-resolved', 'systemd-timesyncd', 'udev', 'dbus', 'initramfs-tools', 'zstd'],
  ...['iproute2', 'iputils-ping', 'ca-certificates', 'unattended-upgrades', 'openssh-server', 'e2fsprogs'],
  ...['fdisk', 'kmod', 'less', 'procps', 'libstdc++6', 'ipxe', 'grub-common', 'grub-efi-amd64-bin'],
];

export interface ServerOptions {
  readonly to: string;
  /** Cache of the live system's packages. */
  readonly cache: string;
  readonly level: number;
  readonly refresh: boolean;
  readonly say: (text: string) => void;
}

export interface BuiltServer {
  readonly image: string;
  readonly packed: string;
  readonly bytes: number;
  readonly packedBytes: number;
  readonly sha256: string;
}

/** Builds `bty-server-x86_64.img` and its packed form in `to`. Needs root, which owns the files of the system. */
export async function buildServer(options: ServerOptions): Promise<BuiltServer> {
  if (process.getuid?.() !== 0) throw new Error('the files of a system belong to root: run it with sudo');
  const { to, say, cache } = options;
  await mkdir(to, { recursive: true });
  const work = await mkdtemp(join(to, '.work-'));
  try {
    const common = { architecture: 'amd64', kernelSuite: undefined, firmware: false, cache, say } as const;
    const live = join(work, 'live');
    const manifest = await buildLive({ ...common, to: live, level: options.level });
    const base = await debianBase({
      cache: join(root, '.cache', 'media'),
      architecture: 'amd64',
      suite: undefined,
      components: ['main'],
      packages: [...appliancePackages, 'linux-image-amd64'],
      refresh: options.refresh,
      say,
    });
    const tree = await unpack(base, join(work, 'root'));
    const suite =
      /VERSION_CODENAME=(\S+)/.exec(await readFile(join(tree, 'etc/os-release'), 'utf8'))?.[1] ?? '';
    await layOverlay({
      tree,
      architecture: 'x64',
      version: manifest.bty_version,
      live,
      suite,
      components: ['main'],
      stateSector,
      serial: 'ttyS0',
      fstab: 'LABEL=BTY_SYSTEM / ext4 errors=remount-ro 0 1\n',
    });
    await mkdir(join(tree, 'boot/grub'), { recursive: true });
    await copyFile(join(root, 'netboot/live/server/system.grub'), join(tree, 'boot/grub/grub.cfg'));
    say('Making the disk ...');
    const image = join(work, 'server.img');
    await assemble(image, tree, work, common);
    const name = 'bty-server-x86_64.img';
    return await finish(image, to, name, work, options.level, say);
  } finally {
    await rm(work, { recursive: true });
  }
}

export async function unpack(archive: string, tree: string): Promise<string> {
  await mkdir(tree);
  await run('tar', ['--extract', '--numeric-owner', '--xattrs', '--file', archive, '--directory', tree]);
  // A folder of the kernel's is no part of the system.
  for (const name of ['dev', 'proc', 'sys', 'run', 'tmp']) {
    await rm(join(tree, name), { recursive: true, force: true });
    await mkdir(join(tree, name));
  }
  await chmod(join(tree, 'tmp'), 0o1777);
  return tree;
}

/** Packs the image and moves everything to its place. */
export async function finish(
  image: string,
  to: string,
  name: string,
  work: string,
  level: number,
  say: (text: string) => void,
): Promise<BuiltServer> {
  say('Packing ...');
  const sha256 = await packTo(image, join(work, `${name}.zst`), Math.min(level, 12));
  await writeFile(join(work, `${name}.zst.sha256`), `${sha256}  ${name}.zst\n`);
  await rename(image, join(to, name));
  for (const each of [`${name}.zst`, `${name}.zst.sha256`]) await rename(join(work, each), join(to, each));
  return {
    image: join(to, name),
    packed: join(to, `${name}.zst`),
    bytes: (await stat(join(to, name))).size,
    packedBytes: (await stat(join(to, `${name}.zst`))).size,
    sha256,
  };
}

type Common = Omit<Parameters<typeof fetchLoaders>[0], never>;

async function assemble(image: string, tree: string, work: string, common: Common): Promise<void> {
  const loaders = await fetchLoaders(common);
  const core = join(work, 'core.img');
  const config =
    'search --no-floppy --label BTY_SYSTEM --set=root\nset prefix=($root)/boot/grub\nconfigfile ($root)/boot/grub/grub.cfg\n';
  await makeCore(loaders, {
    format: 'i386-pc',
    modules: [
      'biosdisk',
      'part_gpt',
      'ext2',
      'search',
      'search_label',
      'normal',
      'configfile',
      'linux',
      'boot',
      'test',
      'keystatus',
      'echo',
      'minicmd',
    ],
    config,
    to: core,
  });
  const esp = join(work, 'esp.img');
  const espTree = join(work, 'esp');
  await layEfi(loaders, espTree);
  await mkdir(join(espTree, 'EFI/debian'), { recursive: true });
  await writeFile(join(espTree, 'EFI/debian/grub.cfg'), config);
  await steady(espTree);
  await writeFile(esp, '');
  const espBytes = 64 * MiB;
  await truncate(esp, espBytes);
  await run('mkfs.vfat', ['--invariant', '-F', '32', '-s', '1', '-i', 'b7e05e52', '-n', 'BTY_ESP', esp]);
  await run('mcopy', ['-i', esp, '-s', '-m', '-Q', join(espTree, 'EFI'), '::']);

  const system = join(work, 'system.img');
  const bytes = settleTree(tree, sourceDate());
  const uuid = 'b7e05e52-0b70-4b17-8a5e-000000000003';
  await makeExt4(system, { tree, label: 'BTY_SYSTEM', uuid, bytes });
  const [coreFirst, espFirst] = [perMiB, 2 * perMiB];
  const systemFirst = espFirst + espBytes / sector;
  const sectors = systemFirst + bytes / sector + perMiB;
  const id = (index: number) => `B7E05E52-0B70-4B17-8A5E-00000000000${index}`;
  const table = makeTable(id(0), sectors, [
    { type: partitionTypes.biosBoot, guid: id(1), name: 'BTY_BIOS', first: coreFirst, last: espFirst - 1 },
    { type: partitionTypes.efiSystem, guid: id(2), name: 'BTY_ESP', first: espFirst, last: systemFirst - 1 },
    {
      type: partitionTypes.linux,
      guid: id(3),
      name: 'BTY_SYSTEM',
      first: systemFirst,
      last: systemFirst + bytes / sector - 1,
    },
  ]);
  await writeFile(image, '');
  await truncate(image, sectors * sector);
  const file = await open(image, 'r+');
  try {
    await file.write(table.head, 0, table.head.length, 0);
    await file.write(bootSector(await readFile(join(loaders.bios, 'boot.img')), coreFirst), 0, 440, 0);
    const placed = placedCore(await readFile(core), coreFirst, MiB);
    await file.write(placed, 0, placed.length, coreFirst * sector);
    await file.write(table.tail, 0, table.tail.length, (sectors - tailSectors) * sector);
  } finally {
    await file.close();
  }
  await layPart(esp, image, espFirst);
  await layPart(system, image, systemFirst);
}

/** Copies `part` into the image from sector `first` on, which begins a mebibyte, and takes the part away. */
export async function layPart(part: string, image: string, first: number): Promise<void> {
  const seek = `seek=${first / perMiB}`;
  await run('dd', [`if=${part}`, `of=${image}`, 'bs=1M', seek, 'conv=sparse,notrunc', 'status=none']);
  await rm(part);
}
