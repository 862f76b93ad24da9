import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** Who may import whom. A folder answers one question, and processes meet only through `shared/`. */
export interface Rule {
  /** Folder the rule is for. */
  readonly folder: string;
  /** Folders of this repository that it may import, besides itself. */
  readonly folders: readonly string[];
  /** Whether it may use what Node.js brings along. */
  readonly node: boolean;
  /** Packages that it may import. */
  readonly packages: readonly string[];
}

export const rules: readonly Rule[] = [
  { folder: 'shared', folders: [], node: false, packages: ['typebox'] },
  {
    folder: 'agent',
    folders: ['shared'],
    node: true,
    packages: ['koffi', 'saxes', 'smol-toml', 'xxhash-wasm', 'xz-decompress', 'yauzl'],
  },
  {
    folder: 'netboot',
    folders: ['shared'],
    node: true,
    packages: [
      '@fastify/cookie',
      'fastify',
      'ipaddr.js',
      'koffi',
      'prom-client',
      'smol-toml',
      'ssh2',
      'typebox',
      'yaml',
    ],
  },
  { folder: 'app/main', folders: ['shared'], node: true, packages: ['electron', 'typebox'] },
  { folder: 'app/preload', folders: ['shared'], node: false, packages: ['electron'] },
  {
    folder: 'app/renderer',
    folders: ['shared'],
    node: false,
    packages: [
      '@tanstack/react-virtual',
      'i18next',
      'react',
      'react-aria-components',
      'react-dom',
      'react-i18next',
      'typebox',
      'uqr',
      'wouter',
      'zustand',
    ],
  },
  // What drives the packed app from outside builds it first.
  {
    folder: 'app/tests',
    folders: ['app/renderer', 'build', 'shared'],
    node: true,
    packages: ['axe-core', 'koffi', 'playwright-core'],
  },
  {
    folder: 'build',
    folders: ['agent', 'netboot', 'shared'],
    node: true,
    packages: ['@11ty/eleventy', 'electron', 'electron-builder', 'esbuild', 'postject', 'vite', 'yaml'],
  },
];
/** What tests may import besides: any folder's test helpers stay in their folder. */
const inTests = ['fast-check', 'tftp'];

export interface Import {
  readonly file: string;
  readonly specifier: string;
}

const pattern =
  /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*|\brequire\(\s*|\.resolve\(\s*|createRequire\([^)]*\)\(\s*)['"]([^'"\n]+)['"]/g;

/** Every import in the source files under `root`/`folder`. */
export function importsOf(root: string, folder: string): Import[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => /\.(ts|tsx|mjs)$/.test(name))
    .flatMap((name) => {
      const file = join(folder, name);
      const text = readFileSync(join(root, file), 'utf8');
      return [...text.matchAll(pattern)]
        .map((match) => ({ file, specifier: match[1] ?? '' }))
        .filter(({ specifier }) => !specifier.includes('${'));
    });
}

/** The folder that `path` lies in, as the rules name folders. */
function folderOf(path: string): string {
  const named = rules.find(({ folder }) => path.startsWith(`${folder}/`));
  return named?.folder ?? path.split('/')[0] ?? '';
}

/** Imports that break a rule, as sentences, and permissions that nobody uses. */
export function judge(root: string, rule: Rule): { broken: string[]; unused: string[] } {
  const used = new Set<string>();
  const broken: string[] = [];
  for (const { file, specifier } of importsOf(root, rule.folder)) {
    const isTest = /\.test\.ts$|(^|\/)(tests|testing)(\/|\.ts$)/.test(file);
    if (specifier.startsWith('.')) {
      const target = folderOf(relative(root, resolve(root, dirname(file), specifier)));
      if (target === rule.folder || target === 'package.json') continue;
      used.add(target);
      if (!rule.folders.includes(target))
        broken.push(`${file} imports ${specifier}: ${rule.folder} may not use ${target}`);
    } else if (specifier.startsWith('node:')) {
      if (!rule.node && !isTest)
        broken.push(`${file} imports ${specifier}: ${rule.folder} may not use Node.js`);
    } else {
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
      used.add(name);
      if (rule.packages.includes(name) || (isTest && inTests.includes(name))) continue;
      broken.push(`${file} imports ${specifier}, which is not among the packages of ${rule.folder}`);
    }
  }
  const unused = [...rule.folders, ...rule.packages].filter((name) => !used.has(name));
  return { broken, unused: unused.map((name) => `${rule.folder} may import ${name} and never does`) };
}
