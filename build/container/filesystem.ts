/** What lies in the container's root: the runtime with its libraries, and the program. No shell and no packages. */
import { cp, lstat, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildMissingLocalBoots } from '../../netboot/boot/localboot.ts';
import { output } from '../live/command.ts';
import { type Architecture, debianName } from '../pack/foreign.ts';
import { settleModes } from '../release/archive.ts';
import { layTree } from '../release/tree.ts';

const suite = 'bookworm';
/** Packages of Debian from which files are taken. */
const packages = ['libc6', 'libgcc-s1', 'libstdc++6', 'ipxe'];
/** What Node.js loads, and what the C library loads to find names; the dynamic loader besides. */
const libraries =
  /^(ld-linux-.*|lib(c|m|dl|pthread|rt|resolv|nss_files|nss_dns)\.so\.\d+|libgcc_s\.so\.1|libstdc\+\+\.so\.6.*)$/;
const bootPrograms = ['undionly.kpxe', 'snponly.efi', 'ipxe.efi'];

/** Whom the appliance runs as. */
export const user = { id: 999, name: 'bty' } as const;

export interface Parts {
  /** Folder with what changes seldom: libraries, runtime, boot programs. */
  readonly runtime: string;
  /** Folder with what changes with every version. */
  readonly program: string;
}

/** Lays both parts below `work`. Takes `libraries` from Debian's archive by mmdebstrap, which needs no rights for it. */
export async function layFilesystem(work: string, architecture: Architecture): Promise<Parts> {
  const [runtime, program] = [join(work, 'runtime'), join(work, 'program')];
  const extracted = join(work, 'debian');
  await output('mmdebstrap', [
    '--variant=extract',
    '--quiet',
    `--architectures=${debianName(architecture)}`,
    `--include=${packages.join(',')}`,
    suite,
    `${extracted}.tar`,
  ]);
  await mkdir(extracted);
  await output('tar', ['-xf', `${extracted}.tar`, '-C', extracted, '--exclude=./dev/*']);
  await copyLibraries(extracted, runtime, architecture);
  for (const name of bootPrograms)
    await copy(join(extracted, 'usr/lib/ipxe', name), join(runtime, 'usr/lib/ipxe', name));
  for (const name of packages)
    await copy(
      join(extracted, 'usr/share/doc', name, 'copyright'),
      join(runtime, 'usr/share/doc', name, 'copyright'),
    ).catch(() => {});
  // Loaders for the disk's own system are built from GRUB, which the container does not have.
  await buildMissingLocalBoots(join(runtime, 'usr/lib/bty/boot'), () => true);
  await layTree({ to: join(program, 'usr'), architecture, only: ['bty-web'] });
  await rename(join(program, 'usr/lib/bty/node'), join(runtime, 'usr/lib/bty/node'));
  await rm(join(program, 'usr/bin'), { recursive: true });
  await cp(join(import.meta.dirname, 'health.cjs'), join(program, 'usr/lib/bty/health.cjs'));
  await writeEtc(program);
  for (const folder of [runtime, program]) await settleModes(folder);
  return { runtime, program };
}

async function copyLibraries(from: string, to: string, architecture: Architecture): Promise<void> {
  const triplet = architecture === 'x64' ? 'x86_64-linux-gnu' : 'aarch64-linux-gnu';
  const into = join(to, 'usr', 'lib', triplet);
  for (const folder of [join('lib', triplet), join('usr/lib', triplet)]) {
    for (const name of await readdir(join(from, folder)).catch(() => []))
      if (libraries.test(name)) await copy(join(from, folder, name), join(into, name));
  }
  // One folder for libraries, whose old name the loader's path and those of the libraries still have.
  await symlink('usr/lib', join(to, 'lib'));
  if (architecture === 'x64') {
    await mkdir(join(to, 'usr/lib64'), { recursive: true });
    await symlink(`../lib/${triplet}/ld-linux-x86-64.so.2`, join(to, 'usr/lib64/ld-linux-x86-64.so.2'));
    await symlink('usr/lib64', join(to, 'lib64'));
  } else await symlink(`${triplet}/ld-linux-aarch64.so.1`, join(to, 'usr/lib/ld-linux-aarch64.so.1'));
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { verbatimSymlinks: (await lstat(from)).isSymbolicLink() });
}

async function writeEtc(folder: string): Promise<void> {
  await mkdir(join(folder, 'etc', 'bty'), { recursive: true });
  await mkdir(join(folder, 'tmp'));
  const files = {
    passwd: `root:x:0:0:root:/root:/sbin/nologin\n${user.name}:x:${user.id}:${user.id}::/var/lib/bty:/sbin/nologin\n`,
    group: `root:x:0:\n${user.name}:x:${user.id}:\n`,
    'nsswitch.conf': 'hosts: files dns\n',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, 'etc', name), text);
}
