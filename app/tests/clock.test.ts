import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockText } from '../renderer/format.ts';

// Half an hour off, so that no other zone is meant by chance.
process.env.TZ = 'Asia/Kolkata';

test('the time of a line of a log or of a story is that of the computer it is read on', () => {
  const at = Date.parse('2026-11-23T20:04:05.067Z');
  assert.equal(clockText(at, 'en'), '01:34:05.067');
  assert.equal(clockText(at, 'de'), '01:34:05,067');
});
