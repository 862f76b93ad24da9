import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openDatabase } from '../store/database.ts';
import { temporaryDirectory } from '../testing.ts';
import { Hub } from './hub.ts';
import { EventLog, type NewEvent } from './log.ts';

const event = (kind: string, id = 'x'): NewEvent => ({
  kind,
  subject: ['machine', id],
  actor: 'operator',
  address: '10.0.0.1',
  summary: 'Something happened.',
  details: { a: 1 },
});

function open(context: import('node:test').TestContext, clock: () => number = Date.now) {
  const database = openDatabase(temporaryDirectory(context));
  context.after(() => database.close());
  const hub = new Hub();
  return { database, hub, log: new EventLog(database, hub, clock) };
}

test('events are chained: a changed, removed, added or reordered one is found', async (context) => {
  const { database, log } = open(context);
  for (let index = 0; index < 10; index++) await log.record(event(`kind.${index}`));
  assert.equal(log.verify().kind, 'intact');
  const damages = [
    "UPDATE events SET summary = 'Nothing happened.' WHERE id = 5",
    'UPDATE events SET details = \'{"a":2}\' WHERE id = 5',
    'DELETE FROM events WHERE id = 5',
    'UPDATE events SET hash = (SELECT hash FROM events WHERE id = 4) WHERE id = 5',
    "UPDATE events SET ts = '2000' WHERE id = 10",
    'DELETE FROM events WHERE id = 1',
    'DELETE FROM events WHERE id > 7',
    'DELETE FROM events',
    'DELETE FROM event_head',
    'UPDATE event_head SET id = 9',
    'INSERT INTO event_anchor SELECT 1, id, hash FROM events WHERE id = 5; DELETE FROM events WHERE id <= 5',
  ];
  for (const damage of damages) {
    database.connection.exec('BEGIN');
    database.connection.exec(damage);
    assert.equal(log.verify().kind, 'broken', damage);
    database.connection.exec('ROLLBACK');
  }
  assert.equal(log.verify().kind, 'intact');
});

test('events that were cut off at the end stay missing when more are written', async (context) => {
  const { database, log } = open(context);
  for (let index = 0; index < 5; index++) await log.record(event(`kind.${index}`));
  database.connection.exec('DELETE FROM events WHERE id > 3');
  assert.equal(await log.record(event('later')), 6);
  const verdict = log.verify();
  assert.equal(verdict.kind === 'broken' && verdict.problem, 'events 4 to 5 are missing');
});

test('a chain that was made anew is told by a hash of before', async (context) => {
  const { database, log } = open(context);
  for (let index = 0; index < 3; index++) await log.record(event(`kind.${index}`));
  const before = log.verify();
  assert.ok(before.kind === 'intact');
  await log.record(event('more'));
  assert.equal(log.verify(before.lastHash).kind, 'intact');
  database.connection.exec('DELETE FROM events; DELETE FROM event_head');
  const forger = new EventLog(database, new Hub(), Date.now);
  for (let index = 0; index < 3; index++) await forger.record(event(`other.${index}`));
  assert.equal(forger.verify().kind, 'intact');
  assert.equal(forger.verify(before.lastHash).kind, 'broken');
});

test('what an undone write appended is no part of the chain', async (context) => {
  const { database, log } = open(context);
  await log.record(event('first'));
  const undone = database.write(() => {
    log.append(event('undone'));
    throw new Error('no');
  });
  const kept = log.record(event('second'));
  await assert.rejects(undone);
  assert.equal(await kept, 2);
  assert.equal(log.verify().kind, 'intact');
});

test('whatever text an event carries, half a surrogate pair too, the chain holds', async (context) => {
  const { log } = open(context);
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 10 }).map((codes) => {
      return String.fromCharCode(...codes);
    }),
    fc.constantFrom('bad \ud800 disk', '\udc00', 'a\u0000b', '\ufeffx'),
  );
  await fc.assert(
    fc.asyncProperty(text, text, async (one, other) => {
      await log.record({ ...event('kind', one), summary: other, actor: one, details: { [one]: other } });
      assert.equal(log.verify().kind, 'intact');
    }),
    { numRuns: 100, examples: [['bad \ud800 disk', '\udc00']] },
  );
});

test('retention takes the old ones, keeps the rest provable, and says so itself', async (context) => {
  let now = 1_000_000_000_000;
  const { log } = open(context, () => now);
  for (let index = 0; index < 5; index++) await log.record(event(`old.${index}`));
  now += 86_400_000;
  for (let index = 0; index < 3; index++) await log.record(event(`new.${index}`));
  assert.equal(await log.trim(now - 1000), 5);
  const verdict = log.verify();
  assert.deepEqual(verdict.kind === 'intact' && [verdict.events, verdict.firstId], [4, 6]);
  assert.equal(log.list({ limit: 1 })[0]?.kind, 'audit.trimmed');
  assert.equal(await log.trim(now - 1000), 0);
  // Ids are never used twice, even when all are gone.
  now += 86_400_000;
  await log.trim(now);
  assert.equal(await log.record(event('later')), 11);
  assert.equal(log.verify().kind, 'intact');
});

test('filters are exact, failures are told by their kind, and the limit is brought into its range', async (context) => {
  const { log } = open(context);
  for (let index = 0; index < 60; index++)
    await log.record(event(index % 3 === 0 ? 'auth.login.failed' : 'a.b', `${index}`));
  assert.equal(log.list({}).length, 50);
  assert.equal(log.list({ limit: 0 }).length, 1);
  assert.equal(log.list({ limit: 9999 }).length, 60);
  assert.equal(log.list({ failed: '1', limit: 500 }).length, 20);
  assert.equal(log.list({ kind: 'a.b', subject_id: '4' }).length, 1);
  assert.equal(log.list({ kind: "' OR 1=1 --" }).length, 0);
  assert.deepEqual(
    log.list({ before_id: 3 }).map(({ id }) => id),
    [2, 1],
  );
  assert.match(log.list({ limit: 1 })[0]?.ts ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);
});

test('whoever listens is told after the write, and not of one that failed', async (context) => {
  const { database, hub, log } = open(context);
  const told: unknown[] = [];
  hub.listen((news) => told.push(news));
  await assert.rejects(
    database.write(() => {
      log.append(event('lost'));
      throw new Error('no');
    }),
  );
  await log.record(event('kept'));
  assert.deepEqual(told, [{ kind: 'event', id: 1 }]);
});
