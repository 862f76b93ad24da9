/** Who keeps a disk busy: other programs that have it open, and mounts that only other programs see. */
import { readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Kernel, names, readAttribute } from './kernel.ts';
import { devicesOfMount, parseMounts, readPools } from './usage.ts';

export interface Openers {
  /** Mount points in other mount namespaces (mount_namespaces(7)), each with the program that sees it. */
  readonly mounts: readonly string[];
  /** Programs that have the device open, for example `mkfs.ext4 (process 412)`. At most five. */
  readonly programs: readonly string[];
}

/** Looks through all processes this user may look into. `numbers` are the device and what stands on it. */
export async function findOpeners(
  kernel: Kernel,
  path: string,
  numbers: ReadonlySet<string>,
): Promise<Openers> {
  const processes = (await names(kernel.proc)).filter((name) => /^\d+$/.test(name));
  const pools = await readPools(kernel);
  const own = await readlink(`${kernel.proc}/self/ns/mnt`).catch(() => '');
  const namespaces = new Set([own]);
  const mounts: string[] = [];
  const programs: string[] = [];
  for (const id of processes) {
    const folder = `${kernel.proc}/${id}`;
    if (programs.length < 5 && (await hasOpen(kernel, folder, path, numbers)))
      programs.push(await programOf(folder, id));
    const namespace = await readlink(`${folder}/ns/mnt`).catch(() => own);
    if (namespaces.has(namespace)) continue;
    namespaces.add(namespace);
    for (const line of parseMounts(await readFile(`${folder}/mountinfo`, 'utf8').catch(() => ''))) {
      const devices = await devicesOfMount(kernel, line, pools);
      if (devices.some((number) => numbers.has(number))) {
        mounts.push(`${line.at} as ${await programOf(folder, id)} sees it`);
      }
    }
  }
  return { mounts, programs };
}

async function hasOpen(
  kernel: Kernel,
  folder: string,
  path: string,
  numbers: ReadonlySet<string>,
): Promise<boolean> {
  for (const descriptor of await names(`${folder}/fd`)) {
    const opened = await readlink(`${folder}/fd/${descriptor}`).catch(() => '');
    if (opened === path) return true;
    if (!opened.startsWith('/dev/')) continue;
    const number = await kernel.deviceNumber(`${folder}/fd/${descriptor}`);
    if (number !== null && numbers.has(number)) return true;
  }
  return false;
}

async function programOf(folder: string, id: string): Promise<string> {
  if (id === `${process.pid}`) return 'this program';
  const told = (await readAttribute(`${folder}/comm`)) ?? 'a program';
  // The main thread of Node.js calls itself "MainThread"; its file names the program better.
  const name = told === 'MainThread' ? basename(await readlink(`${folder}/exe`).catch(() => told)) : told;
  return `${name} (process ${id})`;
}
