import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { applianceProgram, helperProgram } from '../../shared/helper/elevation.ts';

const run = promisify(execFile);

/**
 * What the app needs of Debian: what Electron loads, and what asks for permission. libx11-xcb1 is loaded by its name while
 * it runs: without it Electron ends without a word.
 */
export const depends = [
  'libgtk-3-0t64 | libgtk-3-0',
  'libnss3',
  'libasound2t64 | libasound2',
  'libgbm1',
  'libxss1',
  'libx11-xcb1',
  'pkexec | policykit-1',
  'util-linux',
];

export interface DebOptions {
  /** The packed app, for example linux-unpacked. */
  readonly folder: string;
  /** Where the icons of each size lie. */
  readonly icons: string;
  readonly output: string;
  readonly version: string;
}

/**
 * Makes a Debian package of a packed app by dpkg-deb(1), and gives its path. The same as electron-builder.yml has its
 * own tools make, where those are out of reach: the app under /opt/bty, the helper where its policy names it.
 */
export async function makeDeb({ folder, icons, output, version }: DebOptions): Promise<string> {
  const tree = join(output, 'deb');
  await rm(tree, { recursive: true, force: true });
  const app = join(tree, 'opt', 'bty');
  await mkdir(join(tree, 'opt'), { recursive: true });
  await cp(folder, app, { recursive: true, verbatimSymlinks: true });
  await placeProgram(tree, app);
  await placePolicies(tree, app);
  await placeDesktop(tree, icons);
  await ownByRoot(tree);
  const { stdout } = await run('du', ['-sk', '--apparent-size', '--exclude=DEBIAN', tree]);
  await mkdir(join(tree, 'DEBIAN'));
  await writeFile(join(tree, 'DEBIAN', 'control'), control(version, Number.parseInt(stdout, 10)));
  const file = join(output, `bty_${version}_amd64.deb`);
  await run('dpkg-deb', ['--build', '--root-owner-group', '-Zzstd', '-z6', tree, file], {
    maxBuffer: 1 << 20,
  });
  await rm(tree, { recursive: true, force: true });
  return file;
}

/** The policy of polkit names the executable where it lies, and people find it on their path. */
async function placeProgram(tree: string, app: string): Promise<void> {
  const path = join(tree, helperProgram);
  if (path !== join(app, 'resources', 'bty'))
    throw new Error(`The policy names ${helperProgram}, not what is packed.`);
  await rm(join(app, 'resources', 'linux'), { recursive: true, force: true });
  const bin = join(tree, 'usr', 'bin');
  await mkdir(bin, { recursive: true });
  await symlink(relative('/usr/bin', helperProgram), join(bin, 'bty'));
  await symlink(relative('/usr/bin', applianceProgram), join(bin, 'bty-web'));
  await symlink('../../opt/bty/bty-app', join(bin, 'bty-app'));
  // Without user namespaces for everybody the sandbox of Chromium needs this one.
  await chmod(join(app, 'chrome-sandbox'), 0o4755);
}

async function placePolicies(tree: string, app: string): Promise<void> {
  const source = join(import.meta.dirname, '..', 'linux');
  const places = { '.policy': 'usr/share/polkit-1/actions', '.rules': 'usr/lib/udev/rules.d' } as const;
  for (const name of await readdir(source)) {
    for (const [suffix, place] of Object.entries(places)) {
      if (!name.endsWith(suffix)) continue;
      await mkdir(join(tree, place), { recursive: true });
      await cp(join(source, name), join(tree, place, name));
    }
  }
  const documents = join(tree, 'usr', 'share', 'doc', 'bty');
  await mkdir(documents, { recursive: true });
  await cp(join(app, 'resources', 'LICENSE.bty.txt'), join(documents, 'copyright'));
}

async function placeDesktop(tree: string, icons: string): Promise<void> {
  const applications = join(tree, 'usr', 'share', 'applications');
  await mkdir(applications, { recursive: true });
  await writeFile(join(applications, 'bty-app.desktop'), desktopEntry);
  const mime = join(tree, 'usr', 'share', 'mime', 'packages');
  await mkdir(mime, { recursive: true });
  await writeFile(join(mime, 'bty.xml'), mimeTypes);
  for (const name of await readdir(icons)) {
    const place = join(tree, 'usr', 'share', 'icons', 'hicolor', basename(name, '.png'), 'apps');
    await mkdir(place, { recursive: true });
    await cp(join(icons, name), join(place, 'bty-app.png'));
  }
}

/** Nothing in a package may be writable for anybody but root, whatever the umask was. */
async function ownByRoot(tree: string): Promise<void> {
  for (const name of await readdir(tree, { recursive: true })) {
    const path = join(tree, name);
    const found = await stat(path).catch(() => null);
    if (found) await chmod(path, (found.mode & 0o7777 & ~0o022) | 0o444 | (found.isDirectory() ? 0o111 : 0));
  }
}

function control(version: string, kibibytes: number): string {
  return `Package: bty
Version: ${version}
Architecture: amd64
Maintainer: bty
Installed-Size: ${kibibytes}
Depends: ${depends.join(', ')}
Section: admin
Priority: optional
Description: Writes system images onto disks, and proves what it wrote
 A window and a command line that write disk images onto USB sticks, memory
 cards and disks, read everything back, and say honestly how it went.
`;
}

const desktopEntry = `[Desktop Entry]
Type=Application
Name=bty
GenericName=Disk image writer
GenericName[de]=Schreiber für Datenträger-Abbilder
Comment=Write system images onto disks, and prove what was written
Comment[de]=Systemabbilder auf Datenträger schreiben und das Geschriebene prüfen
Exec=/opt/bty/bty-app %U
Icon=bty-app
Terminal=false
StartupWMClass=bty
StartupNotify=true
Categories=System;Utility;
Keywords=flash;usb;image;iso;sd;
MimeType=x-scheme-handler/bty;application/vnd.efi.img;application/vnd.efi.iso;application/x-cd-image;application/x-raw-disk-image;application/x-qemu-disk;application/x-bty-image;
`;

const mimeTypes = `<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="application/x-bty-image">
    <comment>bty image description</comment>
    <comment xml:lang="de">bty-Abbildbeschreibung</comment>
    <glob pattern="*.bri"/>
  </mime-type>
</mime-info>
`;

/** Version in the packed app's own manifest. */
export async function versionOf(manifest: string): Promise<string> {
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  return version;
}
