import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { phases } from '../../shared/machine/life.ts';
import { Database, openDatabase } from '../store/database.ts';
import { migrations } from '../store/migrations/index.ts';
import { memoryMachines } from '../testing/machines.ts';
import { temporaryDirectory } from '../testing.ts';
import { newRecord } from './change.ts';
import { type MachineRecord, wireMachine } from './record.ts';
import { type MachineFilter, type MachineStore, sqliteMachines } from './store.ts';

const limit = { boots: 3, minutes: 60 };
const now = 1_000_000;

function onDisk(context: TestContext): Database {
  const database = openDatabase(temporaryDirectory(context));
  context.after(() => database.close());
  return database;
}

function inMemory(): Database {
  const connection = new DatabaseSync(':memory:');
  for (const migration of migrations) migration.run(connection);
  return new Database(connection);
}

/** Every implementation of a store of machines passes these. */
const implementations: Readonly<Record<string, (context: TestContext) => MachineStore>> = {
  'SQLite on disk': (context) => sqliteMachines(onDisk(context), limit, () => now),
  'SQLite in memory': () => sqliteMachines(inMemory(), limit, () => now),
  'a map in memory': () => memoryMachines(limit, () => now),
};

const macAt = (index: number) =>
  `02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`;
const machineAt = (index: number, changes: Partial<MachineRecord> = {}) =>
  newRecord(macAt(index), now, changes);
const texts = (store: MachineStore) =>
  [...store.listText({}, null)].map((piece) => Buffer.from(piece).toString()).join(',');

for (const [name, make] of Object.entries(implementations)) {
  test(`${name}: what is put is what is got, listed and counted`, (context) => {
    const store = make(context);
    const full = machineAt(1, {
      imageSha256: 'a'.repeat(64),
      hostname: 'h',
      labels: { rack: '7' },
      notes: 'it\'s "here"',
      targetDisk: { kind: 'serial', serial: 'S1' },
      bootPolicy: 'flash',
      lastSeenIp: '10.0.0.1',
      lastSeenAt: 5,
    });
    store.put(full);
    assert.deepEqual(store.get(full.mac), full);
    assert.equal(store.get(macAt(2)), null);
    store.put({ ...full, hostname: null, revision: 2 });
    assert.equal(store.get(full.mac)?.hostname, null);
    assert.equal(store.count({}), 1);
    assert.equal(store.delete(full.mac), true);
    assert.equal(store.delete(full.mac), false);
    assert.equal(store.count({}), 0);
    assert.equal(texts(store), '');
  });

  test(`${name}: a list of thousands is in order, in pages, and says the same in every form`, (context) => {
    const store = make(context);
    for (let index = 1299; index >= 0; index--)
      store.put(machineAt(index, { labels: { odd: String(index % 2) } }));
    // One that depends on the time stands in the middle of the others.
    const timed = machineAt(700);
    store.put({
      ...timed,
      bootPolicy: 'flash',
      imageSha256: 'b'.repeat(64),
      life: { ...timed.life, boots: [1, 2, 3] },
    });
    const all = [...store.list({}, null, null)];
    assert.equal(all.length, 1300);
    assert.deepEqual(
      all.map(({ mac }) => mac),
      all.map(({ mac }) => mac).toSorted(),
    );
    const wire = all.map((record) => JSON.stringify(wireMachine(record, now, limit)));
    assert.deepEqual([...store.listWire({}, null, null)], wire);
    assert.deepEqual(JSON.parse(`[${texts(store)}]`), JSON.parse(`[${wire.join(',')}]`));
    assert.ok(texts(store).includes('"next":"stopped"'));
    assert.deepEqual(
      [...store.list({}, macAt(4), 3)].map(({ mac }) => mac),
      [macAt(5), macAt(6), macAt(7)],
    );
    assert.equal(store.count({ label: 'odd=1' }), 650);
    assert.equal(store.count({ labels: { odd: '1' } }), 650);
    assert.equal(store.count({ label: 'even' }), 0);
  });

  test(`${name}: silences that are too long are due, also when the clock was put back`, (context) => {
    const store = make(context);
    const { life } = machineAt(1);
    const booting = { ...life, phase: 'booting' as const, heard: now };
    store.put({ ...machineAt(1), life: booting });
    store.put(machineAt(2));
    assert.deepEqual(store.due(now), []);
    assert.deepEqual(store.due(now + 10 * 60_000), [macAt(1)]);
    assert.deepEqual(store.due(now - 10 * 3_600_000), [macAt(1)]);
    assert.deepEqual(
      [...store.countByPhase()],
      [
        ['booting', 1],
        ['discovered', 1],
      ],
    );
  });

  test(`${name}: an inventory goes with its machine`, (context) => {
    const store = make(context);
    store.put(machineAt(1));
    store.putInventory(macAt(1), '{"a":1}', 7);
    store.putInventory(macAt(1), '{"a":2}', 8);
    assert.deepEqual(store.inventory(macAt(1)), { takenAt: 8, document: '{"a":2}' });
    store.put({ ...machineAt(1), revision: 2 });
    assert.notEqual(store.inventory(macAt(1)), null);
    store.put({ ...machineAt(3), smbiosSerial: 'S' });
    assert.deepEqual(
      store.withSerial('S').map(({ mac }) => mac),
      [macAt(3)],
    );
  });
}

test('a row that is damaged stops its machine and hides no other one', () => {
  const database = inMemory();
  const store = sqliteMachines(database, limit, () => now);
  const flashing = { bootPolicy: 'flash' as const, imageSha256: 'a'.repeat(64) };
  for (const index of [1, 2, 3, 4]) store.put(machineAt(index, flashing));
  const damage = database.prepare(
    'UPDATE machines SET life = ?, labels = ?, target_disk = ?, wire = NULL WHERE mac = ?',
  );
  damage.run('{"phase":"arm', '{', '[', macAt(1));
  damage.run('{}', '[]', '7', macAt(2));
  damage.run('null', '{}', null, macAt(3));
  const listed = JSON.parse(`[${texts(store)}]`) as {
    mac: string;
    state: { phase: string; next: string };
  }[];
  assert.deepEqual(
    listed.map(({ state }) => [state.phase, state.next]),
    [...Array(3).fill(['stopped', 'stopped']), ['armed', 'flash']],
  );
  assert.equal(store.get(macAt(1))?.targetDisk?.kind, 'serial');
  assert.equal([...store.list({}, null, null)].length, 4);
  assert.equal(store.count({ label: 'rack=7' }), 0);
});

const someText = fc.string({
  unit: fc.constantFrom('a', 'A', 'b', 'é', 'É', '%', '_', '\\', '"', "'", ' ', '7', '😀'),
  maxLength: 6,
});
const rarely = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: null, freq: 2 });
const label = fc.constantFrom('rack', 'row', 'a/b');
const someRecord = fc
  .record({
    index: fc.nat(11),
    imageSha256: rarely(fc.constantFrom('a'.repeat(64), 'b'.repeat(64))),
    bootPolicy: fc.constantFrom('local', 'flash', 'flash-once', 'tui', 'inventory'),
    hostname: rarely(someText),
    notes: rarely(someText),
    lastSeenIp: rarely(fc.constantFrom('10.0.0.1', '10.0.0.12')),
    lastTaskStatus: rarely(fc.constantFrom('running', 'failed')),
    smbiosSerial: rarely(someText),
    labels: fc.dictionary(label, someText, { noNullPrototype: true }),
    targetDisk: rarely(fc.constant({ kind: 'serial', serial: 'S1' } as const)),
    phase: fc.constantFrom(...phases),
    heard: fc.constantFrom(now, now - 3_600_000, now + 36_000_000),
    boots: fc.array(fc.constantFrom(now, now - 1000), { maxLength: 4 }),
    revision: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ index, phase, heard, boots, ...changes }): MachineRecord => {
    const record = { ...machineAt(index), ...changes };
    return { ...record, life: { ...record.life, phase, heard, boots } };
  });
type Deed = (store: MachineStore) => unknown;
const someDeed = fc.oneof(
  {
    weight: 8,
    arbitrary: someRecord.map(
      (record): Deed =>
        (store) =>
          store.put(record),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.nat(11).map(
      (index): Deed =>
        (store) =>
          store.delete(macAt(index)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(5000, -5000).map(
      (by): Deed =>
        (store) =>
          store.moveTime(by),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(11), someText).map(([index, text]): Deed => {
      return (store) =>
        store.get(macAt(index)) && store.putInventory(macAt(index), JSON.stringify(text), now);
    }),
  },
);
const someFilter: fc.Arbitrary<MachineFilter> = fc
  .record(
    {
      q: someText,
      phase: fc.constantFrom(...phases),
      boot_policy: fc.constantFrom('local', 'flash'),
      task_status: fc.constantFrom('running', 'failed'),
      image_sha256: fc.constantFrom('a'.repeat(64), 'c'.repeat(64)),
      label: fc.oneof(
        label,
        fc.tuple(label, someText).map((pair) => pair.join('=')),
      ),
      labels: fc.dictionary(label, someText, { maxKeys: 1 }),
    },
    { requiredKeys: [] },
  )
  .map((filter) => filter as MachineFilter);

/** Everything that a store tells. */
function told(store: MachineStore, filter: MachineFilter, after: string | null, most: number | null) {
  const macs = Array.from({ length: 12 }, (_, index) => macAt(index));
  return {
    gotten: macs.map((mac) => store.get(mac)),
    listed: [...store.list(filter, after, most)],
    wired: [...store.listWire(filter, after, most)],
    text: JSON.parse(`[${[...store.listText(filter, after)].map((piece) => Buffer.from(piece)).join(',')}]`),
    count: [store.count(filter), store.count({})],
    phases: [...store.countByPhase()].toSorted(),
    due: [now - 7_200_000, now, now + 7_200_000].map((at) => store.due(at).toSorted()),
    serials: ['', 'a', 'A', '%'].map((serial) =>
      store
        .withSerial(serial)
        .map(({ mac }) => mac)
        .toSorted(),
    ),
    inventories: macs.map((mac) => store.inventory(mac)),
  };
}

test('whatever is put, deleted, moved and asked for, SQLite tells what a plain map tells', () => {
  const after = rarely(fc.nat(11).map(macAt));
  const most = rarely(fc.integer({ min: 1, max: 5 }));
  fc.assert(
    fc.property(
      fc.array(someDeed, { maxLength: 25 }),
      someFilter,
      after,
      most,
      (deeds, filter, after, most) => {
        const stores = [
          memoryMachines(limit, () => now),
          sqliteMachines(inMemory(), limit, () => now),
        ] as const;
        for (const deed of deeds) for (const store of stores) deed(store);
        const [expected, found] = stores.map((store) => told(store, filter, after, most));
        assert.deepEqual(found, expected);
      },
    ),
    { numRuns: 200 },
  );
});
