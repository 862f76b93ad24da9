/** What lies where in the live system's root, in layers that change at different times. */
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { CpioEntry } from '../../shared/archive/cpio.ts';
import { output } from './command.ts';
import type { Drivers } from './modules.ts';
import type { Package } from './packages.ts';

/** Files by absolute path; folders above them are added when the layer is packed. */
export class Tree {
  readonly #entries = new Map<string, CpioEntry>();

  folder(path: string, mode = 0o755): this {
    return this.#add({ kind: 'directory', name: path, mode });
  }

  link(path: string, to: string): this {
    return this.#add({ kind: 'link', name: path, to });
  }

  device(path: string, major: number, minor: number): this {
    return this.#add({ kind: 'character', name: path, mode: 0o600, major, minor });
  }

  file(path: string, content: Uint8Array, mode = 0o644): this {
    return this.#add({ kind: 'file', name: path, mode, content });
  }

  async copy(path: string, from: string, mode?: number): Promise<this> {
    const found = await lstat(from);
    return this.file(path, await readFile(from), mode ?? ((found.mode & 0o111) === 0 ? 0o644 : 0o755));
  }

  /** Copies everything under the folder `from`. */
  async copyAll(path: string, from: string): Promise<this> {
    for (const each of (await readdir(from, { withFileTypes: true })).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      const [source, target] = [join(from, each.name), join(path, each.name)];
      if (each.isDirectory()) await this.copyAll(target, source);
      else if (each.isSymbolicLink()) this.link(target, await readlink(source));
      else await this.copy(target, source);
    }
    return this;
  }

  /** Entries in the order in which the kernel can make them: a folder before what lies in it. */
  *entries(): Generator<CpioEntry> {
    const made = new Set<string>(['.', '/', '']);
    for (const name of [...this.#entries.keys()].sort()) {
      const above: string[] = [];
      for (let folder = dirname(name); !made.has(folder); folder = dirname(folder)) above.unshift(folder);
      for (const folder of above) {
        made.add(folder);
        if (!this.#entries.has(folder)) yield { kind: 'directory', name: folder, mode: 0o755 };
      }
      made.add(name);
      const entry = this.#entries.get(name);
      if (entry) yield entry;
    }
  }

  #add(entry: CpioEntry): this {
    const name = entry.name.replace(/^\/+/, '');
    this.#entries.set(name, { ...entry, name });
    return this;
  }
}

/** Programs of Debian that the agent calls, by the path in their package. */
const programs = ['bin/lsblk', 'usr/bin/efibootmgr', 'sbin/e2fsck', 'sbin/resize2fs'];

export interface SystemParts {
  readonly packages: readonly Package[];
  /** Stripped Node.js. */
  readonly node: string;
  /** Folder for the libraries' places: `x86_64-linux-gnu`. */
  readonly triplet: string;
  readonly drivers: Drivers;
}

/** Where the file system with Node.js and tools is mounted, and the file that it is in. */
const mountpoint = 'system';
export const imageFile = 'early/system.squashfs';
/** Drivers that the file system needs itself. */
export const firstDrivers = ['loop', 'squashfs'] as const;

/**
 * `base` is unpacked by the kernel: folders, devices, busybox, the drivers by which `system` is mounted. `system` has
 * Node.js, the programs of Debian and the libraries that they need.
 */
export async function systemLayers(parts: SystemParts): Promise<{ base: Tree; system: Tree }> {
  const { packages, node, triplet, drivers } = parts;
  const [base, system] = [new Tree(), new Tree()];
  const folders = ['proc', 'sys', 'dev', 'run', 'tmp', 'root', 'mnt', 'var', 'bin', 'lib', 'etc', mountpoint];
  for (const folder of folders) base.folder(folder);
  // The kernel opens the console for the first process before anything is mounted.
  base.device('dev/console', 5, 1).device('dev/null', 1, 3);
  base.link('etc/resolv.conf', '/run/bty/resolv.conf').link('sbin', 'bin').link('etc/mtab', '/proc/mounts');
  base.file('etc/passwd', text('root:x:0:0:root:/root:/bin/sh\n')).file('etc/group', text('root:x:0:\n'));
  await base.copy('bin/busybox', await find(packages, ['bin/busybox', 'usr/bin/busybox']), 0o755);
  for (const [index, file] of drivers.early.entries())
    await base.copy(join(dirname(imageFile), `${index}-${basename(file)}`), file, 0o644);
  await system.copy('bin/node', node, 0o755);
  const needed: string[] = [node];
  for (const program of programs) {
    const from = await find(packages, [program, join('usr', program), program.replace(/^usr\//, '')]);
    await system.copy(join('bin', basename(program)), from, 0o755);
    needed.push(from);
  }
  for (const [name, from] of await libraries(packages, needed, triplet)) {
    await system.copy(join('lib', name), from, 0o755);
    // The loader has its place in every program; everything else is looked for in folders.
    if (name.startsWith('ld-linux') && !triplet.startsWith('x86_64'))
      base.link(join('lib', name), `/${mountpoint}/lib/${name}`);
  }
  base.link('usr/bin', `/${mountpoint}/bin`);
  if (triplet.startsWith('x86_64')) base.link('lib64', `/${mountpoint}/lib`);
  // Libraries of Debian are looked for in a folder of the architecture first.
  for (const folder of ['lib', 'usr/lib']) base.link(join(folder, triplet), `/${mountpoint}/lib`);
  return { base, system };
}

/** Shared libraries that `programs` need, and that those need, by name. */
async function libraries(
  packages: readonly Package[],
  programs: readonly string[],
  triplet: string,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const open = [...programs];
  for (let file = open.shift(); file !== undefined; file = open.shift()) {
    for (const name of await neededBy(file)) {
      if (found.has(name)) continue;
      const places = ['lib', 'usr/lib'].flatMap((folder) => [
        join(folder, triplet, name),
        join(folder, name),
      ]);
      const from = await find(packages, [...places, join('lib64', name), join('usr/lib64', name)]);
      found.set(name, from);
      open.push(from);
    }
  }
  return new Map([...found].sort(([one], [other]) => (one < other ? -1 : 1)));
}

async function neededBy(file: string): Promise<string[]> {
  const told = await output('readelf', ['-d', file]);
  return [...told.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].flatMap(([, name]) => name ?? []);
}

/** The first of `places` that one of the packages has, links followed inside the package. */
async function find(packages: readonly Package[], places: readonly string[]): Promise<string> {
  for (const place of places) {
    for (const { folder } of packages) {
      let path = join(folder, place);
      for (let hops = 0; hops < 8; hops++) {
        const status = await lstat(path).catch(() => null);
        if (status?.isFile()) return path;
        if (!status?.isSymbolicLink()) break;
        const to = await readlink(path);
        path = to.startsWith('/') ? join(folder, to) : join(dirname(path), to);
      }
    }
  }
  throw new Error(`no package has ${places[0]}`);
}

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
