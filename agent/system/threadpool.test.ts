import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poolSize } from './threadpool.ts';

test('the pool has a thread for each write of each disk, and no more than that', () => {
  assert.equal(poolSize(['list', 'disks']), 8);
  assert.equal(poolSize(['flash', '--image', 'a.img', '--target', '/dev/sdx']), 16);
  assert.equal(poolSize(['flash', '--target=/dev/sdx', '--virtual-disk=a', '--virtual-disk', 'b']), 32);
  assert.equal(poolSize(['flash', ...Array.from({ length: 20 }, () => '--target=/dev/sdx')]), 64);
});

test('programs that are told later what to flash have the whole pool', () => {
  assert.equal(poolSize(['helper']), 64);
  assert.equal(poolSize(['agent', '--server', 'http://example.org']), 64);
});
