/** The built live system, made anew when it is older than what it is made from. */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..', '..', '..');
const built = join(root, 'dist', 'live');

/**
 * Folder with `vmlinuz`, `initrd` and `manifest.json`: the one that `BTY_LIVE` names, as one with vendor firmware or with
 * another kernel, else the usual one. Rejects where it cannot be built.
 */
export async function builtLive(): Promise<string> {
  const given = process.env.BTY_LIVE;
  if (given !== undefined && given !== '') return given;
  const made = await stat(join(built, 'manifest.json')).catch(() => null);
  if (!made || made.mtimeMs < (await newestSource())) {
    const builder = join(root, 'build', 'live', 'run.ts');
    await promisify(execFile)(process.execPath, [builder], { cwd: root, maxBuffer: 1 << 24 });
  }
  return built;
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
