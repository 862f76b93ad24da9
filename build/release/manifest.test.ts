import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cutChangelog } from './manifest.ts';
import { root, sourceDate, version } from './version.ts';

test('what is unreleased becomes the version, and the next changes find their heading', () => {
  const text = '# Changelog\n\n## Unreleased\n\n- New.\n\n## 0.1.0 (2020-01-01)\n\n- Old.\n';
  const { whole, part } = cutChangelog(text, '0.2.0', '2026-01-02');
  assert.equal(part, '## 0.2.0 (2026-01-02)\n\n- New.\n');
  assert.equal(
    whole,
    '# Changelog\n\n## Unreleased\n\n## 0.2.0 (2026-01-02)\n\n- New.\n\n## 0.1.0 (2020-01-01)\n\n- Old.\n',
  );
  // Cut again without anything new, it stays as it is.
  assert.deepEqual(cutChangelog(whole, '0.2.0', '2027-01-01').whole, whole);
});

test('a version without changes, or with those of another, is refused', () => {
  assert.throws(() => cutChangelog('# Changelog\n', '1.0.0', ''), /nothing under "Unreleased"/);
  const twice = '# Changelog\n\n## Unreleased\n\n- New.\n\n## 1.0.0 (2020-01-01)\n\n- Old.\n';
  assert.throws(() => cutChangelog(twice, '1.0.0', ''), /has 1\.0\.0 already/);
});

test('the changelog of this checkout can be cut for its version', () => {
  const text = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  assert.match(cutChangelog(text, version, '2026-01-02').part, new RegExp(`^## ${version} `));
});

test('the date of an archive is the one that was told, and never now', () => {
  assert.equal(sourceDate({ SOURCE_DATE_EPOCH: '86400' }), 86_400);
  assert.ok(sourceDate({}) <= Date.now() / 1000);
});
