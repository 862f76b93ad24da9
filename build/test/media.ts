import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { testFiles } from './files.ts';
import { installNeeds } from './needs.ts';

/** `npm run test:media`: builds and boots all media, also in the ways that `npm test` leaves out, and a whole release. */
const root = join(import.meta.dirname, '..', '..');
const only = process.argv.slice(2);

installNeeds();
const files = testFiles(root, [
  join('build', 'media'),
  join('build', 'container', 'tests', 'foreign'),
  join('build', 'release', 'tests', 'whole'),
]).map((name) => join(root, name));
const pattern = only.length === 0 ? [] : [`--test-name-pattern=${only.join(' ')}`];
const { status } = spawnSync(
  process.execPath,
  // One machine after another, for the sake of the clocks.
  ['--disable-warning=ExperimentalWarning', '--test', '--test-concurrency=1', ...pattern, ...files],
  { stdio: 'inherit', env: { ...process.env, BTY_MEDIA: 'all' } },
);
process.exitCode = status ?? 1;
