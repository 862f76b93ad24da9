import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Comparison } from './groups.ts';
import { compare, costTable, markdownTable, type Row, textTable, timeTable } from './table.ts';

const comparison: Comparison = {
  work: '.zst',
  ours: 'bty',
  theirs: 'zstd -dc | dd',
  bar: 0.8,
  barMedium: 'disk',
  cpuBound: { hashed: 'zst' },
  memoryBar: 150 * 2 ** 20,
};
const usage = (wall: number, cpu = wall, peak = 100 * 2 ** 20) => ({ wall, cpu, peak });

function compared(row: Row) {
  assert.equal(row.kind, 'compared');
  return row.kind === 'compared' ? row : assert.fail();
}

test('a row keeps medians, ends, the largest memory and both ratios', () => {
  const ours = [usage(4, 5, 1e6), usage(2, 1, 3e6), usage(3, 3, 2e6)];
  const row = compared(compare(comparison, ours, [usage(8), usage(4), usage(4)], 'disk', 0.5));
  assert.deepEqual(row.ours, { name: 'bty', wall: { median: 3, min: 2, max: 4 }, cpu: 3, peak: 3e6 });
  assert.deepEqual(row.ratio, { ofMedians: 0.75, ofRounds: 0.5 });
  assert.deepEqual(row.verdict, { time: true, cpu: { most: 4.5, kept: true }, memory: true });
});

test('a bar is kept at its very value and broken above it', () => {
  const at = (wall: number, cpu: number, peak: number) =>
    compared(compare(comparison, [usage(wall, cpu, peak)], [usage(10, 10)], 'disk', 1)).verdict;
  assert.deepEqual(at(8, 11, 150 * 2 ** 20), { time: true, cpu: { most: 11, kept: true }, memory: true });
  assert.deepEqual(at(8.01, 11.01, 150 * 2 ** 20 + 1), {
    time: false,
    cpu: { most: 11, kept: false },
    memory: false,
  });
});

test('on another medium than that of the bar nothing is judged', () => {
  const row = compare(comparison, [usage(99)], [usage(1)], 'tmpfs', 0);
  assert.equal(compared(row).verdict, null);
  assert.doesNotMatch(textTable(timeTable([row])) + textTable(costTable([row])), /ok|OVER/);
});

test('a comparison without finished rounds is skipped and says so', () => {
  const row = compare(comparison, [], [usage(1)], 'disk', 0);
  assert.deepEqual(timeTable([row])[1], ['.zst', 'skipped', 'zstd -dc | dd', 'no round was finished']);
  assert.equal(costTable([row]).length, 1);
});

test('columns of the text table stand under one another, and a long remark does not widen them', () => {
  const skipped: Row = { kind: 'skipped', comparison, reason: `dd ended with 1:\n${'x'.repeat(2000)}` };
  const rows = [compare(comparison, [usage(10)], [usage(1)], 'disk', 0), skipped];
  const [head = '', body = '', remark = ''] = textTable(timeTable(rows)).split('\n');
  assert.equal(head.indexOf('against'), body.indexOf('zstd -dc'));
  assert.equal(head.indexOf('against'), remark.indexOf('zstd -dc'));
  assert.match(body, /10\.00 \[10\.00-10\.00\] .* 10\.00 +10\.00 +0\.80 +OVER/);
  assert.ok(body.length < 120);
  assert.match(remark, /dd ended with 1: xxx+ \.\.\.$/);
  assert.ok(remark.length < 300);
});

test('Markdown tables have as many columns in every line and no bare bars in cells', () => {
  const skipped: Row = { kind: 'skipped', comparison, reason: 'needs zstd' };
  const rows = [compare(comparison, [usage(1)], [usage(2)], 'disk', 0), skipped];
  for (const table of [timeTable(rows), costTable(rows)]) {
    for (const line of markdownTable(table).split('\n')) {
      assert.equal(line.match(/(?<!\\)\|/g)?.length, (table[0]?.length ?? 0) + 1);
    }
  }
});
