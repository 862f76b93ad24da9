import assert from 'node:assert/strict';
import { test } from 'node:test';
import { taskOf, withdrawn } from './heed.ts';

const bound = {
  imageSha256: 'a'.repeat(64),
  provisioningMode: 'cijoe-task',
  cijoeTaskRef: 'finish',
} as const;

test('a machine has the task that is named, as long as its mode says so', () => {
  assert.equal(taskOf(bound), 'finish');
  assert.equal(taskOf({ ...bound, provisioningMode: 'none' }), null);
  assert.equal(taskOf({ ...bound, cijoeTaskRef: null }), null);
});

test('a run that waits is withdrawn with its image or its task, and by nothing else', () => {
  assert.equal(withdrawn(bound, { ...bound }), null);
  assert.deepEqual(
    [
      withdrawn(bound, { ...bound, imageSha256: 'b'.repeat(64) }),
      withdrawn(bound, { ...bound, imageSha256: null }),
      withdrawn(bound, { ...bound, provisioningMode: 'none' }),
      withdrawn(bound, { ...bound, cijoeTaskRef: null }),
      withdrawn(bound, { ...bound, cijoeTaskRef: 'other' }),
      // The task of another image is for the flash that is to come.
      withdrawn(bound, { ...bound, imageSha256: 'b'.repeat(64), cijoeTaskRef: 'other' }),
    ].map((found) => found && { ...found, because: /^because .+, $/.test(found.because) }),
    [null, null, null, null, 'other', null].map((next) => ({ because: true, next })),
  );
});
