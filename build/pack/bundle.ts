/** The programs as files beside one another, for whoever brings a Node.js: npm, or the runtime that a package adds. */
import { rmSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { bundlePages } from '../ui/bundle.ts';
import { type Architecture, addonOf } from './foreign.ts';
import { type Program, programs } from './programs.ts';

const root = join(import.meta.dirname, '..', '..');

export interface BundleOptions {
  /** Folder for the files; made if needed. */
  readonly to: string;
  readonly version: string;
  /** Machines whose native module is added. */
  readonly architectures: readonly Architecture[];
  /** Programs by name; all unless given. */
  readonly only?: readonly string[];
}

/** File of a program in the folder of its bundle. */
export const mainFile = (name: string): string => `${name}.cjs`;

/**
 * Lays the bundle: `<program>.cjs`, `<name>.worker.js`, `koffi.<architecture>.node`, the pages of the
 * appliance in `ui`, and the notices of everything
 * that was bundled. The same sources give the same bytes wherever they are built.
 */
export async function layBundle({ to, version, architectures, only }: BundleOptions): Promise<void> {
  await mkdir(to, { recursive: true });
  const packages = new Set<string>(['koffi']);
  for (const program of programs) {
    if (only && !only.includes(program.name)) continue;
    for (const [file, entry] of filesOf(program)) {
      const { code, used } = await bundle(entry, file, version);
      await writeFile(join(to, file), code);
      for (const name of used) packages.add(name);
    }
    if (program.pages) await cp(await builtPages(), join(to, 'ui'), { recursive: true });
  }
  for (const architecture of architectures)
    await cp(await addonOf(architecture), join(to, `koffi.${architecture}.node`));
  await writeFile(join(to, 'NOTICES.txt'), await notices(packages));
}

let pages: Promise<string> | undefined;

/** The pages of the appliance, built once for all bundles of this process. */
function builtPages(): Promise<string> {
  pages ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bty-pages-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    await bundlePages(folder);
    return folder;
  })();
  return pages;
}

function filesOf({ name, entry, workers }: Program): [file: string, entry: string][] {
  const threads = Object.entries(workers).map(([worker, source]): [string, string] => [
    `${worker}.worker.js`,
    source,
  ]);
  return [[mainFile(name), entry], ...threads];
}

async function bundle(
  entry: string,
  file: string,
  version: string,
): Promise<{ readonly code: Uint8Array; readonly used: readonly string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(root, entry)],
    // The short names that a minifier gives depend on this path, so it is always the same and never written to.
    outfile: join(root, 'dist', 'bundle', file),
    write: false,
    metafile: true,
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    minify: true,
    keepNames: true,
    legalComments: 'none',
    // Native parts that some packages would like and do without.
    external: ['*.node'],
    define: {
      BTY_VERSION: JSON.stringify(version),
      BTY_BUNDLE: '__dirname',
      BTY_ADDON: 'packedAddon',
      'import.meta.url': 'bundledUrl',
      'import.meta.dirname': '__dirname',
    },
    banner: {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it stands in the bundle.
      js: 'const bundledUrl = require("node:url").pathToFileURL(__filename).href, packedAddon = `${__dirname}/koffi.${process.arch}.node`;',
    },
    logLevel: 'error',
  });
  return { code: outputFiles[0]?.contents ?? new Uint8Array(), used: packagesIn(metafile) };
}

/** Packages whose code is in a bundle. */
function packagesIn({ inputs }: Metafile): string[] {
  const names = Object.keys(inputs).flatMap((path) => {
    const parts = relative(root, join(root, path)).split(sep);
    const at = parts.lastIndexOf('node_modules');
    if (at === -1) return [];
    const name = parts.slice(at + 1, at + (parts[at + 1]?.startsWith('@') ? 3 : 2)).join('/');
    return [[...parts.slice(1, at + 1), name].join('/')];
  });
  return [...new Set(names)];
}

/** The licences under which the bundled packages are, which ask for their texts to go along. */
async function notices(packages: ReadonlySet<string>): Promise<string> {
  const parts = [
    'bty is bundled with the packages below. Each is under the licence that follows its name.\n',
  ];
  for (const name of [...packages].sort()) {
    const folder = join(root, 'node_modules', name);
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
      name: string;
      version: string;
      license?: string;
    };
    const files = (await readdir(folder)).filter((file) =>
      /^(licen[cs]e|copying|notice)([.-].*)?$/i.test(file),
    );
    const texts = await Promise.all(files.sort().map((file) => readFile(join(folder, file), 'utf8')));
    const title = `${manifest.name} ${manifest.version} (${manifest.license ?? 'see below'})`;
    parts.push(`${'='.repeat(100)}\n${title}\n\n${texts.map((text) => text.trim()).join('\n\n')}\n`);
  }
  return parts.join('\n');
}
