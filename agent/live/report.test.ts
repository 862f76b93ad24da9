import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkMessage, FailureMessage, type InventoryDisk } from '../../shared/contract/agent.ts';
import { asFailure, failure } from '../../shared/failure.ts';
import { chooseDisk } from './choose.ts';
import { failureMessage } from './report.ts';

const disk = (index: number): InventoryDisk => ({
  path: `/dev/sd${index}`,
  size_bytes: 16e12,
  vendor: 'SEAGATE',
  model: 'ST16000NM001G-2KK103',
  serial: `ZL2${index}`.padEnd(20, '0'),
  wwn: null,
  transport: 'sas',
  rotational: true,
  removable: false,
  readonly: false,
  logical_block_size: 512,
});

test('the refusal of a machine with a hundred disks is one that the appliance accepts', () => {
  const disks = Array.from({ length: 100 }, (_each, index) => disk(index));
  let refused: unknown;
  try {
    chooseDisk({ kind: 'only' }, disks);
  } catch (error) {
    refused = error;
  }
  const told = failureMessage(asFailure(refused).report());
  assert.equal(told.code, 'DISK_AMBIGUOUS');
  assert.deepEqual(checkMessage(FailureMessage, told).kind, 'valid');
  assert.match(told.message, /^More than one disk .* \.\.\.$/);
});

test('whatever a failure holds, its message is JSON of a bounded size', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }).map((text) => text.repeat(3000)),
  );
  fc.assert(
    fc.property(texts, fc.oneof(fc.anything(), texts), (problem, more) => {
      const { code, message, advice, details } = failure('INTERNAL', { problem }).report();
      const told = failureMessage({ code, message, advice, details: { ...details, more } });
      assert.equal(checkMessage(FailureMessage, told).kind, 'valid');
      assert.ok(Buffer.byteLength(JSON.stringify(told)) < 200_000);
    }),
  );
});
