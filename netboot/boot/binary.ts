/** Which program each firmware loads first: where it may lie, and how a missing one is got. Data, not decisions. */
import { bootFileOf, type Flavor, flavors, type Platform } from '../dhcp/architecture.ts';

export interface Binary {
  /** Name over TFTP and under /boot/. */
  readonly name: string;
  readonly platform: Platform;
  readonly purpose: Flavor | 'local-boot';
  /** Names under which a directory of the operator may hold it, best first. */
  readonly names: readonly string[];
  /** Where a package of the distribution puts it. */
  readonly places: readonly string[];
  /** Command or step that gets it. */
  readonly advice: string;
}

const distribution = 'apt-get install ipxe';
const platforms: readonly Platform[] = ['bios', 'x86', 'x86_64', 'arm32', 'arm64', 'riscv64', 'loong64'];
/** Names of iPXE's own builds and releases: bin-arm64-efi/ in its tree, arm64-efi/ where it is published. */
const upstream: Readonly<Record<Exclude<Platform, 'bios'>, string>> = {
  x86: 'i386-efi',
  x86_64: 'x86_64-efi',
  arm32: 'arm32-efi',
  arm64: 'arm64-efi',
  riscv64: 'riscv64-efi',
  loong64: 'loong64-efi',
};
/** Where Debian's packages of iPXE put their files; the newest names first. */
const packaged: Readonly<Record<string, readonly string[]>> = {
  'undionly.kpxe': ['/usr/lib/ipxe/undionly.kpxe'],
  'undionly.kkpxe': ['/usr/lib/ipxe/undionly.kkpxe'],
  'ipxe.pxe': ['/usr/lib/ipxe/ipxe.pxe'],
  'snponly.efi': ['/usr/lib/ipxe/snponly.efi', '/usr/lib/ipxe/x86_64-efi/snponly.efi'],
  'ipxe.efi': ['/usr/lib/ipxe/ipxe.efi', '/boot/ipxe.efi', '/usr/lib/ipxe/x86_64-efi/ipxe.efi'],
  'i386/snponly.efi': ['/usr/lib/ipxe/i386-efi/snponly.efi'],
  'i386/ipxe.efi': ['/usr/lib/ipxe/i386-efi/ipxe.efi'],
  'arm64/snponly.efi': ['/usr/lib/ipxe/arm64-efi/snponly.efi', '/usr/lib/ipxe/snponly-arm64.efi'],
  'arm64/ipxe.efi': ['/usr/lib/ipxe/arm64-efi/ipxe.efi', '/usr/lib/ipxe/ipxe-arm64.efi'],
  'lpxelinux.0': ['/usr/lib/PXELINUX/lpxelinux.0'],
};
const packages: Readonly<Record<string, string>> = { 'lpxelinux.0': 'apt-get install pxelinux' };

function fileOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

function firmwareBinary(platform: Platform, flavor: Flavor): Binary {
  const name = bootFileOf(platform, flavor);
  const places = packaged[name] ?? [];
  const file = fileOf(name);
  const folder = platform === 'bios' ? null : upstream[platform];
  const known =
    packages[name] ?? (places.length > 0 && platform !== 'x86' && platform !== 'arm64' ? distribution : null);
  return {
    name,
    platform,
    purpose: flavor,
    names: folder ? [name, `${folder}/${file}`, `bin-${folder}/${file}`] : [name, `bin/${file}`],
    places,
    advice:
      known ??
      `put ${name} into the directory of boot files (iPXE's build make ${folder ? `bin-${folder}` : 'bin'}/${file} makes one)`,
  };
}

/** GRUB's name for each platform that can start the disk's own loader, and the loader's name in the EFI standard. */
export interface LocalBootTarget {
  readonly platform: Platform;
  readonly name: string;
  readonly grub: string;
  readonly loader: string;
  readonly package: string;
}
export const localBootTargets: readonly LocalBootTarget[] = [
  {
    platform: 'x86_64',
    name: 'localboot.efi',
    grub: 'x86_64-efi',
    loader: 'X64',
    package: 'grub-efi-amd64-bin',
  },
  {
    platform: 'x86',
    name: 'i386/localboot.efi',
    grub: 'i386-efi',
    loader: 'IA32',
    package: 'grub-efi-ia32-bin',
  },
  {
    platform: 'arm64',
    name: 'arm64/localboot.efi',
    grub: 'arm64-efi',
    loader: 'AA64',
    package: 'grub-efi-arm64-bin',
  },
];

function localBoot({ platform, name, package: from }: LocalBootTarget): Binary {
  const advice = `apt-get install grub-common ${from}, then start bty-web again: it builds the file`;
  return { name, platform, purpose: 'local-boot', names: [name], places: [], advice };
}

/** `undionly.kkpxe` keeps the ROM's stack; it helps where unloading it hangs. */
const kept: Binary = {
  name: 'undionly.kkpxe',
  platform: 'bios',
  purpose: 'snponly',
  names: ['undionly.kkpxe', 'bin/undionly.kkpxe'],
  places: packaged['undionly.kkpxe'] ?? [],
  advice: distribution,
};

export const binaries: readonly Binary[] = [
  ...platforms.flatMap((platform) => flavors.map((flavor) => firmwareBinary(platform, flavor))),
  kept,
  ...localBootTargets.map(localBoot),
];
