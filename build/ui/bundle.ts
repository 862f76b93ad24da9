import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { licences } from './licences.ts';

/** Bundles the pages that the appliance serves under /ui; its files are asked for below /static/. */
const root = join(import.meta.dirname, '..', '..');
/** Browsers of the last three years. */
const browsers = ['chrome114', 'firefox115', 'safari16.4'];

/** Writes index.html, its assets, and beside each text the same under gzip into `folder`, which is emptied before. */
export async function bundlePages(folder: string): Promise<void> {
  await build({
    configFile: false,
    root: join(root, 'app', 'renderer', 'lab'),
    base: '/static/',
    publicDir: false,
    logLevel: 'warn',
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: browsers,
      minify: true,
      // The policy of the page allows no inline script, and data: only for pictures.
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
      reportCompressedSize: false,
      chunkSizeWarningLimit: 1000,
    },
    oxc: { jsx: { runtime: 'automatic' } },
  });
  await writeFile(join(folder, 'licences.json'), JSON.stringify(await licences(root)));
  await pack(folder);
}

async function pack(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    if (!/\.(css|html|js|json|svg)$/.test(name)) continue;
    const bytes = await readFile(join(folder, name));
    await writeFile(join(folder, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  }
}
