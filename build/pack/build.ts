import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { pageAssets } from '../ui/assets.ts';
import { type Program, programs } from './programs.ts';

/**
 * Makes the executables of `dist/bin`: each is one file that holds Node.js, the bundled program, its worker threads
 * and the native module, so that it runs on a machine without this checkout. Arguments narrow them by name.
 */
const root = join(import.meta.dirname, '..', '..');
const bin = join(root, 'dist', 'bin');
mkdirSync(bin, { recursive: true });
const work = mkdtempSync(join(root, 'dist', 'work-'));
const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
/** What the single executable looks for to find its blob (Node.js documentation, single executable applications). */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    minify: true,
    keepNames: true,
    legalComments: 'none',
    // ssh2 goes without: it only asks which of two ciphers is the faster one here.
    external: ['cpu-features'],
    define: { BTY_VERSION: JSON.stringify(version), 'import.meta.url': 'bundledUrl' },
    // Bundled files have no place of their own; nothing that runs in the executable reads relative to one.
    banner: { js: 'const bundledUrl = require("node:url").pathToFileURL(process.execPath).href;' },
    logLevel: 'error',
  });
}

/**
 * A program that runs as root opens no debugger when it is sent SIGUSR1, and takes no options of Node.js from the
 * environment of whoever starts it.
 */
const closed = { execArgv: ['--disable-sigusr1'], execArgvExtension: 'none' };

/** A second name costs nothing: both are the same file, also in archives. */
function link(name: string, twin: string): void {
  linkSync(join(bin, twin), join(work, name));
  renameSync(join(work, name), join(bin, name));
  process.stdout.write(`dist/bin/${name}: another name of ${twin}\n`);
}

async function executable({ name, entry, workers, pages }: Program): Promise<void> {
  const main = join(work, `${name}.js`);
  await bundle(join(root, entry), main);
  const assets: Record<string, string> = { 'koffi.node': nativeModule() };
  for (const [worker, source] of Object.entries(workers)) {
    const outfile = join(work, `${name}.${worker}.worker.js`);
    await bundle(join(root, source), outfile);
    assets[`${worker}.worker.js`] = outfile;
  }
  if (pages) Object.assign(assets, await pageAssets(join(root, 'dist', 'ui')));
  const blob = join(work, `${name}.blob`);
  const config = join(work, `${name}.sea.json`);
  const settings = {
    main,
    output: blob,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    assets,
    ...closed,
  };
  writeFileSync(config, JSON.stringify(settings));
  execFileSync(process.execPath, ['--experimental-sea-config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });

  const target = join(work, name);
  copyFileSync(process.execPath, target);
  chmodSync(target, 0o755);
  inject(target, blob);
  // Whoever runs the program meanwhile has the old one or the new one, never a part.
  renameSync(target, join(bin, name));
  const size = (statSync(join(bin, name)).size / 1e6).toFixed(0);
  process.stdout.write(`dist/bin/${name}: ${size} MB, bty ${version}\n`);
}

/** Its tool prints warnings about ELF sections that mean nothing here, so it is heard only when it fails. */
function inject(target: string, blob: string): void {
  const tool = createRequire(import.meta.url).resolve('postject/dist/cli.js');
  const args = [tool, target, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', fuse];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`postject failed: ${stdout}${stderr}`);
}

function nativeModule(): string {
  const platform = `${process.platform}-${process.arch}`;
  const found = createRequire(import.meta.url).resolve(`@koromix/koffi-${platform}`);
  return join(dirname(found), `${process.platform}_${process.arch}`, 'koffi.node');
}

try {
  const wanted = process.argv.slice(2);
  for (const program of programs) {
    const { name, twin } = program;
    if (wanted.length > 0 && !wanted.includes(name) && !(twin !== undefined && wanted.includes(twin)))
      continue;
    if (twin === undefined) await executable(program);
    else link(name, twin);
  }
} finally {
  rmSync(work, { recursive: true });
}
