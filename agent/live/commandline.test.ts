import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Failure } from '../../shared/failure.ts';
import { parseCommandLine } from './commandline.ts';

const mac = '52:54:00:77:00:01';

test('server and MAC are all that is needed', () => {
  assert.deepEqual(parseCommandLine(`quiet bty.server=http://10.77.0.1:8080 bty.mac=${mac}\n`), {
    server: 'http://10.77.0.1:8080',
    mac,
    bootedFrom: null,
    shell: false,
  });
});

test('the words of the predecessor are accepted beside them', () => {
  const facts = parseCommandLine(
    `boot=live fetch=http://a/b bty.mode=flash bty.server=http://10.0.0.1/ bty.mac=52-54-00-77-00-01 ` +
      'bty.image_url=http://10.0.0.1/images/x/y.img bty.shell=1 BOOTIF=01-52-54-00-77-00-02',
  );
  assert.deepEqual(facts, {
    server: 'http://10.0.0.1',
    mac,
    bootedFrom: '52:54:00:77:00:02',
    shell: true,
  });
});

test('quotes are those of the kernel, and of a word that stands twice the last one counts', () => {
  const facts = parseCommandLine(
    `dyndbg="file drivers/usb/* +p; bty.shell=1" "bty.server=http://10.0.0.1" bty.mac="${mac}" bty.shell=1 bty.shell=0 "open`,
  );
  assert.deepEqual(facts, { server: 'http://10.0.0.1', mac, bootedFrom: null, shell: false });
  const twice = parseCommandLine(`bty.server=http://10.0.0.9 bty.mac=${mac} bty.server=http://10.0.0.1`);
  assert.equal(twice.server, 'http://10.0.0.1');
});

test('what is missing or no address is named', () => {
  const wrong = [
    ['', /bty\.server is missing/],
    ['bty.server=http://10.0.0.1', /bty\.mac is missing/],
    [`bty.server=10.0.0.1 bty.mac=${mac}`, /bty\.server is "10\.0\.0\.1"/],
    [`bty.server=http://u:p@10.0.0.1 bty.mac=${mac}`, /bty\.server/],
    [`bty.server=http://10.0.0.1/path bty.mac=${mac}`, /bty\.server/],
    ['bty.server=http://10.0.0.1 bty.mac=52:54', /not a MAC address/],
  ] as const;
  for (const [text, sentence] of wrong)
    assert.throws(() => parseCommandLine(text), { code: 'COMMAND_LINE_INVALID', message: sentence });
});

test('no command line makes it fail in another way', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseCommandLine(`bty.server=${text} bty.mac=${text}`);
      } catch (error) {
        assert.ok(error instanceof Failure);
      }
    }),
  );
});
