import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Event } from '../../shared/contract/event.ts';
import type { Machine } from '../../shared/contract/machine.ts';
import type { RolloutRow } from '../../shared/contract/rollout.ts';
import { bootLive, doneOf, image, installLive, putMachine } from '../machines/testing.ts';
import { until } from '../testing/files.ts';
import { startTestAppliance, type TestAppliance } from '../testing.ts';
import { rolloutsOf } from './part.ts';

const macOf = (index: number) => `52:54:00:00:00:${index.toString(16).padStart(2, '0')}`;

async function rack(context: TestContext, count: number): Promise<TestAppliance> {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  for (let index = 1; index <= count; index++) await putMachine(appliance, macOf(index), {});
  return appliance;
}

function begin(appliance: TestAppliance, macs: readonly string[], more: object = {}): Promise<Response> {
  const body = JSON.stringify({ image_sha256: image, macs, allowed: 0.1, ...more });
  return appliance.askAdmin('/rollouts', { method: 'POST', body });
}

async function armed(appliance: TestAppliance): Promise<readonly string[]> {
  const all = (await (await appliance.askAdmin('/machines')).json()) as Machine[];
  return all.filter(({ state }) => state.phase === 'armed').map(({ mac }) => mac);
}

async function flash(appliance: TestAppliance, mac: string): Promise<void> {
  const live = await bootLive(appliance, mac);
  const plan = await live.plan();
  assert.equal((await live.ask('status', doneOf(plan.id))).status, 204);
}

const row = (appliance: TestAppliance, id: number) => rolloutsOf(appliance.services).get(id);

test('one machine, a tenth, all: each wave begins by itself, also after the appliance was restarted', async (context) => {
  const macs = Array.from({ length: 12 }, (_, index) => macOf(index + 1));
  const first = await rack(context, 12);
  const answer = await begin(first, macs);
  assert.equal(answer.status, 201);
  const { id, waves, state, machines } = (await answer.json()) as RolloutRow;
  assert.deepEqual([waves, state, machines], [[1, 2, 12], 'running', 12]);
  await until('the first is armed', async () => (await armed(first)).join() === macOf(1));
  await flash(first, macOf(1));
  await until('the second is armed', async () => (await armed(first)).join() === macOf(2));
  await first.close();

  const second = await startTestAppliance(context, { stateDir: first.stateDir });
  assert.deepEqual([row(second, id).wave, row(second, id).state], [1, 'running']);
  await flash(second, macOf(2));
  await until('all others are armed', async () => (await armed(second)).length === 10);
  for (const mac of macs.slice(2)) await flash(second, mac);
  await until('it is finished', () => row(second, id).state === 'finished');
  const { done, failed, left, ended_at } = row(second, id);
  assert.deepEqual([done, failed, left], [12, 0, 0]);
  assert.ok(ended_at);
  const events = (await (await second.askAdmin(`/events?subject_kind=rollout`)).json()) as {
    events: Event[];
  };
  assert.deepEqual(
    events.events.map(({ kind }) => kind),
    ['rollout.finished', 'rollout.wave', 'rollout.wave', 'rollout.wave', 'rollout.begun'],
  );
});

test('too many failures stop it, and what had not begun is disarmed', async (context) => {
  const appliance = await rack(context, 10);
  const macs = Array.from({ length: 10 }, (_, index) => macOf(index + 1));
  const { id } = (await (await begin(appliance, macs)).json()) as RolloutRow;
  await until('the first is armed', async () => (await armed(appliance)).length === 1);
  await flash(appliance, macOf(1));
  await until('the second is armed', async () => (await armed(appliance)).join() === macOf(2));
  await appliance.askAdmin(`/machines/${macOf(2)}`, { method: 'DELETE' });
  await until('it has stopped', () => row(appliance, id).state === 'stopped');
  assert.deepEqual([row(appliance, id).failed, row(appliance, id).left], [1, 8]);
  assert.deepEqual(await armed(appliance), []);
});

test('no machine is in two of them, a limit holds, and who cancels leaves nothing armed', async (context) => {
  const appliance = await rack(context, 4);
  const [first, second] = await Promise.all([
    begin(appliance, [macOf(1), macOf(2)]),
    begin(appliance, [macOf(2), macOf(3)]),
  ]);
  assert.deepEqual([first.status, second.status].sort(), [201, 409]);
  assert.equal((await begin(appliance, [macOf(3), macOf(4)], { limit: 1 })).status, 409);
  assert.equal((await begin(appliance, [macOf(9)])).status, 409);
  assert.equal((await begin(appliance, ['nonsense'])).status, 400);
  assert.equal((await begin(appliance, [macOf(4)], { allowed: 2 })).status, 422);
  const { id } = (await (first.status === 201 ? first : second).json()) as RolloutRow;
  await until('one is armed', async () => (await armed(appliance)).length === 1);
  const cancelled = await appliance.askAdmin(`/rollouts/${id}/cancel`, { method: 'POST' });
  assert.equal(((await cancelled.json()) as RolloutRow).state, 'cancelled');
  assert.deepEqual(await armed(appliance), []);
  const twice = await appliance.askAdmin(`/rollouts/${id}/cancel`, { method: 'POST' });
  assert.equal(((await twice.json()) as RolloutRow).state, 'cancelled');
  assert.equal((await appliance.askAdmin('/rollouts/77')).status, 404);
  const read = { authorization: `Bearer ${await appliance.makeToken('read')}` };
  assert.equal(
    (await appliance.ask(`/rollouts/${id}/cancel`, { method: 'POST', headers: read })).status,
    403,
  );
  assert.equal(((await (await appliance.ask('/rollouts', { headers: read })).json()) as unknown[]).length, 1);
});
