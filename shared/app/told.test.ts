import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../failure.ts';
import { failureIn } from './told.ts';
import { failuresDe } from './toldde.ts';

const vanished = failure('DISK_VANISHED', { target: '/dev/sdb', offset: 4096, length: 512 }).report();

test('a failure is told in German with what it says of itself, and in English elsewhere', () => {
  const { message, advice } = failureIn('de', vanished);
  assert.equal(message, '/dev/sdb verschwand bei Byte 4.096: Er wurde gezogen oder verlor den Strom.');
  assert.match(advice, /Hub/);
  assert.equal(failureIn('en', vanished).message, vanished.message);
});

test('what has no German words, or not what they speak of, is told in English', () => {
  const rare = failure('BMAP_NOT_FOUND', { bmap: '/a' }).report();
  assert.deepEqual(failureIn('de', rare), { message: rare.message, advice: rare.advice });
  for (const details of [{}, { target: '' }, { target: '/dev/sdb' }, { offset: null, target: '/dev/sdb' }])
    assert.equal(failureIn('de', { ...vanished, details }).message, vanished.message);
});

test('every German sentence ends as one and holds no English left-overs', () => {
  for (const [code, words] of Object.entries(failuresDe)) {
    const message = words[0]((name) => `<${name}>`);
    assert.match(message, /[.>]$/, code);
    assert.match(words[1], /\.$/, code);
    assert.doesNotMatch(`${message} ${words[1]}`, /undefined|\b(the|and|again)\b/i, code);
  }
});
