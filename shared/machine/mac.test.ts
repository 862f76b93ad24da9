import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normalMac, normalSerial, normalUuid, sameUuid, swappedUuid } from './mac.ts';

test('a MAC is taken in any case, with colons or dashes, and nothing else', () => {
  assert.equal(normalMac('AA-BB-cc-DD-ee-0F'), 'aa:bb:cc:dd:ee:0f');
  assert.equal(normalMac('aa:bb:cc:dd:ee:0f'), 'aa:bb:cc:dd:ee:0f');
  for (const bad of [
    '',
    'aa:bb:cc:dd:ee',
    'aa:bb-cc:dd:ee:ff',
    'aabbccddeeff',
    'aa:bb:cc:dd:ee:fg',
    ' aa:bb:cc:dd:ee:ff',
  ])
    assert.equal(normalMac(bad), null, bad);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const mac = normalMac(text);
      assert.ok(mac === null || /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac));
    }),
  );
});

test('UUIDs and serial numbers that makers leave on every board name nobody', () => {
  for (const filler of [
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '00000000-0000-0000-0000-000000000000',
    '03000200-0400-0500-0006-000700080009',
    'nonsense',
  ])
    assert.equal(normalUuid(filler), null);
  for (const filler of ['', '  ', '0', 'To Be Filled By O.E.M.', 'Default string', 'N/A', 'None'])
    assert.equal(normalSerial(filler), null);
  assert.equal(normalSerial(' S3Z8 '), 'S3Z8');
});

test('a UUID is the same in both byte orders of SMBIOS', () => {
  const uuid = '00112233-4455-6677-8899-aabbccddeeff';
  assert.equal(swappedUuid(uuid), '33221100-5544-7766-8899-aabbccddeeff');
  assert.ok(sameUuid(uuid, swappedUuid(uuid)));
  fc.assert(fc.property(fc.uuid(), (any) => assert.equal(swappedUuid(swappedUuid(any)), any)));
});
