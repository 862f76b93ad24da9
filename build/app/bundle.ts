import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build as bundle } from 'esbuild';
import { build as bundlePage } from 'vite';

/** Bundles the three programs of the app. Main and preload are CommonJS, because Electron before 28 takes nothing else. */
const root = join(import.meta.dirname, '..', '..');
/** What the oldest Electron that the app runs on has. */
const targets = { node: 'node18', page: 'chrome114' } as const;

export interface BundleOptions {
  readonly folder: string;
  readonly minify: boolean;
}

/** Writes main.cjs, preload.cjs and the folder `renderer` into `folder`. */
export async function bundleApp({ folder, minify }: BundleOptions): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const common = {
    bundle: true,
    format: 'cjs',
    external: ['electron'],
    minify,
    legalComments: 'none',
  } as const;
  await Promise.all([
    bundle({
      ...common,
      entryPoints: [join(root, 'app', 'main', 'main.ts')],
      outfile: join(folder, 'main.cjs'),
      platform: 'node',
      external: ['electron'],
      target: targets.node,
      logLevel: 'error',
    }),
    bundle({
      ...common,
      entryPoints: [join(root, 'app', 'preload', 'preload.ts')],
      outfile: join(folder, 'preload.cjs'),
      platform: 'node',
      external: ['electron'],
      target: targets.page,
      logLevel: 'error',
    }),
    bundlePage({
      configFile: false,
      root: join(root, 'app', 'renderer'),
      base: './',
      publicDir: join(root, 'build', 'app', 'public'),
      logLevel: 'warn',
      build: {
        outDir: join(folder, 'renderer'),
        emptyOutDir: true,
        target: targets.page,
        minify,
        modulePreload: false,
        reportCompressedSize: false,
        chunkSizeWarningLimit: 2000,
      },
      oxc: { jsx: { runtime: 'automatic' } },
    }),
  ]);
}
