import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gate } from './gate.ts';

test('A gate never lets more jobs run at once than it has places, and lets all run', async () => {
  const gate = new Gate(3);
  let running = 0;
  let most = 0;
  const job = async (fail: boolean) => {
    running++;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    if (fail) throw new Error('a failed job leaves its place');
    return 1;
  };
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) => gate.run(() => job(index % 4 === 0))),
  );
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 15);
  assert.equal(most, 3);
  assert.equal(running, 0);
});
