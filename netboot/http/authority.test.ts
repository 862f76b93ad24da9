// biome-ignore-all lint/suspicious/noTemplateCurlyInString: iPXE spells its settings like that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { authority, clientAddress, trustedProxies } from './authority.ts';

test('an authority is a name or address and perhaps a port, and nothing that means more', () => {
  for (const good of ['a', 'a.b:1', '10.0.0.1:8080', '[::1]', '[fe80::1]:80', 'bty_server'])
    assert.equal(authority(good), good);
  for (const bad of ['', 'a b', 'a/b', 'a:b', 'a:65536', '[zz]', 'a@b', 'a\n', '-a', 'a;b', '${x}', 'a%00'])
    assert.equal(authority(bad), null, bad);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const found = authority(text);
      if (found === null) return;
      assert.match(found, /^[A-Za-z0-9_.:[\]-]+$/);
      // Of names that end in a number a URL takes only those that are an IPv4 address (WHATWG URL, 3.5).
      if (URL.canParse(`http://${found}/`)) assert.equal(new URL(`http://${found}/`).pathname, '/');
    }),
  );
});

test('a client is the peer, unless a proxy that is believed says otherwise', () => {
  const none = trustedProxies([]);
  assert.equal(clientAddress('::ffff:10.0.0.5', '1.2.3.4', none), '10.0.0.5');
  assert.equal(clientAddress('fe80::1%eth0', undefined, none), 'fe80::1');
  const named = trustedProxies(['10.0.0.0/24', 'fd00::1']);
  assert.equal(clientAddress('10.0.0.9', '6.6.6.6, 1.2.3.4, 10.0.0.8', named), '1.2.3.4');
  assert.equal(clientAddress('10.0.1.9', '1.2.3.4', named), '10.0.1.9');
  assert.equal(clientAddress('fd00::1', 'nonsense', named), 'fd00::1');
  const everyone = trustedProxies(['1']);
  assert.equal(clientAddress('10.0.0.9', '6.6.6.6, 1.2.3.4', everyone), '6.6.6.6');
});
