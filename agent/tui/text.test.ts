import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesText, type Charset, cut, fit, shown, squeeze, tail, timeText, width, wrap } from './text.ts';

const any = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string());
const charsets = fc.constantFrom<Charset>('ascii', 'unicode');

test('whatever is cut, squeezed, filled or wrapped keeps within its columns', () => {
  fc.assert(
    fc.property(any, charsets, fc.nat(120), (raw, charset, columns) => {
      const text = shown(raw, charset);
      for (const make of [cut, squeeze, tail]) assert.ok(width(make(text, columns)) <= columns, make.name);
      assert.equal(width(fit(text, columns)), columns);
      assert.equal(width(fit(text, columns, 'right')), columns);
      for (const line of wrap(text, Math.max(2, columns))) assert.ok(width(line) <= Math.max(2, columns));
      assert.equal(wrap(text, Math.max(2, columns)).join('').replaceAll(' ', ''), text.replaceAll(' ', ''));
    }),
  );
});

test('nothing that a terminal obeys, hides or draws in unknown width gets through', () => {
  fc.assert(
    fc.property(any, charsets, (raw, charset) => {
      assert.doesNotMatch(
        shown(raw, charset),
        charset === 'ascii' ? /[^ -~]/ : /[\p{C}\p{M}\p{Emoji_Presentation}]/u,
      );
    }),
  );
  assert.equal(shown('Größe 日本', 'unicode'), 'Größe 日本');
  assert.equal(shown('Größe', 'ascii'), 'Gr\\u{f6}\\u{df}e');
  assert.equal(width('日本'), 4);
});

test('both ends of a long name are kept: they tell versions apart', () => {
  assert.equal(squeeze('debian-13-generic-amd64-20260101.img.zst', 30), 'debian-13-generi..0101.img.zst');
});

test('sizes and times', () => {
  assert.equal(bytesText(999), '999 B');
  assert.equal(bytesText(2e9), '2.0 GB');
  assert.equal(bytesText(275e9), '275 GB');
  assert.equal(timeText(3723), '1:02:03');
  assert.equal(timeText(42), '0:42');
});
