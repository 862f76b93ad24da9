import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../../shared/contract/event.ts';
import type { Retention, SettingRow } from '../../shared/contract/system.ts';
import { startTestAppliance } from '../testing.ts';
import { retentionDays } from './retention.ts';

const day = 86_400_000;

test('how long events are kept is changed while the appliance runs, and outlives its restart', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const clock = () => now;
  const first = await startTestAppliance(context, { clock });
  const put = (days: number | null) =>
    first.askAdmin('/settings/retention', { method: 'PUT', body: JSON.stringify({ days }) });
  const old = first.services.events.lastId();
  assert.ok(old > 0);
  now += 40 * day;
  await first.services.events.record({
    ...{ kind: 'test', subject: null, actor: 'test', address: null, summary: 'young' },
  });
  const before = (await (await first.askAdmin('/settings/retention')).json()) as Retention;
  assert.deepEqual(
    { days: before.days, configured_days: before.configured_days, changed: before.changed },
    { days: 0, configured_days: 0, changed: false },
  );
  assert.match(before.oldest_at ?? '', /^2026-01-01/);

  const changed = (await (await put(30)).json()) as Retention;
  assert.deepEqual([changed.days, changed.changed], [30, true]);
  assert.match(changed.oldest_at ?? '', /^2026-02-10/);
  const { events } = (await (await first.askAdmin('/events')).json()) as { events: Event[] };
  assert.ok(events.some(({ summary }) => summary === 'Events are kept for 30 days.'));
  assert.ok(events.some(({ kind }) => kind === 'audit.trimmed'));
  assert.equal(first.services.events.verify().kind, 'intact');
  const rows = (await (await first.askAdmin('/settings')).json()) as SettingRow[];
  assert.equal(rows.find(({ name }) => name === 'retention_days')?.value, '30');

  for (const days of [-1, 36_501, 1.5, '7'])
    assert.equal((await put(days as number)).status, 422, String(days));
  const operate = await first.makeToken('operate');
  const answer = await first.ask('/settings/retention', {
    method: 'PUT',
    body: '{"days":1}',
    headers: { authorization: `Bearer ${operate}` },
  });
  assert.equal(answer.status, 403);
  await first.close();

  const config = { retentionDays: 7 };
  const second = await startTestAppliance(context, { stateDir: first.stateDir, clock, config });
  assert.equal(retentionDays(second.services), 30);
  const back = await second.askAdmin('/settings/retention', { method: 'PUT', body: '{"days":null}' });
  const { days, changed: still } = (await back.json()) as Retention;
  assert.deepEqual([days, still], [7, false]);
});
