/** The built live system, made anew when it is older than what it is made from. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..', '..', '..');
const built = join(root, 'dist', 'live');

/** Folder with `vmlinuz`, `initrd` and `manifest.json`. Rejects where it cannot be built. */
export async function builtLive(): Promise<string> {
  const made = await stat(join(built, 'manifest.json')).catch(() => null);
  if (!made || made.mtimeMs < (await newestSource())) {
    const builder = join(root, 'build', 'live', 'run.ts');
    await promisify(execFile)(process.execPath, [builder], { cwd: root, maxBuffer: 1 << 24 });
  }
  return built;
}

/** Puts it where an appliance with the boot directory `to` serves it from. */
export async function installLive(to: string): Promise<void> {
  const from = await builtLive();
  const manifest = JSON.parse(await readFile(join(from, 'manifest.json'), 'utf8')) as {
    files: { name: string; serve_as: string }[];
  };
  await mkdir(to, { recursive: true });
  for (const { name, serve_as } of manifest.files) await copyFile(join(from, name), join(to, serve_as));
}

async function newestSource(): Promise<number> {
  const times: number[] = [];
  for (const folder of ['agent', 'shared', 'netboot/live', 'build/live']) {
    for (const name of await readdir(join(root, folder), { recursive: true })) {
      if (/(\.test|testing)\.ts$|(^|\/)tests\//.test(name)) continue;
      const found = await stat(join(root, folder, name));
      if (found.isFile()) times.push(found.mtimeMs);
    }
  }
  return Math.max(...times);
}
