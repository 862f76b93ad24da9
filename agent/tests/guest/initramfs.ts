/** Packs `bty`, the tools around it and the drivers of the guest's kernel into an initramfs. */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type Member, writeArchive } from './archive.ts';
import type { GuestKernel } from './kernel.ts';

const execute = promisify(execFile);

export interface Contents {
  readonly kernel: GuestKernel;
  readonly bty: string;
  /** Programs of this machine to take along, by name. */
  readonly tools: readonly string[];
  /** Further files, by their path in the guest. */
  readonly files: ReadonlyMap<string, string | Uint8Array>;
}

export async function writeInitramfs(path: string, contents: Contents): Promise<void> {
  const members = new Map<string, Member>();
  for (const folder of ['/dev', '/proc', '/sys', '/run', '/tmp', '/mnt', '/bin'])
    members.set(folder, { kind: 'folder' });
  members.set('/dev/console', { kind: 'device', major: 5, minor: 1 });
  members.set('/init', { kind: 'file', content: await readFile(join(import.meta.dirname, 'init')) });

  const busybox = await findTool('busybox');
  members.set('/bin/busybox', { kind: 'copy', from: busybox });
  const { stdout } = await execute(busybox, ['--list']);
  for (const name of stdout.split('\n').filter(Boolean)) {
    if (name !== 'busybox') members.set(`/bin/${name}`, { kind: 'link', to: 'busybox' });
  }

  const programs = [contents.bty, ...(await Promise.all(contents.tools.map(findTool)))];
  for (const program of programs) {
    members.set(`/usr/bin/${basename(program)}`, { kind: 'copy', from: program });
    for (const library of await librariesOf(program)) members.set(library, { kind: 'copy', from: library });
  }
  const modules = contents.kernel.modules.map((from) => ({ from, to: `/modules/${basename(from)}` }));
  for (const { from, to } of modules) members.set(to, { kind: 'copy', from });
  const list = modules.map(({ to }) => `${to}\n`).join('');
  members.set('/modules.list', { kind: 'file', content: list });
  for (const [name, content] of contents.files) members.set(name, { kind: 'file', content });
  await writeArchive(path, members);
}

/** Path of a program; system folders are looked through, too. */
export async function findTool(name: string): Promise<string> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  for (const folder of folders) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => null);
    if (found?.isFile()) return path;
  }
  throw new Error(`${name} is not installed`);
}

/** Shared libraries of a program and the loader that brings them together, as ldd(1) finds them. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const { stdout } = await execute('ldd', [program]);
  return [...stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map(([, path = '']) => path);
}
