import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const modules = join(root, 'node_modules');
// The package of the platform itself: the one that chooses it asks for platforms that not every registry holds.
const biome = join(modules, '@biomejs', `cli-linux-${process.arch}`, 'biome');

export interface Checked {
  readonly title: string;
  /** What the tool printed when it found something, null when all is well. */
  readonly complaint: string | null;
}

/** The compiler and the linter over the whole tree; `write` lets the linter mend what it can. */
export function* staticChecks(write = false): Generator<Checked> {
  const tsc = join(modules, '.bin', 'tsc');
  yield run('the types fit (tsc)', tsc, ['-p', '.']);
  // What runs in a window knows a page and no Node.js.
  for (const part of ['preload', 'renderer']) {
    yield run(`the types of app/${part} fit (tsc)`, tsc, ['-p', join('app', part)]);
  }
  const mode = write ? '--write' : '--error-on-warnings';
  yield run('the code is formatted and free of lint (biome)', biome, ['check', mode, '.']);
}

function run(title: string, command: string, args: readonly string[]): Checked {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  return { title, complaint: status === 0 ? null : `${stdout ?? ''}${stderr ?? ''}${error ?? ''}` };
}

if (import.meta.main) {
  for (const { title, complaint } of staticChecks(process.argv.includes('--write'))) {
    process.stdout.write(complaint === null ? `ok   ${title}\n` : `FAIL ${title}\n${complaint}\n`);
    if (complaint !== null) process.exitCode = 1;
  }
}
