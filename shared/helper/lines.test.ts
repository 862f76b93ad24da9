import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Lines } from './lines.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('lines come out whole, however the bytes were cut', () => {
  const texts = fc.array(
    fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', '')),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(texts, fc.array(fc.nat(200), { maxLength: 10 }), (wanted, cuts) => {
      const all = bytes(wanted.map((line) => `${line}\n`).join(''));
      const lines = new Lines(10_000);
      const found: string[] = [];
      let start = 0;
      for (const cut of [...cuts, all.length]) {
        found.push(...lines.push(all.subarray(start, start + cut)));
        start += cut;
      }
      assert.deepEqual(found, wanted);
      assert.ok(!lines.open && !lines.broken);
    }),
  );
});

test('a line of the greatest length is taken, a longer one breaks the stream for good', () => {
  const lines = new Lines(4);
  assert.deepEqual(lines.push(bytes('abcd\nab')), ['abcd']);
  assert.ok(lines.open);
  assert.deepEqual(lines.push(bytes('cd')), []);
  assert.ok(!lines.broken);
  assert.deepEqual(lines.push(bytes('e')), []);
  assert.ok(lines.broken);
  assert.deepEqual(lines.push(bytes('\nok\n')), []);
});

test('bytes that are no UTF-8 break the stream, and what came before counts', () => {
  const lines = new Lines(100);
  assert.deepEqual(lines.push(Uint8Array.of(0x61, 0x0a, 0xff, 0x0a, 0x62, 0x0a)), ['a']);
  assert.ok(lines.broken);
});
