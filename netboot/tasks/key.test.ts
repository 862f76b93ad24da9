import assert from 'node:assert/strict';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import { newKey } from './key.ts';

test('every key that is made is one that can be read, whatever its bytes', async () => {
  for (let count = 0; count < 1500; count++) {
    const key = ssh2.utils.parseKey(await newKey());
    if (key instanceof Error) throw key;
    assert.ok(key.isPrivateKey());
    // "ssh-ed25519" and 32 bytes, each behind its length (RFC 8709, section 4).
    assert.equal(key.getPublicSSH().length, 4 + 11 + 4 + 32);
  }
});
