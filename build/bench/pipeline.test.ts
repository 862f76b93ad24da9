import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Command, measure } from './pipeline.ts';

const skip = process.platform === 'linux' ? false : 'needs /proc of Linux';
const script = (text: string): Command => [process.execPath, '-e', text];

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'bty-bench-test-'));
  context.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('bytes pass through a pipeline of programs to its end', { skip }, async (context) => {
  const place = folder(context);
  const [from, to] = [join(place, 'from'), join(place, 'to')];
  const bytes = Buffer.alloc(3_000_001, 'all of it ');
  writeFileSync(from, bytes);
  await measure([[['cat', from], ['cat'], ['dd', `of=${to}`, 'bs=64k', 'status=none']]]);
  assert.ok(readFileSync(to).equals(bytes));
});

test('CPU time of a child of a child and of every part of the work is counted', { skip }, async () => {
  const busy = 'const end = process.cpuUsage().user + 150000; while (process.cpuUsage().user < end);';
  const nested = `require('node:child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(busy)}])`;
  const { cpu, wall } = await measure([[script(nested)], [script(busy)]]);
  assert.ok(cpu >= 0.29, `${cpu} s`);
  assert.ok(wall > 0.29, `${wall} s`);
});

test('memory of programs that run at once is added up', { skip }, async (context) => {
  // Each holds its memory for a while after both of them have theirs: the second until the first has ended.
  const both = join(folder(context), 'both');
  const first = script(
    `const b = Buffer.alloc(60e6, 1);
    const look = setInterval(() => {
      if (!require('node:fs').existsSync(${JSON.stringify(both)})) return;
      clearInterval(look);
      setTimeout(() => b[0], 1500);
    }, 10);`,
  );
  const second = script(
    `const b = Buffer.alloc(90e6, 1);
    require('node:fs').writeFileSync(${JSON.stringify(both)}, '');
    process.stdin.resume().on('end', () => b[0]);`,
  );
  const { peak } = await measure([[first, second]]);
  const alone = (await measure([[first]])).peak;
  assert.ok(alone >= 60e6, `${alone} bytes alone`);
  assert.ok(peak >= 150e6, `${peak} bytes together`);
});

test('a program that fails is named with its words', { skip }, async () => {
  const failing = script("console.error('no such luck'); process.exitCode = 3;");
  await assert.rejects(measure([[failing]]), /ended with 3: no such luck/);
  await assert.rejects(measure([[failing, ['cat']]]), /no such luck/);
  await assert.rejects(measure([[['/nonexistent/program']]]), /could not be started/);
});

test('an abort ends what runs and waits for it', { skip }, async () => {
  const controller = new AbortController();
  const forever: Command = ['sleep', '1000'];
  const running = measure([[forever, forever]], controller.signal);
  setImmediate(() => controller.abort(new Error('stopped by the test')));
  await assert.rejects(running, /stopped by the test/);
  await assert.rejects(measure([[forever]], controller.signal), /stopped by the test/);
});
