import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeGuesses, Lockout } from './lockout.ts';

function locked(address: string, now: number): Lockout {
  const lockout = new Lockout();
  for (let guess = 0; guess < freeGuesses; guess++) lockout.wrong(address, now);
  assert.equal(lockout.wait(address, now), 30_000);
  return lockout;
}

test('all addresses of an IPv6 /64 are one guesser, its neighbours are others', () => {
  const lockout = new Lockout();
  for (let guess = 1; guess <= freeGuesses; guess++) lockout.wrong(`2001:db8:0:1::${guess}`, 0);
  assert.equal(lockout.wait('2001:db8::1:ffff:ffff:ffff:ffff', 0), 30_000);
  assert.equal(lockout.wait('2001:db8:0:2::1', 0), 0);
  lockout.right('2001:0db8:0:1::99');
  assert.equal(lockout.wait('2001:db8:0:1::1', 0), 0);
});

test('an IPv4 address is counted alone, also when it comes mapped into IPv6', () => {
  const lockout = locked('10.0.0.5', 0);
  assert.equal(lockout.wait('::ffff:10.0.0.5', 0), 30_000);
  assert.equal(lockout.wait('10.0.0.6', 0), 0);
  assert.equal(lockout.wait('::ffff:10.0.0.6', 0), 0);
});

test('a clock that is put back does not lengthen a lock', () => {
  const year = 365 * 86_400_000;
  const lockout = locked('10.0.0.5', year);
  assert.equal(lockout.wait('10.0.0.5', 0), 30_000);
  assert.equal(lockout.wait('10.0.0.5', 20_000), 10_000);
  assert.equal(lockout.wait('10.0.0.5', 30_000), 0);
  // What was guessed before still counts.
  assert.equal(lockout.wrong('10.0.0.5', 30_000), 60_000);
});
