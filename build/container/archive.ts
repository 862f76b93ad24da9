import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tarOf } from '../release/archive.ts';
import { sourceDate, version } from '../release/version.ts';
import type { Built } from './image.ts';
import { Layout } from './layout.ts';

/**
 * Packs an image's folder into one file that `podman load`, `docker load` and `skopeo` read: an OCI layout, and beside
 * it the list that Docker looks for.
 */
export async function packImage(to: string, folder: string, built: Built): Promise<void> {
  const list = [
    {
      Config: Layout.path(built.config),
      RepoTags: [`bty-web:${version}`, 'bty-web:latest'],
      Layers: built.layers.map((layer) => Layout.path(layer)),
    },
  ];
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(list));
  const names = ['blobs', 'index.json', 'manifest.json', 'oci-layout'];
  await tarOf(`${to}.part`, folder, names, sourceDate());
  await rename(`${to}.part`, to);
}
