import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverWord } from './words.ts';

test('the address of a server becomes one plain word of the command line', () => {
  assert.equal(serverWord('http://10.0.0.1:8080'), 'bty.server=http://10.0.0.1:8080');
  assert.equal(serverWord('https://BTY.lab/'), 'bty.server=https://bty.lab');
  assert.equal(serverWord('http://[fd77::1]:8080'), 'bty.server=http://[fd77::1]:8080');
});

test('what would be more than an address, or mean something to GRUB, is refused', () => {
  for (const wrong of [
    ...['', '10.0.0.1', 'ftp://a', 'http://a/b', 'http://a?b', 'http://a#b', 'http://u:p@a', 'http://a b'],
    ...['http://a;reboot', 'http://$(x)', 'http://{a}', "http://a'b", 'http://a`b`', 'http://a&b'],
  ])
    assert.throws(() => serverWord(wrong), /--server is .* it takes an address/, wrong);
});
