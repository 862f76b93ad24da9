import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { assetPrefix } from '../../netboot/http/pages.ts';
import { bundlePages } from './bundle.ts';

/**
 * Builds the pages into `folder` and answers what of them goes into an executable: paths of files by the names that
 * they have in it. What there is under gzip goes in only so.
 */
export async function pageAssets(folder: string): Promise<Readonly<Record<string, string>>> {
  await bundlePages(folder);
  const names = await readdir(folder, { recursive: true });
  const packed = new Set(names);
  const assets: Record<string, string> = {};
  for (const name of names) {
    if (packed.has(`${name}.gz`) || !(await stat(join(folder, name))).isFile()) continue;
    assets[`${assetPrefix}${name}`] = join(folder, name);
  }
  return assets;
}
