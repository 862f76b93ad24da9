import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCalledTui } from './calledas.ts';

test('a link of the single executable is known by the name it was called by', () => {
  assert.equal(isCalledTui('bty-tui', [], true), true);
  assert.equal(isCalledTui('/usr/bin/bty-tui', [], true), true);
  assert.equal(isCalledTui('bty', [], true), false);
  assert.equal(isCalledTui('/opt/bty-tui/bty', [], true), false);
});

test('a checkout is known by its entry file', () => {
  assert.equal(isCalledTui('node', ['node', '/src/agent/bty-tui.ts'], false), true);
  assert.equal(isCalledTui('node', ['node', '/src/agent/main.ts'], false), false);
  assert.equal(isCalledTui('bty-tui', ['node', '/src/agent/main.ts'], false), false);
});
