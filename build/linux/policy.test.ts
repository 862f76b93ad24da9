import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import {
  applianceAction,
  applianceProgram,
  helperAction,
  helperProgram,
} from '../../shared/helper/elevation.ts';
import { policyText } from '../../shared/helper/policy.ts';

test('the action files are up to date (make them anew with: node build/linux/write.ts)', async () => {
  const written = (action: string) => readFile(new URL(`./${action}.policy`, import.meta.url), 'utf8');
  assert.equal(await written(helperAction), policyText(helperProgram));
  assert.equal(await written(applianceAction), policyText(applianceProgram, 'appliance'));
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
