import { chmod, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from '../live/command.ts';

/** Nothing in an archive is writable for anybody but its owner, whatever the umask was. */
export async function settleModes(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name);
    const found = await lstat(path);
    if (found.isSymbolicLink()) continue;
    await chmod(path, found.isDirectory() || (found.mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
}

/** Writes `names` of `folder` into a tar archive that depends on nothing but their content; packed by its last name. */
export async function tarOf(
  file: string,
  folder: string,
  names: readonly string[],
  date: number,
): Promise<void> {
  const order = ['--format=gnu', '--sort=name', '--owner=0', '--group=0', '--numeric-owner'];
  const packing = file.endsWith('.gz') ? ['--use-compress-program=gzip -n -6'] : [];
  await output('tar', [...order, `--mtime=@${date}`, ...packing, '-cf', file, '-C', folder, ...names]);
}
