import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Whose work the appliance and its pages are made of, and under which licences. */
export interface Licence {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  /** The package's own text, null where it brings none. */
  readonly text: string | null;
}

/** Packages that are bundled into the appliance or its pages; others come with them. */
const roots = [
  '@fastify/cookie',
  '@tanstack/react-virtual',
  'fastify',
  'i18next',
  'ipaddr.js',
  'koffi',
  'prom-client',
  'react',
  'react-aria-components',
  'react-dom',
  'react-i18next',
  'smol-toml',
  'ssh2',
  'typebox',
  'uqr',
  'wouter',
  'yaml',
  'zustand',
];

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The packages of `roots` and all that they need, as the lockfile has them. */
export async function licences(root: string): Promise<readonly Licence[]> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const names = new Set<string>();
  const gather = (name: string): void => {
    const found = lock.packages[`node_modules/${name}`];
    if (!found || names.has(name)) return;
    names.add(name);
    for (const next of Object.keys(found.dependencies ?? {})) gather(next);
  };
  for (const name of roots) gather(name);
  return Promise.all(
    [...names].sort().map(async (name) => {
      const { version = '', license = 'unknown' } = lock.packages[`node_modules/${name}`] ?? {};
      return { name, version, licence: license, text: await textOf(join(root, 'node_modules', name)) };
    }),
  );
}

async function textOf(folder: string): Promise<string | null> {
  const names = await readdir(folder).catch(() => []);
  const found = names.find((name) => /^(licen[cs]e|copying)(\.(md|txt))?$/i.test(name));
  return found === undefined ? null : readFile(join(folder, found), 'utf8');
}
