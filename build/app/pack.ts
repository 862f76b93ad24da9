import { copyFile, cp, link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Configuration, Platform } from 'electron-builder';
import { bundleApp } from './bundle.ts';
import { electronFiles } from './electron.ts';
import { readFuses } from './fuses.ts';
import { iconPng } from './icon.ts';

/** Packs the desktop app into a folder that runs without this checkout. */
const root = join(import.meta.dirname, '..', '..');

export interface PackOptions {
  /** Where `bundle`, `icons` and `linux-unpacked` are made. */
  readonly output: string;
  /** The executables of the engine and of the appliance. */
  readonly program: string;
  readonly appliance: string;
  /** Whether a debugger may be attached, as the tests do; a release says no. */
  readonly debuggable: boolean;
}

export interface Packed {
  readonly folder: string;
  readonly executable: string;
  readonly electron: string;
}

export async function packApp({ output, program, appliance, debuggable }: PackOptions): Promise<Packed> {
  await layOut(output, { bty: program, 'bty-web': appliance });
  const electron = await electronFiles();
  const config: Configuration = {
    extends: join(root, 'electron-builder.yml'),
    electronDist: electron.folder,
    electronVersion: electron.version,
    electronFuses: debuggable ? null : newerFuses(await readFuses(join(electron.folder, 'electron'))),
  };
  await build({ projectDir: output, targets: Platform.LINUX.createTarget('dir'), config, publish: null });
  const folder = join(output, 'linux-unpacked');
  return { folder, executable: join(folder, 'bty-app'), electron: electron.version };
}

/** A fuse that older Electrons do not have, and that packagers refuse to name for them. */
function newerFuses(known: Awaited<ReturnType<typeof readFuses>>): {
  grantFileProtocolExtraPrivileges?: false;
} {
  return 'grantFileProtocolExtraPrivileges' in known ? { grantFileProtocolExtraPrivileges: false } : {};
}

/** Makes everything that electron-builder.yml names. */
async function layOut(output: string, programs: Readonly<Record<string, string>>): Promise<void> {
  const bundle = join(output, 'bundle');
  const icons = join(output, 'icons');
  await bundleApp({ folder: bundle, minify: true });
  for (const folder of ['icons', 'program', 'linux']) await mkdir(join(output, folder), { recursive: true });
  for (const size of [16, 32, 48, 64, 128, 256, 512]) {
    await writeFile(join(icons, `${size}x${size}.png`), iconPng(size));
  }
  await cp(join(icons, '256x256.png'), join(bundle, 'renderer', 'icon.png'));
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const manifest = { name: 'bty', productName: 'bty', version, main: 'main.cjs', license: 'Apache-2.0' };
  // Under this name desktops show progress and notifications of the app.
  const desktop = { desktopName: 'bty-app.desktop' };
  const text = JSON.stringify({ ...manifest, ...desktop, ...people }, null, 2);
  await writeFile(join(bundle, 'package.json'), text);
  await writeFile(join(output, 'package.json'), text);
  for (const [name, program] of Object.entries(programs)) {
    const copy = join(output, 'program', name);
    await rm(copy, { force: true });
    await link(program, copy).catch(() => copyFile(program, copy));
  }
  await cp(join(root, 'LICENSE'), join(output, 'LICENSE'));
  await cp(join(root, 'build', 'app', 'linux'), join(output, 'scripts'), { recursive: true });
  const policies = join(root, 'build', 'linux');
  for (const name of await readdir(policies)) {
    if (/\.(policy|rules)$/.test(name)) await cp(join(policies, name), join(output, 'linux', name));
  }
}

/** What packagers ask for. */
const people = {
  author: { name: 'bty' },
  description: 'Writes system images onto disks, and proves what it wrote.',
};
