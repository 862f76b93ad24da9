import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { failure } from '../failure.ts';
import { checkMessage, Inventory, Plan, Progress, Status, Ticket } from './agent.ts';

const sha256 = 'a'.repeat(64);
const flash = {
  kind: 'flash',
  id: 'p1',
  title: null,
  image: { url: '/images/x/debian.img.zst', name: 'debian.img.zst', sha256, format: null, size_bytes: 1 },
  disk: { kind: 'serial', serial: 'S1' },
  verify: 'full',
  grow: false,
  boot_entry: { kind: 'none' },
  after: 'reboot',
  retry: { attempts: 3, first_seconds: 5, most_seconds: 60 },
  heartbeat_seconds: 15,
};

test('a flash plan is valid, and a key from a newer appliance does not change that', () => {
  const checked = checkMessage(Plan, { ...flash, colour: 'blue' });
  assert.ok(checked.kind === 'valid' && checked.value.kind === 'flash');
  assert.deepEqual(checked.value.disk, flash.disk);
});

test('a plan without its digest, with a bad rule or of an unknown kind is invalid', () => {
  const { sha256: _digest, ...noDigest } = flash.image;
  const wrong = [
    { ...flash, image: noDigest },
    { ...flash, disk: { kind: 'serial', serial: '' } },
    { ...flash, disk: { kind: 'first' } },
    { ...flash, retry: { ...flash.retry, attempts: 0 } },
    { ...flash, kind: 'format' },
    null,
    [],
    'flash',
  ];
  for (const value of wrong) {
    const checked = checkMessage(Plan, value);
    assert.equal(checked.kind, 'invalid', JSON.stringify(value));
    assert.ok(checked.kind === 'invalid' && checked.problem.length > 0);
  }
});

test('the report of any failure of the table crosses as a status', () => {
  const report = failure('APPLIANCE_UNREACHABLE', {
    server: 'http://10.0.0.1',
    problem: 'no route',
  }).report();
  const status = { status: 'failed', plan: 'p1', attempt: 1, step: 'writing', failure: report, again_in: 5 };
  assert.equal(checkMessage(Status, status).kind, 'valid');
});

test('a token that could break a header is invalid', () => {
  assert.equal(checkMessage(Ticket, { token: 'x'.repeat(32), ca_fingerprint: null }).kind, 'valid');
  for (const token of ['short', `${'x'.repeat(32)}\r\nHost: evil`, 'x'.repeat(513)])
    assert.equal(checkMessage(Ticket, { token, ca_fingerprint: null }).kind, 'invalid');
});

test('no value makes the checks throw', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      for (const schema of [Plan, Inventory, Progress, Status, Ticket])
        assert.equal(checkMessage(schema, value).kind, 'invalid');
    }),
    { numRuns: 200 },
  );
});
