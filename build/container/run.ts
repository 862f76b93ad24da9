/** `npm run media:container`: the appliance as a container image for each architecture, in dist/media. */
import { cp, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Architecture, architectures, debianName } from '../pack/foreign.ts';
import { root } from '../release/version.ts';
import { packImage } from './archive.ts';
import { buildImage } from './image.ts';

/** Name of the image's file; the same for every version, so that addresses stay. */
export const imageName = (architecture: Architecture): string =>
  `bty-container-${debianName(architecture)}.tar`;

/** Builds the images of `wanted` into the folder `to`, and says how large they are. */
export async function buildImages(to: string, wanted: readonly Architecture[]): Promise<void> {
  await mkdir(to, { recursive: true });
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  for (const architecture of wanted) {
    const work = await mkdtemp(join(to, '.container-'));
    try {
      const built = await buildImage(work, architecture);
      const file = join(to, imageName(architecture));
      await packImage(file, work, built);
      const sizes = built.layers.map(({ size }) => megabytes(size)).join(' + ');
      process.stdout.write(
        `${file}: ${megabytes((await stat(file)).size)} (layers ${sizes}), unpacked ${megabytes(built.unpacked)}\n`,
      );
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
}

if (import.meta.main) {
  const to = join(root, 'dist', 'media');
  const named = process.argv.slice(2);
  await buildImages(
    to,
    architectures.filter((one) => named.length === 0 || named.includes(debianName(one))),
  );
  for (const name of ['compose.yaml', 'bty-web.container', 'bty.volume'])
    await cp(join(import.meta.dirname, name), join(to, name));
}
