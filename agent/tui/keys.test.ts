import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Key, KeyReader } from './keys.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const named = (key: Key): string =>
  key.kind === 'named' ? key.name : key.kind === 'text' ? key.text : `${key.row};${key.column}`;
const read = (...pieces: readonly string[]): string[] => {
  const reader = new KeyReader();
  return [...pieces.flatMap((piece) => reader.feed(bytes(piece))), ...reader.flush()].map(named);
};

test('keys of xterm, the VT220 and the Linux console', () => {
  assert.deepEqual(read('\u001b[A\u001bOB\u001b[5~\u001b[6~\u001b[1~\u001b[4~\u001b[H\u001bOF\u001b[Z'), [
    ...['up', 'down', 'page-up', 'page-down', 'home', 'end', 'home', 'end', 'back-tab'],
  ]);
  assert.deepEqual(read('\r\n\t\u007f\b\u0003\u000c\u0015q/'), [
    ...['enter', 'enter', 'tab', 'backspace', 'backspace', 'ctrl-c', 'ctrl-l', 'ctrl-u', 'q', '/'],
  ]);
  assert.deepEqual(read('\u001b[[A\u001b[15~\u001b[1;5Cx'), ['right', 'x'], 'function keys mean nothing');
});

test('a lone ESC is a key when nothing follows it, and what follows in time is not lost', () => {
  assert.deepEqual(read('\u001b'), ['escape']);
  assert.deepEqual(read('\u001b', '[', 'A'), ['up']);
  assert.deepEqual(read('\u001b\u001b[B'), ['escape', 'down']);
  assert.deepEqual(read('\u001bq'), ['escape', 'q'], 'on a slow line they come together');
  assert.deepEqual(read('\u001b[', '1;'), [], 'a sequence that never ends is none');
});

test('letters of any alphabet come whole, also in pieces; what is no text is none', () => {
  const reader = new KeyReader();
  const [one = 0, two = 0] = bytes('é');
  assert.deepEqual(reader.feed(Uint8Array.of(one)), []);
  assert.deepEqual(reader.feed(Uint8Array.of(two)).map(named), ['é']);
  assert.deepEqual(new KeyReader().feed(Uint8Array.of(0xff, 0x61)).map(named), ['a']);
});

test('the terminal says where its corner is', () => {
  assert.deepEqual(read('\u001b[24;80R'), ['24;80']);
  assert.deepEqual(read('\u001b[99999;1R'), []);
});

test('no bytes make it throw or keep more than a sequence', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }), (pieces) => {
      const reader = new KeyReader();
      for (const piece of pieces) reader.feed(piece);
      reader.flush();
      assert.equal(reader.waiting, false);
      assert.deepEqual(reader.feed(bytes('q')).map(named).at(-1), 'q');
    }),
  );
});

test('text that is cut into any pieces gives the same keys', () => {
  const sequences = fc.array(
    fc.constantFrom('\u001b[A', '\u001b[6~', 'x', 'ü', '\r', '\u001bOD', '\u001b[Z'),
  );
  fc.assert(
    fc.property(sequences, fc.array(fc.nat(60)), (parts, cuts) => {
      const all = bytes(parts.join(''));
      const at = [...new Set([0, ...cuts.filter((cut) => cut < all.length), all.length])].sort(
        (a, b) => a - b,
      );
      const reader = new KeyReader();
      const keys = at.slice(1).flatMap((end, index) => reader.feed(all.subarray(at[index], end)));
      assert.deepEqual(keys.map(named), read(parts.join('')));
    }),
  );
});
