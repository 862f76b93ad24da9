import assert from 'node:assert/strict';
import { test } from 'node:test';
import { undecodable } from './words.ts';

const line =
  (...words: readonly (string | readonly number[])[]) =>
  () =>
    Buffer.concat(words.map((word) => Buffer.from([...Buffer.from(word as string), 0])));

test('a word is doubted only when its bytes are no UTF-8', () => {
  assert.equal(undecodable(['flash', 'a.img'], line([0xff])), null, 'nothing was replaced');
  assert.equal(undecodable(['\ufffd.img'], line('bty', '\ufffd.img')), null, 'a name that really has U+FFFD');
  assert.equal(undecodable(['\ufffd.img'], line('bty', [0x61, 0xff])), 'a\ufffd');
  assert.equal(
    undecodable(['\ufffd.img'], () => Buffer.alloc(0)),
    null,
    'a system that does not tell',
  );
});
