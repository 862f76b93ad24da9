import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fileName } from './name.ts';
import { negotiate } from './options.ts';
import { encode, parse, type TftpPacket } from './packet.ts';

const text = fc.string({
  unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 60,
});
const name = fc.string({
  unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789'),
  minLength: 1,
  maxLength: 12,
});
const options = fc.uniqueArray(fc.tuple(name, text), { maxLength: 8, selector: ([key]) => key });
const block = fc.integer({ min: 0, max: 0xffff });
const packet: fc.Arbitrary<TftpPacket> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('read' as const, 'write' as const),
    file: text.filter((file) => file !== ''),
    mode: name,
    options,
  }),
  fc.record({ kind: fc.constant('data' as const), block, payload: fc.uint8Array({ maxLength: 600 }) }),
  fc.record({ kind: fc.constant('ack' as const), block }),
  fc.record({ kind: fc.constant('error' as const), code: block, message: text }),
  fc.record({ kind: fc.constant('options' as const), options: options.filter((list) => list.length > 0) }),
);

test('what is encoded is read back the same', () => {
  fc.assert(fc.property(packet, (value) => assert.deepEqual(parse(encode(value)), { ...value })));
});

test('no bytes make the reader throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.integer({ min: 0, max: 7 }), (bytes, operation) => {
      parse(bytes);
      if (bytes.length > 1) bytes.set([0, operation]);
      parse(bytes);
    }),
    { numRuns: 2000 },
  );
});

test('a changed byte of a packet never makes the reader throw', () => {
  fc.assert(
    fc.property(packet, fc.nat(), fc.nat(255), fc.nat(), (value, at, byte, cut) => {
      const bytes = encode(value);
      bytes[at % bytes.length] = byte;
      parse(bytes.subarray(0, cut % (bytes.length + 1)));
    }),
    { numRuns: 2000 },
  );
});

test('a request without its last NUL, padded with zeros or in capitals is understood', () => {
  const bytes = (value: string) => Buffer.from(value, 'latin1');
  const wanted = { kind: 'read', file: 'a', mode: 'octet', options: [] };
  assert.deepEqual(parse(bytes('\0\x01a\0octet')), wanted);
  assert.deepEqual(parse(bytes('\0\x01a\0OCTET\0\0\0\0\0')), wanted);
  assert.deepEqual(parse(bytes('\0\x01a\0octet\0BLKSIZE\x001468\0tsize')), {
    ...wanted,
    options: [['blksize', '1468']],
  });
});

test('doubled options, empty names and oversized requests are malformed', () => {
  const bytes = (value: string) => Buffer.from(value, 'latin1');
  for (const bad of [
    '\0\x01a\0octet\0tsize\x000\0TSIZE\x000\0',
    '\0\x01\0octet\0',
    '\0\x01abc',
    `\0\x01${'a'.repeat(1600)}\0octet\0`,
    '\0\x09abcd',
    '\0\x01',
    '',
  ])
    assert.equal(parse(bytes(bad)).kind, 'malformed', JSON.stringify(bad));
});

test('names are keys of a table: backslashes turned, climbing, drives and control characters refused', () => {
  assert.equal(fileName('/undionly.kpxe'), 'undionly.kpxe');
  assert.equal(fileName('\\boot\\x64\\wdsnbp.com'), 'boot/x64/wdsnbp.com');
  assert.equal(fileName('./a//b'), 'a/b');
  for (const bad of [
    '',
    '/',
    '..',
    'a/../b',
    '..\\a',
    'C:\\a',
    'c:a',
    'a\nb',
    `${'a/'.repeat(300)}`,
    '....//../x',
  ])
    assert.equal(fileName(bad), null, bad);
  fc.assert(
    fc.property(fc.string({ maxLength: 80 }), (asked) => {
      const found = fileName(asked);
      if (found === null) return;
      assert.ok(!found.startsWith('/') && !found.split('/').includes('..') && !found.includes('\0'));
      assert.equal(fileName(found), found);
    }),
  );
});

const limits = { blockSize: 1468, windowSize: 64, windowBytes: 131072 };

test('options are granted at most as asked and at most as allowed, the others left out', () => {
  const agreed = negotiate(
    [
      ['blksize', '65464'],
      ['windowsize', '1000'],
      ['tsize', '0'],
      ['timeout', '3'],
      ['multicast', ''],
    ],
    12345,
    limits,
  );
  assert.deepEqual(agreed.accepted, [
    ['blksize', '1468'],
    ['windowsize', '64'],
    ['tsize', '12345'],
    ['timeout', '3'],
  ]);
  assert.equal(agreed.timeout, 3000);
  for (const bad of [
    ['blksize', '7'],
    ['blksize', '-1'],
    ['blksize', '1e3'],
    ['windowsize', '0'],
    ['timeout', '256'],
    ['timeout', ''],
    ['rollover', '2'],
  ] as const)
    assert.deepEqual(negotiate([bad], 1, limits).accepted, [], bad.join('='));
  assert.deepEqual(negotiate([['tsize', '0']], null, limits).accepted, []);
});

test('a burst stays within the bytes of a window, whatever the order of the options', () => {
  const agreed = negotiate(
    [
      ['windowsize', '64'],
      ['blksize', '65464'],
    ],
    1,
    { ...limits, blockSize: 65464 },
  );
  assert.equal(agreed.windowSize, 2);
  assert.deepEqual(agreed.accepted[0], ['windowsize', '2']);
});
