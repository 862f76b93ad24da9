import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { smallHeap } from './smallheap.ts';

/** Makes objects of which many live for a while, and tells how large the space of young ones became. */
const churn = `
const { getHeapSpaceStatistics } = require('node:v8');
const kept = [];
let largest = 0;
for (let turn = 0; turn < 400; turn++) {
  for (let count = 0; count < 1000; count++) kept.push({ turn, count, text: String(turn * count) });
  if (kept.length > 20000) kept.splice(0, 5000);
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  largest = Math.max(largest, space.space_size);
}
require('node:worker_threads').parentPort.postMessage(largest);
`;

async function youngBytes(options: object): Promise<number> {
  const worker = new Worker(churn, { ...options, eval: true });
  const [largest] = await once(worker, 'message');
  await worker.terminate();
  assert.equal(typeof largest, 'number');
  return largest;
}

test('A thread with a small heap looks at its young objects before there are many', async () => {
  const small = await youngBytes(smallHeap);
  assert.ok(small <= 4 << 20, `${small} bytes`);
  const usual = await youngBytes({});
  assert.ok(usual >= 2 * small, `${usual} bytes against ${small}`);
});
