import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** What a release is made of, and what its files must be: SHA256SUMS and a bill of materials (CycloneDX 1.5). */

export async function checksums(files: readonly string[]): Promise<string> {
  const lines = await Promise.all(files.map(async (file) => `${await digestOf(file)}  ${basename(file)}`));
  return `${lines.join('\n')}\n`;
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
interface Lockfile {
  readonly version: string;
  readonly packages: Readonly<Record<string, Locked>>;
}

/** Packages whose code goes into the window; the lockfile calls them tools, because they are bundled. */
const bundled = ['i18next', 'react', 'react-aria-components', 'react-dom', 'react-i18next', 'zustand'];

/**
 * The bill of materials: the packages of the engine, the appliance and the windows, as the lockfile has them. `electron`
 * is the version of the one that is packed, null where none is.
 */
export async function billOfMaterials(root: string, electron: string | null): Promise<string> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lockfile;
  const names = new Set<string>();
  const own = Object.keys(lock.packages['']?.dependencies ?? {});
  for (const name of [...own, ...bundled]) gather(lock, name, names);
  const components = [...names]
    .sort()
    .map((name) => componentOf(name, lock.packages[`node_modules/${name}`] ?? {}));
  const runtimes = [
    ...(electron === null
      ? []
      : [{ type: 'framework', name: 'electron', version: electron, licenses: [{ license: { id: 'MIT' } }] }]),
    {
      type: 'platform',
      name: 'node',
      version: process.versions.node,
      licenses: [{ license: { id: 'MIT' } }],
    },
  ];
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: { type: 'application', name: 'bty', version: lock.version } },
    components: [...runtimes, ...components],
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

function gather(lock: Lockfile, name: string, into: Set<string>): void {
  const found = lock.packages[`node_modules/${name}`];
  if (!found || into.has(name)) return;
  into.add(name);
  for (const next of Object.keys({ ...found.dependencies, ...found.optionalDependencies }))
    gather(lock, next, into);
}

function componentOf(name: string, { version = '', license, integrity }: Locked) {
  const [kind, digest] = integrity?.split('-') ?? [];
  return {
    type: 'library',
    name,
    version,
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    ...(license ? { licenses: [{ expression: license }] } : {}),
    ...(kind === 'sha512' && digest
      ? { hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }] }
      : {}),
  };
}
