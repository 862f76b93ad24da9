import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** `npm run fuzz [seconds]`: the property tests of every parser with many more runs than `npm test` makes. */
const root = join(import.meta.dirname, '..', '..');
const runs = process.argv[2] ?? '2000';
const result = spawnSync(process.execPath, [join(root, 'build', 'test', 'run.ts'), '.test.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, BTY_FUZZ_RUNS: runs },
});
process.exitCode = result.status ?? 1;
