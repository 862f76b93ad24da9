import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LiveFindings } from './live.ts';
import { liveMarkdown, liveSection, liveText, withLive } from './livereport.ts';
import { ratio, spread } from './statistics.ts';

const faced = (ours: readonly number[], theirs: readonly number[]) => {
  return { ours: spread(ours), theirs: spread(theirs), ratio: ratio(ours, theirs) };
};
const findings = (boot: number, flash: number): LiveFindings => ({
  date: '2026-01-02',
  rounds: 3,
  imageBytes: 256 << 20,
  storedBytes: 64 << 20,
  boot: faced([boot, boot + 1, boot + 2], [4, 4, 4]),
  flash: faced([flash], [10e6]),
  together: null,
  stages: [{ name: 'writing', seconds: spread([1, 2, 3]) }],
});

test('each row is judged by its bar: seconds from above, rates from below', () => {
  assert.match(liveText(findings(9, 9e6)), /first request.* 2\.50 .*ok\nflash.* 0\.90 .*ok/);
  assert.match(liveText(findings(10, 8.9e6)), /first request.* 2\.75 .*OVER\nflash.* 0\.89 .*OVER/);
});

test('the section of the live system replaces the one that was there, and no other', () => {
  const before = '# Performance\n\nText.\n\n## Last run\n\nRows.\n\n## Repeating it\n\nCommands.\n';
  const once = withLive(before, liveMarkdown(findings(9, 9e6)));
  assert.match(once, /Rows\.\n\n## The live system\n[^#]*\n\n## Repeating it\n\nCommands\.\n$/);
  const twice = withLive(once, liveMarkdown(findings(5, 9e6)));
  assert.equal(twice.match(/## The live system/g)?.length, 1);
  assert.match(twice, /6\.00 s \[5\.00-7\.00\]/);
  assert.equal(withLive(before, liveSection(twice)), twice);
  assert.equal(withLive(before, liveSection(before)), before);
});
