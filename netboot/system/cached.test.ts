import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { noise, temporaryDirectory } from '../testing/files.ts';
import { readCached } from './cached.ts';

test('what lies in memory is read at once, the rest is left to an ordinary read', async (context) => {
  const bytes = noise(700_000);
  const handle = await open(join(await temporaryDirectory(context), 'f'), 'w+');
  await handle.write(bytes);
  let found = 0;
  for (const [position, length] of [
    [0, 100_000],
    [5, 1],
    [600_000, 200_000],
    [700_000, 10],
    [900_000, 10],
  ] as const) {
    const into = Buffer.alloc(length);
    const count = readCached(handle.fd, into, position);
    if (count === null) continue;
    found++;
    assert.ok(count > 0 && position + count <= bytes.length);
    assert.ok(into.subarray(0, count).equals(bytes.subarray(position, position + count)));
    assert.ok(into.subarray(count).every((byte) => byte === 0));
  }
  assert.ok(found <= 3);
  if (process.platform === 'linux') assert.ok(found > 0, 'this system reads from memory');
  await handle.close();
  assert.equal(readCached(9999, Buffer.alloc(1), 0), null);
});
