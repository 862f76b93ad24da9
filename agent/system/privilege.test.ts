import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { test } from 'node:test';
import { accountOf, receiveDescriptor, sendDescriptor, socketPair } from './privilege.ts';

const skip = process.platform !== 'linux' && 'is about Linux';

test('a descriptor that is sent over a socket opens the same file', { skip }, () => {
  const [here, there] = socketPair('messages');
  const sent = openSync(import.meta.filename, 'r');
  sendDescriptor(here, sent, 7);
  closeSync(sent);
  const { descriptor, byte } = receiveDescriptor(there);
  assert.equal(byte, 7);
  assert.equal(fstatSync(descriptor).ino, statSync(import.meta.filename).ino);
  assert.match(readFileSync(descriptor, 'utf8'), /opens the same file/);
  const flags = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8');
  assert.match(flags, /flags:\s+0?2\d{6}/, 'children do not inherit it');
  closeSync(descriptor);
  assert.throws(() => receiveDescriptor(there), { code: 'EAGAIN' });
  closeSync(here);
  assert.throws(() => receiveDescriptor(there), { code: 'EPROTO' }, 'nothing comes of a closed socket');
  closeSync(there);
});

test('the account of a user is found, and of no user none', { skip }, () => {
  const { uid, gid, username, homedir } = userInfo();
  assert.deepEqual(accountOf(uid), { name: username, uid, gid, home: homedir });
  assert.equal(accountOf(3_999_999_999), null);
});
