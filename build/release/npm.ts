/** The npm package with all commands: bundled, without dependencies, for the Node.js that is there. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { layBundle, mainFile } from '../pack/bundle.ts';
import { architectures } from '../pack/foreign.ts';
import { programs } from '../pack/programs.ts';
import { settleModes } from './archive.ts';
import { root, version } from './version.ts';

/** The oldest Node.js whose parts the programs use: its SQLite, its zstd, `process.execve`. */
export const oldestNode = 24;

/** Packs into the file `to` by `npm pack`. */
export async function packNpm(to: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'bty-npm-'));
  try {
    const folder = join(work, 'bty');
    await layBundle({ to: join(folder, 'lib'), version, architectures });
    await mkdir(join(folder, 'bin'));
    for (const { name } of programs)
      await writeFile(join(folder, 'bin', `${name}.cjs`), launcher(name), { mode: 0o755 });
    await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`);
    await writeFile(join(folder, 'README.md'), readme);
    for (const name of ['LICENSE', 'CHANGELOG.md']) await cp(join(root, name), join(folder, name));
    await settleModes(folder);
    const { stdout } = await promisify(execFile)(
      'npm',
      ['pack', '--silent', '--ignore-scripts', '--pack-destination', work],
      { cwd: folder },
    );
    await rename(join(work, stdout.trim()), to).catch(() => cp(join(work, stdout.trim()), to));
  } finally {
    await rm(work, { recursive: true });
  }
}

function manifest() {
  return {
    name: 'bty',
    version,
    description: 'Writes cooked system images onto disks, and proves what it wrote.',
    license: 'Apache-2.0',
    bin: Object.fromEntries(programs.map(({ name }) => [name, `bin/${name}.cjs`])),
    engines: { node: `>=${oldestNode}` },
    os: ['linux'],
    cpu: architectures,
    libc: ['glibc'],
  };
}

/** Runs on any Node.js, to say which one is needed; then it becomes the program, in the same process. */
const launcher = (name: string): string => `#!/usr/bin/env node
'use strict';
if (Number(process.versions.node.split('.')[0]) < ${oldestNode}) {
  process.stderr.write(
    '${name}: Node.js ${oldestNode} or newer is needed; this is ' + process.versions.node + '.\\n' +
      '${name}: Install a current Node.js, or the .deb or tarball of bty, which bring their own.\\n',
  );
  process.exit(4);
}
process.removeAllListeners('warning');
const path = require('node:path');
const main = path.join(path.dirname(__dirname), 'lib', '${mainFile(name)}');
const options = ['--disable-sigusr1', '--disable-warning=ExperimentalWarning'];
process.execve(process.execPath, [process.execPath, ...options, main, ...process.argv.slice(2)], process.env);
`;

const readme = `# bty

Writes cooked system images onto disks, and proves what it wrote. Commands: \`bty\` (flash from a terminal or a
script)${programs.some(({ name }) => name === 'bty-tui') ? ', `bty-tui` (choose and flash by keyboard)' : ''} and \`bty-web\` (the appliance from which machines boot and flash over the network).

    bty list disks
    bty flash --image debian.img.zst --target /dev/sdb --dry-run
    sudo "$(command -v bty)" flash --image debian.img.zst --target /dev/sdb --yes
    bty-web serve --state-dir ./state

Linux on x64 or arm64, Node.js ${oldestNode} or newer. \`--help\` of each command tells the rest.
`;
