import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestAppliance } from '../testing.ts';

test('an action that names more labels than a machine can have is refused, not a fault', async (context) => {
  const appliance = await startTestAppliance(context);
  const act = async (count: number) => {
    const labels = Object.fromEntries(Array.from({ length: count }, (_, index) => [`l${index}`, 'x']));
    const body = JSON.stringify({ action: 'arm', labels });
    return (await appliance.askAdmin('/machines/actions', { method: 'POST', body })).status;
  };
  assert.equal(await act(64), 200);
  assert.equal(await act(65), 422);
  assert.equal(await act(3000), 422);
});
