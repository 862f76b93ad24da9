import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { helperAction, helperProgram } from '../../shared/helper/elevation.ts';
import { policyText } from '../../shared/helper/policy.ts';

test('the action file is up to date (make it anew with: node build/linux/write.ts)', async () => {
  const written = await readFile(new URL(`./${helperAction}.policy`, import.meta.url), 'utf8');
  assert.equal(written, policyText(helperProgram));
});

test('a path that could end the XML element, or that pkexec resolves to another, is refused', () => {
  for (const path of [
    'bty',
    '/opt/a b/bty',
    '/opt/<x>/bty',
    '/opt/../bty',
    '/opt/./bty',
    '/opt/bty/',
    '//opt/bty',
    '',
  ])
    assert.throws(() => policyText(path), path);
  assert.match(policyText('/opt/bty/resources/bin/bty'), />\/opt\/bty\/resources\/bin\/bty</);
});
