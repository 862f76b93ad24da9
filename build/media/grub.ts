/** GRUB of Debian for sticks and disks: the code that BIOS starts, and what UEFI starts, signed for Secure Boot. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from '../live/command.ts';
import { fetchNamed, type Package, type PackageOptions } from '../live/packages.ts';

/** Packages with boot loaders for x86; nothing of them is installed. */
const names = ['grub-pc-bin', 'grub-efi-amd64-signed', 'shim-signed', 'shim-helpers-amd64-signed'];

export interface Loaders {
  readonly packages: readonly Package[];
  /** Folder with modules and images for BIOS. */
  readonly bios: string;
}

export async function fetchLoaders(options: PackageOptions): Promise<Loaders> {
  const packages = await fetchNamed(names, options);
  return { packages, bios: join(fileOf(packages, 'grub-pc-bin'), 'usr/lib/grub/i386-pc') };
}

/** Writes GRUB's core with `modules` and the commands `config` to `to`, in the form `format`. */
export async function makeCore(
  loaders: Loaders,
  options: {
    readonly format: 'i386-pc' | 'i386-pc-eltorito';
    readonly modules: readonly string[];
    readonly config: string;
    readonly to: string;
  },
): Promise<void> {
  const { format, modules, config, to } = options;
  await writeFile(`${to}.cfg`, config);
  const args = ['--format', format, '--directory', loaders.bios, '--prefix', '/boot/grub'];
  await output('grub-mkimage', [...args, '--config', `${to}.cfg`, '--output', to, ...modules]);
}

/** Lays out what UEFI starts under `folder`: shim, GRUB and the key manager, each signed, as Debian ships them. */
export async function layEfi({ packages }: Loaders, folder: string): Promise<void> {
  const boot = join(folder, 'EFI', 'BOOT');
  await mkdir(boot, { recursive: true });
  const shim = join(fileOf(packages, 'shim-signed'), 'usr/lib/shim');
  const helpers = join(fileOf(packages, 'shim-helpers-amd64-signed'), 'usr/lib/shim');
  const grub = join(fileOf(packages, 'grub-efi-amd64-signed'), 'usr/lib/grub/x86_64-efi-signed');
  await cp(join(shim, 'shimx64.efi.signed'), join(boot, 'BOOTX64.EFI'));
  await cp(join(helpers, 'mmx64.efi.signed'), join(boot, 'mmx64.efi'));
  await cp(join(grub, 'grubx64.efi.signed'), join(boot, 'grubx64.efi'));
}

export function fileOf(packages: readonly Package[], name: string): string {
  const found = packages.find((each) => each.name === name);
  if (!found) throw new Error(`the package ${name} was not fetched`);
  return found.folder;
}

/** Copies each package's notice of rights to `folder`. */
export async function copyNotices(packages: readonly Package[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { name, folder: files } of packages) {
    const notice = await readFile(join(files, 'usr/share/doc', name, 'copyright')).catch(() => null);
    if (notice) await writeFile(join(folder, `${name}.txt`), notice);
  }
}
