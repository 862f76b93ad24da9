import { join, relative } from 'node:path';
import { bundlePages } from './bundle.ts';
import { weigh } from './weigh.ts';

/** `npm run ui`: builds the pages of the appliance into dist/ui, where a bty-web of this checkout finds them. */
const root = join(import.meta.dirname, '..', '..');
const folder = join(root, 'dist', 'ui');
await bundlePages(folder);
const { first, all } = await weigh(folder);
const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`;
process.stdout.write(
  `${relative(root, folder)}: first load ${kilobytes(first)}, all ${kilobytes(all)} (gzip)\n`,
);
