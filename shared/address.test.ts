import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameOf, redacted } from './address.ts';

test('user names and passwords are taken out of what is shown', () => {
  assert.equal(redacted('https://me:secret@host/a@b'), 'https://host/a@b');
  assert.equal(redacted('HTTP://me:se@cret@host/'), 'HTTP://host/');
  assert.equal(redacted('https://host/a@b?x@y'), 'https://host/a@b?x@y');
  assert.equal(redacted('http://me:secret@[bad/'), 'http://[bad/');
  assert.equal(redacted('http:\\\\me:secret@host/'), 'http:\\\\host/');
});

test('the name is the last path segment, decoded and harmless, else the host', () => {
  const name = (url: string) => nameOf(new URL(url));
  assert.equal(name('http://host/a/disk%20one.img.xz?x=y#z'), 'disk one.img.xz');
  assert.equal(name('http://host/a/disk.img/'), 'disk.img');
  assert.equal(name('http://host/'), 'host');
  assert.equal(name('http://host/%2e%2e%2fetc%2fpasswd'), '..etcpasswd');
  assert.equal(name('http://host/..%2f'), 'host');
  assert.equal(name('http://host/a%1b%5b31mb%0a.img'), 'a[31mb.img');
  assert.equal(name('http://host/100%.img'), '100%.img');
});
