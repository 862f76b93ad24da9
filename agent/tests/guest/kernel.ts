/** A kernel of Debian with the drivers that the guest needs, fetched once and kept in the cache of the checkout. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const cache = join(import.meta.dirname, '..', '..', '..', '.cache', 'guest');

/** Modules by the names that their files have; what they depend on comes along. */
const wanted = [
  ...['virtio_pci', 'virtio_blk', 'virtio_scsi', 'ahci', 'ata_piix', 'sd_mod', 'nvme'],
  ...['xhci-pci', 'ehci-pci', 'usb-storage', 'uas'],
  ...['crc32c_generic', 'crct10dif_common', 'raid1', 'dm-mod', 'ext4'],
];

export interface GuestKernel {
  readonly image: string;
  /** Files of the modules, each after those that it depends on. */
  readonly modules: readonly string[];
}

/** The kernel. Rejects with the reason why there is none. */
export async function guestKernel(): Promise<GuestKernel> {
  await mkdir(cache, { recursive: true });
  for (const name of await readdir(cache)) {
    const found = await readKernel(join(cache, name));
    if (found) return found;
  }
  const work = await mkdtemp(join(cache, 'new-'));
  try {
    const archive = await download(work);
    await execute('dpkg-deb', ['--extract', archive, join(work, 'all')]);
    const ready = join(work, 'ready');
    await pick(join(work, 'all'), ready);
    const place = join(cache, basename(archive, '.deb'));
    if (!(await readKernel(place))) await rm(place, { recursive: true, force: true });
    // Another run may have been faster; its kernel is as good.
    await rename(ready, place).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    const found = await readKernel(place);
    if (!found) throw new Error(`${archive} lacks a kernel`);
    return found;
  } finally {
    await rm(work, { recursive: true });
  }
}

async function readKernel(folder: string): Promise<GuestKernel | null> {
  const list = await readFile(join(folder, 'modules.json'), 'utf8').catch(() => null);
  if (list === null) return null;
  const { asked, files } = JSON.parse(list) as { asked: string[]; files: string[] };
  if (asked.join() !== wanted.join()) return null;
  return { image: join(folder, 'vmlinuz'), modules: files.map((file) => join(folder, file)) };
}

/** Downloads the package of the current kernel; resolves its path. */
async function download(work: string): Promise<string> {
  const { stdout } = await execute('apt-cache', ['depends', 'linux-image-amd64']);
  const [, name] = /Depends: (linux-image-\S+)/.exec(stdout) ?? [];
  if (!name) throw new Error('apt-cache knows no linux-image-amd64 (run apt-get update)');
  const flags = ['-q', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::http::Timeout=20'];
  await execute('apt-get', [...flags, 'download', name], { cwd: work, timeout: 300_000 });
  const archive = (await readdir(work)).find((file) => file.endsWith('.deb'));
  if (!archive) throw new Error(`apt-get downloaded no ${name}`);
  return join(work, archive);
}

/** Copies the kernel and the modules of an unpacked package to `ready`. */
async function pick(all: string, ready: string): Promise<void> {
  const [release] = await readdir(join(all, 'lib', 'modules'));
  if (!release) throw new Error('the package has no modules');
  // The package itself has no modules.dep; depmod(8) writes it.
  await execute('depmod', ['--basedir', all, release], {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  const folder = join(all, 'lib', 'modules', release);
  const files = closure(await readFile(join(folder, 'modules.dep'), 'utf8'));
  await mkdir(ready);
  const names: string[] = [];
  for (const file of files) names.push(await take(join(folder, file), ready));
  await cp(join(all, 'boot', `vmlinuz-${release}`), join(ready, 'vmlinuz'));
  await writeFile(join(ready, 'modules.json'), JSON.stringify({ asked: wanted, files: names }));
}

/** The wanted modules and what they depend on, in an order in which they can be loaded: modules.dep(5). */
function closure(text: string): readonly string[] {
  const needs = new Map<string, readonly string[]>();
  const files = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [file, rest] = line.split(':');
    if (!file || rest === undefined) continue;
    needs.set(file, rest.split(' ').filter(Boolean));
    files.set(basename(file).replace(/\.ko(\.\w+)?$/, ''), file);
  }
  const order = new Set<string>();
  const visit = (file: string): void => {
    for (const need of needs.get(file) ?? []) visit(need);
    order.add(file);
  };
  // What has no file is built into this kernel.
  for (const name of wanted) {
    const file = files.get(name);
    if (file) visit(file);
  }
  return [...order];
}

/** Copies one module, unpacked, as insmod of busybox wants it; resolves its name. */
async function take(from: string, ready: string): Promise<string> {
  const name = basename(from).replace(/\.xz$/, '');
  const to = join(ready, name);
  if (from.endsWith('.xz')) {
    const { stdout } = await execute('xz', ['-dc', from], { encoding: 'buffer', maxBuffer: 1 << 26 });
    await writeFile(to, stdout);
  } else await cp(from, to);
  return name;
}
