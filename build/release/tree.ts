/** The programs with a runtime of their own, as a tree: what the Debian package, the tarball and the container hold. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from '../live/command.ts';
import { layBundle, mainFile } from '../pack/bundle.ts';
import { type Architecture, runtimeOf } from '../pack/foreign.ts';
import { programs } from '../pack/programs.ts';
import { root, version } from './version.ts';

export interface TreeOptions {
  /** Folder that gets `lib/bty` and `bin`. */
  readonly to: string;
  readonly architecture: Architecture;
  readonly only?: readonly string[];
}

/** Lays `lib/bty` (runtime and bundle) and `bin` (the commands). */
export async function layTree({ to, architecture, only }: TreeOptions): Promise<void> {
  const lib = join(to, 'lib', 'bty');
  await mkdir(lib, { recursive: true });
  await layRuntime(join(lib, 'node'), architecture);
  await layBundle({ to: lib, version, architectures: [architecture], ...(only ? { only } : {}) });
  await cp(
    join(root, 'node_modules', `node-linux-${process.arch}`, 'LICENSE'),
    join(lib, 'LICENSE.node.txt'),
  ).catch(() => {});
  await mkdir(join(to, 'bin'), { recursive: true });
  for (const { name } of programs) {
    if (only && !only.includes(name)) continue;
    await writeFile(join(to, 'bin', name), command(name), { mode: 0o755 });
  }
}

/** Symbols for debuggers are a seventh of the runtime; only the tools of this machine's own architecture drop them. */
async function layRuntime(to: string, architecture: Architecture): Promise<void> {
  const from = await runtimeOf(architecture);
  if (architecture === process.arch) await output('strip', ['-o', to, from]);
  else await cp(from, to);
}

/**
 * A command finds its library beside the folder that it lies in, also through links. What runs as root opens no
 * debugger when it is sent SIGUSR1, and takes no options of Node.js from the environment of whoever starts it.
 */
const command = (name: string): string => `#!/bin/sh
unset NODE_OPTIONS NODE_PATH
lib=$(dirname -- "$(readlink -f -- "$0")")/../lib/bty
exec "$lib/node" --disable-sigusr1 --disable-warning=ExperimentalWarning "$lib/${mainFile(name)}" "$@"
`;
