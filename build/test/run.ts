import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { staticChecks } from '../check/static.ts';
import { testFiles } from './files.ts';
import { installNeeds } from './needs.ts';

/**
 * `npm test`: the static checks, then every `*.test.ts`. Arguments narrow the files by part of their path. The
 * last line is the total, alone; before it stand the failures and, with their reasons, the skipped tests.
 */
const root = join(import.meta.dirname, '..', '..');
const only = process.argv.slice(2);

// Hundreds of processes load the same modules: Node.js strips and compiles each once and keeps what it made.
process.env.NODE_COMPILE_CACHE ??= join(root, '.cache', 'compile');

interface Told {
  readonly title: string;
  readonly text: string;
}
const failed: Told[] = [];
const skipped: Told[] = [];
let passed = 0;

installNeeds();
if (only.length === 0) {
  for (const { title, complaint } of staticChecks()) {
    process.stdout.write(`${complaint === null ? 'ok  ' : 'FAIL'} ${title}\n`);
    if (complaint === null) passed++;
    else failed.push({ title, text: complaint });
  }
}

/** What starts virtual machines keeps one processor busy for minutes; */
const machines = /^(agent\/tests\/guest|build\/media\/tests|netboot\/tests\/pxe)\//;
/** what opens windows or makes a rack of simulated machines takes many processes. One of each runs at a time. */
const windows = /^(app\/tests\/(?!lab(?!window))|netboot\/tests\/sim\/)/;

interface TestEvent {
  readonly name: string;
  readonly file?: string;
  readonly nesting: number;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details: { readonly type?: string; readonly duration_ms?: number; readonly error?: Error };
}
const place = (test: TestEvent) => `${test.file ? relative(root, test.file) : ''}: ${test.name}`;

async function runFiles(files: readonly string[], concurrency: number): Promise<void> {
  if (files.length === 0) return;
  const stream = run({
    files: files.map((name) => join(root, name)),
    concurrency,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    // Only what hangs lasts so long, also on a machine that is many times slower.
    timeout: 3 * 3_600_000,
  });
  stream.on('test:pass', (test: TestEvent) => {
    if (test.details.type === 'suite') return;
    const reason = typeof test.skip === 'string' ? test.skip : 'no reason given';
    if (test.skip !== undefined && test.skip !== false) skipped.push({ title: place(test), text: reason });
    else passed++;
  });
  stream.on('test:fail', (test: TestEvent) => {
    if (test.details.type === 'suite') return;
    const cause = test.details.error?.cause;
    const text =
      cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? test.details.error);
    failed.push({ title: place(test), text });
    process.stdout.write(`FAIL ${place(test)}\n${text}\n`);
  });
  stream.on('test:stderr', ({ message }: { message: string }) => process.stderr.write(message));
  stream.on('test:complete', (test: TestEvent) => {
    const seconds = (test.details.duration_ms ?? 0) / 1000;
    if (test.nesting === 0 && seconds > 10)
      process.stdout.write(`slow ${seconds.toFixed(0)} s  ${place(test)}\n`);
  });
  stream.resume();
  await new Promise((resolve) => stream.once('end', resolve));
}

const began = performance.now();
const files = testFiles(root, only);
const heavy = [machines, windows];
await runFiles(
  files.filter((name) => !heavy.some((kind) => kind.test(name))),
  Math.max(1, Math.min(2, availableParallelism())),
);
await Promise.all(
  heavy.map((kind) =>
    runFiles(
      files.filter((name) => kind.test(name)),
      1,
    ),
  ),
);

if (files.length === 0) failed.push({ title: 'no test file matches', text: only.join(' ') });
if (skipped.length > 0) process.stdout.write('\nSkipped:\n');
for (const { title, text } of skipped) process.stdout.write(`  ${title}: ${text}\n`);
if (failed.length > 0) process.stdout.write('\nFailed:\n');
for (const { title, text } of failed) process.stdout.write(`  ${title}\n${text.replaceAll(/^/gm, '    ')}\n`);
const seconds = ((performance.now() - began) / 1000).toFixed(0);
process.stdout.write(`\n${files.length} test files in ${seconds} s\n`);
process.stdout.write(`total: ${passed} passed, ${failed.length} failed, ${skipped.length} skipped\n`);
process.exitCode = failed.length > 0 ? 1 : 0;
