import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

test('a state directory that cannot be is told at once', () => {
  const main = join(import.meta.dirname, '..', 'main.ts');
  const flags = ['--state-dir', '/proc/nope/state', '--web-host', '127.0.0.1', '--web-port', '0'];
  const { signal, stderr } = spawnSync(process.execPath, [main, ...flags], {
    timeout: 300_000,
    encoding: 'utf8',
  });
  assert.equal(signal, null);
  assert.match(stderr, /\/proc\/nope\/state/);
});
