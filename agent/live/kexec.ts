/** Starts the kernel of the flashed disk without the firmware: kexec_file_load(2), reboot(2). */
import { mkdir, open, readdir, readFile, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asFailure } from '../../shared/failure.ts';
import { systemError, systemLibrary } from '../system/native.ts';
import { configFiles, configFolders, fromConfig, type KernelChoice, newestEntry } from './bootconfig.ts';
import { mounted, partitionsOf } from './partitions.ts';

const mountPoint = '/mnt';
/** Numbers of the calls: x86-64 has its own table, arm64 the generic one. */
const kexecFileLoad: Readonly<Record<string, number>> = { x64: 320, arm64: 294 };
const noInitramfs = 4; // KEXEC_FILE_NO_INITRAMFS
const rebootKexec = 0x4558_4543; // LINUX_REBOOT_CMD_KEXEC
const mostConfig = 4 << 20;

/** Loads the kernel that the disk at `path` starts by default. Resolves null when that worked, else why it did not. */
export async function loadKernel(path: string, signal: AbortSignal): Promise<string | null> {
  const why: string[] = [];
  for (const partition of await partitionsOf(path, signal)) {
    const loaded = await mounted(partition.path, mountPoint, async (folder) => {
      const choice = await chosen(folder);
      if (choice === null) return false;
      try {
        await load(folder, choice);
        return true;
      } catch (error) {
        why.push(`${partition.path}: ${asFailure(error).message}`);
        return false;
      }
    });
    if (loaded) return null;
  }
  return why[0] ?? 'no partition has a boot configuration that names its kernel plainly';
}

/** Leaves this system for the loaded one; comes back, with an error, only where that fails. */
export function startKernel(): never {
  const koffi = systemLibrary();
  koffi.load(null).func('reboot', 'int', ['int'])(rebootKexec);
  throw systemError(koffi.errno(), 'reboot');
}

async function chosen(folder: string): Promise<KernelChoice | null> {
  for (const name of configFolders) {
    const entries = new Map<string, string>();
    for (const each of (await readdir(join(folder, name)).catch(() => [])).filter((one) =>
      one.endsWith('.conf'),
    )) {
      const text = await small(folder, join(name, each));
      if (text !== null) entries.set(each, text);
    }
    const found = newestEntry(entries);
    if (found) return found;
  }
  for (const name of configFiles) {
    const text = await small(folder, name);
    const found = text === null ? null : fromConfig(name, text);
    if (found) return found;
  }
  return null;
}

/** A file of the flashed system, which no symbolic link may lead out of. */
async function inside(folder: string, path: string): Promise<string> {
  const real = await realpath(join(folder, path));
  if (!real.startsWith(`${folder}/`)) throw new Error(`${path} leads out of its file system`);
  // A pipe in its place would be waited for without end.
  if (!(await stat(real)).isFile()) throw new Error(`${path} is no file`);
  return real;
}

async function small(folder: string, path: string): Promise<string | null> {
  try {
    const real = await inside(folder, path);
    const { size } = await stat(real);
    return size > mostConfig ? null : await readFile(real, 'utf8');
  } catch {
    return null;
  }
}

async function load(folder: string, { kernel, initrds, options }: KernelChoice): Promise<void> {
  const number = kexecFileLoad[process.arch];
  if (number === undefined) throw new Error(`kexec is not known for ${process.arch}`);
  const system = await open(await inside(folder, kernel), 'r');
  try {
    const joined = await joinedInitrd(folder, initrds);
    const initrd = joined === null ? null : await open(joined, 'r');
    try {
      const line = Buffer.from(`${options}\0`, 'latin1');
      const koffi = systemLibrary();
      // The C library has no function of its own for it.
      const call = koffi
        .load(null)
        .func('syscall', 'long', ['long', 'long', 'long', 'long', 'void *', 'long']);
      const flags = initrd === null ? noInitramfs : 0;
      if (call(number, system.fd, initrd?.fd ?? 0, line.length, line, flags) === -1)
        throw systemError(koffi.errno(), 'kexec_file_load');
    } finally {
      await initrd?.close();
      if (initrds.length > 1 && joined !== null) await rm(joined);
    }
  } finally {
    await system.close();
  }
}

/** The initrd as one file: the kernel takes one, and a loader may name several. */
async function joinedInitrd(folder: string, initrds: readonly string[]): Promise<string | null> {
  const [first, ...others] = initrds;
  if (first === undefined) return null;
  if (others.length === 0) return inside(folder, first);
  await mkdir('/tmp/kexec', { recursive: true });
  const path = '/tmp/kexec/initrd';
  const file = await open(path, 'w');
  try {
    for (const each of initrds) {
      const content = await readFile(await inside(folder, each));
      await file.write(content);
      await file.write(Buffer.alloc(-content.length & 511));
    }
  } finally {
    await file.close();
  }
  return path;
}
