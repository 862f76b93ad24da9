/** The agent as files beside one another: `bty.js`, its worker threads, the native module. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { workerEntry, workerNames } from '../../agent/system/worker.ts';

const root = join(import.meta.dirname, '..', '..');

export interface ProgramOptions {
  readonly version: string;
  /** Where the files are put on this machine, and where they will lie in the live system. */
  readonly to: string;
  readonly place: string;
  /** Entry files of further programs, by the name of their bundle. */
  readonly programs?: ReadonlyMap<string, string>;
}

/** Bundles the agent; resolves the files to copy, by their name in `place`. */
export async function bundleProgram(options: ProgramOptions): Promise<ReadonlyMap<string, string>> {
  await mkdir(options.to, { recursive: true });
  const entries = new Map([['bty.js', join(root, 'agent', 'main.ts')], ...(options.programs ?? [])]);
  for (const name of workerNames)
    entries.set(`${name}.worker.js`, join(root, 'agent', 'system', workerEntry(name)));
  const files = new Map<string, string>();
  for (const [name, entry] of entries) {
    const outfile = join(options.to, name);
    const { outputFiles } = await build({
      entryPoints: [entry],
      // The short names that a minifier gives depend on this path, so it is always the same and never written to.
      outfile: join(root, 'dist', 'bundle', name),
      write: false,
      absWorkingDir: root,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node24',
      minify: true,
      keepNames: true,
      legalComments: 'none',
      define: {
        BTY_VERSION: JSON.stringify(options.version),
        BTY_BUNDLE: JSON.stringify(options.place),
        'import.meta.url': 'bundledUrl',
      },
      banner: { js: 'const bundledUrl = require("node:url").pathToFileURL(__filename).href;' },
      logLevel: 'error',
    });
    await writeFile(outfile, outputFiles[0]?.contents ?? '');
    files.set(name, outfile);
  }
  return files;
}
