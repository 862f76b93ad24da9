/** The Debian package of the commands and of the appliance's service; that of the desktop app has them as well. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { output } from '../live/command.ts';
import { type Architecture, debianName } from '../pack/foreign.ts';
import { settleModes } from './archive.ts';
import { layTree } from './tree.ts';
import { root, sourceDate, version } from './version.ts';

const recipe = join(root, 'build', 'release', 'debian');
const scripts = ['postinst', 'prerm', 'postrm'];

/** Packs into the file `to` by dpkg-deb(1). */
export async function packDeb(to: string, architecture: Architecture): Promise<void> {
  const tree = await mkdtemp(join(tmpdir(), 'bty-deb-'));
  try {
    await layTree({ to: join(tree, 'usr'), architecture });
    await layService(tree);
    const documents = join(tree, 'usr', 'share', 'doc', 'bty-tools');
    await mkdir(documents, { recursive: true });
    await cp(join(root, 'LICENSE'), join(documents, 'copyright'));
    const changes = await promisify(gzip)(await readFile(join(root, 'CHANGELOG.md')), { level: 9 });
    await writeFile(join(documents, 'changelog.gz'), changes);
    await cp(join(root, 'docs'), join(documents, 'docs'), {
      recursive: true,
      filter: (path) => !path.includes('/screens'),
    });
    await settleModes(tree);
    const size = Number.parseInt(
      await output('du', ['-sk', '--apparent-size', '--exclude=DEBIAN', tree]),
      10,
    );
    const control = join(tree, 'DEBIAN');
    await mkdir(control);
    await writeFile(join(control, 'control'), describe(architecture, size));
    await writeFile(join(control, 'conffiles'), '/etc/bty/bty.toml\n');
    for (const name of scripts) await cp(join(recipe, name), join(control, name));
    await settleModes(control);
    for (const name of scripts) await output('chmod', ['755', join(control, name)]);
    await output('env', [
      `SOURCE_DATE_EPOCH=${sourceDate()}`,
      'dpkg-deb',
      '--build',
      '--root-owner-group',
      '-Zzstd',
      '-z9',
      tree,
      to,
    ]);
  } finally {
    await rm(tree, { recursive: true });
  }
}

async function layService(tree: string): Promise<void> {
  const units = join(tree, 'usr', 'lib', 'systemd', 'system');
  await mkdir(units, { recursive: true });
  const source = join(root, 'build', 'systemd');
  for (const name of await readdir(source))
    if (/\.(service|socket)$/.test(name)) await cp(join(source, name), join(units, name));
  await mkdir(join(tree, 'etc', 'bty'), { recursive: true });
  await cp(join(recipe, 'bty.toml'), join(tree, 'etc', 'bty', 'bty.toml'));
}

/** What `bty-web` sends to machines: iPXE, and for PCs with UEFI a loader that it builds from GRUB. */
const sent = { x64: 'ipxe, grub-common, grub-efi-amd64-bin', arm64: 'ipxe' } as const;

/** Node.js asks for a C library of 2.28; lsblk is in util-linux. */
const describe = (architecture: Architecture, kibibytes: number): string => `Package: bty-tools
Version: ${version}
Architecture: ${debianName(architecture)}
Maintainer: bty
Installed-Size: ${kibibytes}
Depends: libc6 (>= 2.28), libgcc-s1, libstdc++6, util-linux, passwd
Recommends: ca-certificates, ${sent[architecture]}
Conflicts: bty
Replaces: bty
Section: admin
Priority: optional
Description: Writes system images onto disks, and proves what it wrote
 Commands that write disk images onto disks, read everything back and say
 honestly how it went, and an appliance from which bare machines boot over the
 network, flash themselves unattended and report back.
`;
