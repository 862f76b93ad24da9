/** The packed executable, built when it is older than what it is built from. */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..', '..', '..');
const executable = join(root, 'dist', 'bin', 'bty');

/** Path of the executable. Rejects where it cannot be built. */
export async function builtProgram(): Promise<string> {
  const built = await stat(executable).catch(() => null);
  if (!built || built.mtimeMs < (await newestSource())) {
    await promisify(execFile)(process.execPath, [join(root, 'build', 'pack', 'build.ts')], { cwd: root });
  }
  return executable;
}

async function newestSource(): Promise<number> {
  const folders = ['agent', 'shared', 'build/pack'];
  const files = folders.map(async (folder) => {
    const names = await readdir(join(root, folder), { recursive: true });
    return names
      .filter((name) => name.endsWith('.ts') && !/(\.test|testing)\.ts$|^tests\//.test(name))
      .map((name) => join(root, folder, name));
  });
  const sources = [...(await Promise.all(files)).flat(), join(root, 'package-lock.json')];
  const times = await Promise.all(sources.map(async (path) => (await stat(path)).mtimeMs));
  return Math.max(...times);
}
