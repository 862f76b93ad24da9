import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { testFiles } from './files.ts';

/**
 * `npm run fuzz -- [minutes] [part of a path ...]`: runs the files with property tests again and again until the
 * time (5 minutes unless given) is up. Every run of fast-check draws a new seed; a failure prints its seed, the path
 * to the smallest counter-example and the example itself, and ends the run.
 *
 * `npm run fuzz -- packets [how many]`: so many mutated packets (ten million unless given) through each codec and its
 * decisions, once.
 */
const root = join(import.meta.dirname, '..', '..');
const [minutes = '5', ...only] = process.argv.slice(2);
if (minutes === 'packets') {
  const env = { ...process.env, BTY_FUZZ_PACKETS: only[0] ?? '10000000' };
  const names = testFiles(root, []).filter((name) =>
    readFileSync(join(root, name), 'utf8').includes('BTY_FUZZ_PACKETS'),
  );
  const args = ['--disable-warning=ExperimentalWarning', '--test', '--test-concurrency=1'];
  const files = [...args, ...names.map((name) => join(root, name))];
  process.exit(spawnSync(process.execPath, files, { cwd: root, env, stdio: 'inherit' }).status ?? 1);
}
const until = performance.now() + Number(minutes) * 60_000;
const files = testFiles(root, only).filter((name) =>
  readFileSync(join(root, name), 'utf8').includes('fast-check'),
);
const runs = new Map<string, number>();
let failed = 0;

if (files.length === 0 || !Number.isFinite(until)) {
  process.stderr.write(
    'usage: npm run fuzz -- [minutes] [part of a path ...]\n       npm run fuzz -- packets [how many]\n',
  );
  process.exit(2);
}
for (let turn = 0; failed === 0 && performance.now() < until; turn++) {
  const name = files[turn % files.length] ?? '';
  const args = ['--disable-warning=ExperimentalWarning', '--test', join(root, name)];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  runs.set(name, (runs.get(name) ?? 0) + 1);
  if (status === 0) continue;
  failed++;
  process.stdout.write(stdout);
}
for (const [name, count] of runs) process.stdout.write(`${count} runs  ${name}\n`);
const total = [...runs.values()].reduce((sum, count) => sum + count, 0);
process.stdout.write(`total: ${total - failed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
