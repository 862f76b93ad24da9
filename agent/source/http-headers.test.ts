import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contentLength, parseContentRange, retryAfter, sameVersion, versionOf } from './http-headers.ts';

test('Content-Range says which part of how much', () => {
  assert.deepEqual(parseContentRange('bytes 0-9/100'), { kind: 'part', start: 0, end: 10, total: 100 });
  assert.deepEqual(parseContentRange('bytes 5-9/*'), { kind: 'part', start: 5, end: 10, total: null });
  assert.deepEqual(parseContentRange('bytes */100'), { kind: 'unsatisfied', total: 100 });
  for (const wrong of [
    undefined,
    '',
    'bytes 9-5/100',
    'bytes 0-100/100',
    'bytes 0-9',
    'items 0-9/10',
    'bytes -1-9/10',
    `bytes 0-${'9'.repeat(16)}/*`,
  ]) {
    assert.equal(parseContentRange(wrong), null, wrong);
  }
  fc.assert(fc.property(fc.string(), (text) => void parseContentRange(text)));
  assert.equal(contentLength({ 'content-length': '12' }), 12);
  assert.equal(contentLength({ 'content-length': '-12' }), null);
});

test('only strong validators are made conditions', () => {
  const date = 'Mon, 23 Nov 2026 10:00:00 GMT';
  const before = 'Mon, 23 Nov 2026 09:00:00 GMT';
  assert.equal(versionOf({ etag: '"a"', 'last-modified': before, date }).ifRange, '"a"');
  assert.equal(versionOf({ etag: 'W/"a"', 'last-modified': before, date }).ifRange, null);
  assert.equal(versionOf({ 'last-modified': before, date }).ifRange, before);
  assert.equal(versionOf({ 'last-modified': date, date }).ifRange, null);
  assert.equal(versionOf({ 'last-modified': before }).ifRange, null);
});

test('versions are the same when nothing that is known differs or is missing', () => {
  const known = versionOf({ etag: '"a"', 'last-modified': 'x' });
  assert.equal(sameVersion(known, versionOf({ etag: '"a"' }), false), true);
  assert.equal(sameVersion(known, versionOf({ etag: '"b"', 'last-modified': 'x' }), true), false);
  assert.equal(sameVersion(known, versionOf({ 'last-modified': 'x' }), false), true);
  assert.equal(sameVersion(known, versionOf({}), false), false);
  assert.equal(sameVersion(known, versionOf({}), true), true);
  assert.equal(sameVersion(versionOf({}), versionOf({}), false), true);
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-11-23T10:00:00Z');
  assert.equal(retryAfter({ 'retry-after': '7' }, now), 7000);
  assert.equal(retryAfter({ 'retry-after': 'Mon, 23 Nov 2026 10:00:05 GMT' }, now), 5000);
  assert.equal(retryAfter({ 'retry-after': 'Mon, 23 Nov 2026 09:00:05 GMT' }, now), 0);
  assert.equal(retryAfter({ 'retry-after': 'soon' }, now), null);
  assert.equal(retryAfter({}, now), null);
});
