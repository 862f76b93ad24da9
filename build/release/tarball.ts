import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Architecture } from '../pack/foreign.ts';
import { settleModes, tarOf } from './archive.ts';
import { layTree } from './tree.ts';
import { root, sourceDate, version } from './version.ts';

/** Packs everything that the commands need into the file `to`, below one folder: unpack it anywhere and run `bin/bty`. */
export async function packTarball(to: string, architecture: Architecture): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'bty-tarball-'));
  try {
    const name = `bty-${version}`;
    const folder = join(work, name);
    await layTree({ to: folder, architecture });
    for (const file of ['LICENSE', 'CHANGELOG.md', 'README.md', 'docs', join('build', 'systemd')])
      await cp(join(root, file), join(folder, file.replace('build/', '')), {
        recursive: true,
        filter: (path) => !path.includes('/screens'),
      });
    await settleModes(folder);
    await tarOf(to, work, [name], sourceDate());
  } finally {
    await rm(work, { recursive: true });
  }
}
