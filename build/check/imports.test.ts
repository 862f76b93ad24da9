import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { judge, rules } from './imports.ts';

const root = join(import.meta.dirname, '..', '..');

for (const rule of rules) {
  test(`${rule.folder} imports only what it may`, () => {
    assert.deepEqual(judge(root, rule).broken, []);
  });
  test(`${rule.folder} has no permission that it does not use`, () => {
    assert.deepEqual(judge(root, rule).unused, []);
  });
}

test('every folder with source files has a rule', () => {
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !/^(\.|node_modules|dist|docs)/.test(entry.name))
    .map(({ name }) => name);
  // The app has a rule for each of its parts, and nothing beside them.
  const parts = readdirSync(join(root, 'app')).map((name) => `app/${name}`);
  const ruled = [...folders.filter((name) => name !== 'app'), ...parts];
  assert.deepEqual(ruled.sort(), rules.map(({ folder }) => folder).sort());
});

test('a forbidden import is found', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'bty-imports-'));
  context.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'shared'));
  const names = ['../agent/x.ts', 'node:fs', 'left'];
  writeFileSync(join(folder, 'shared', 'a.ts'), names.map((name) => `import '${name}';`).join('\n'));
  const rule = { folder: 'shared', folders: [], node: false, packages: [] };
  assert.equal(judge(folder, rule).broken.length, 3);
});
