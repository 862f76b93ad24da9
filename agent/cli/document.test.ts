import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { exitCodeOf, failureCodes } from '../../shared/failure.ts';
import { cliDocument } from './document.ts';
import { commandPaths, commandSpec, flagOf } from './grammar.ts';
import { exitCodes } from './help.ts';

test('docs/cli.md is up to date (make it anew with: node build/document.ts)', async () => {
  const written = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  assert.ok(written === cliDocument(), 'docs/cli.md differs from what build/document.ts makes');
});

test('the document names every command, option, exit code and failure', () => {
  const text = cliDocument();
  for (const path of commandPaths) {
    assert.ok(text.includes(`### \`bty ${path}\``), path);
    for (const key of Object.keys(commandSpec(path).options)) assert.ok(text.includes(flagOf(key)), key);
  }
  for (const name of failureCodes) {
    assert.ok(text.includes(`| \`${name}\` | ${exitCodeOf(name)} |`), name);
    assert.ok(Object.hasOwn(exitCodes, exitCodeOf(name)), name);
  }
  assert.doesNotMatch(text, /undefined|\[object|NaN/);
});
