/** The drivers of the live system: the wanted ones of a kernel package and what they need. */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { output } from './command.ts';

export interface Drivers {
  /** Release of the kernel, as uname(2) tells it. */
  readonly release: string;
  readonly kernel: string;
  /** Folder that holds `lib/modules/<release>` and the tables that modprobe reads. */
  readonly folder: string;
  /** Names of the modules, and of wanted ones that this kernel lacks or has built in. */
  readonly modules: readonly string[];
  readonly absent: readonly string[];
  /** Files of the first drivers, in the order in which they are loaded; without those that the kernel has built in. */
  readonly early: readonly string[];
  /** Firmware files that the modules may ask for. */
  readonly firmware: readonly string[];
}

/**
 * Copies the wanted modules of the unpacked kernel package `from` to the folder `to`. Those named by `first` are loaded
 * before there is a modprobe; rejects when the kernel has them neither as modules nor built in.
 */
export async function pickDrivers(
  from: string,
  to: string,
  wanted: readonly string[],
  first: readonly string[],
): Promise<Drivers> {
  await rm(to, { recursive: true, force: true });
  // Kernels of later suites have their modules under /usr, where depmod does not look.
  if (!existsSync(join(from, 'lib')) && existsSync(join(from, 'usr', 'lib', 'modules')))
    await symlink(join('usr', 'lib'), join(from, 'lib')).catch(() => {});
  const [release] = await readdir(join(from, 'lib', 'modules'));
  if (!release) throw new Error('the kernel package has no modules');
  const all = join(from, 'lib', 'modules', release);
  // The package itself has no modules.dep; depmod(8) writes it.
  await output('depmod', ['--basedir', from, release]);
  const needs = await readFile(join(all, 'modules.dep'), 'utf8');
  const { files, absent } = closure(needs, [...first, ...wanted]);
  const target = join(to, 'lib', 'modules', release);
  const builtIn = await readFile(join(all, 'modules.builtin'), 'utf8');
  const lacking = first.filter((name) => absent.includes(name) && !builtIn.includes(`/${name}.ko`));
  if (lacking.length > 0) throw new Error(`the kernel ${release} has no ${lacking.join(', ')}`);
  // Each after what it needs; modules.dep(5) names what is needed first at the end.
  const early = first.flatMap((name) => closure(needs, [name]).ordered);
  for (const file of files) await take(join(all, file), join(target, file));
  for (const name of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order'])
    await cp(join(all, name), join(target, name)).catch(() => {});
  await output('depmod', ['--basedir', to, release]);
  // The modprobe of busybox reads the text tables; the rest serves only the other one.
  const tables = ['modules.dep', 'modules.alias', 'modules.symbols'];
  for (const name of await readdir(target)) {
    if (name.startsWith('modules.') && !tables.includes(name)) await rm(join(target, name));
  }
  await writeFile(join(target, 'modules.symbols'), '');
  const firmware = await firmwareOf(files.map((file) => join(target, file.replace(/\.xz$/, ''))));
  const modules = files.map((file) => basename(file).replace(/\.ko(\.xz)?$/, '')).sort();
  return {
    ...{ release, kernel: join(from, 'boot', `vmlinuz-${release}`), folder: to, modules, absent, firmware },
    early: [...new Set(early)].map((file) => join(target, file.replace(/\.xz$/, ''))),
  };
}

const plain = (name: string): string => name.replaceAll('-', '_');

/** The wanted modules and all that they need: modules.dep(5); sorted, and in the order in which they can be loaded. */
function closure(
  text: string,
  wanted: readonly string[],
): { files: string[]; ordered: string[]; absent: string[] } {
  const needs = new Map<string, readonly string[]>();
  const byName = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [file, rest] = line.split(':');
    if (!file || rest === undefined) continue;
    needs.set(file, rest.split(' ').filter(Boolean));
    byName.set(plain(basename(file).replace(/\.ko(\.\w+)?$/, '')), file);
  }
  const found = new Set<string>();
  const absent: string[] = [];
  for (const name of wanted) {
    const file = byName.get(plain(name));
    if (file === undefined) absent.push(name);
    else for (const each of [...(needs.get(file) ?? [])].reverse().concat(file)) found.add(each);
  }
  return { files: [...found].sort(), ordered: [...found], absent };
}

/** Copies one module, unpacked and without the notes for debuggers. */
async function take(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to);
  if (to.endsWith('.xz')) await output('xz', ['-d', to]);
}

async function firmwareOf(files: readonly string[]): Promise<string[]> {
  const names = new Set<string>();
  for (const file of files) {
    // The section .modinfo is a list of "key=value" that end in NUL.
    const text = (await readFile(file)).toString('latin1');
    for (const [, name] of text.matchAll(/(?<=\0)firmware=([\w./+-]+)\0/g)) if (name) names.add(name);
  }
  return [...names].sort();
}
