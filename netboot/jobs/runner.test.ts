import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { openDatabase } from '../store/database.ts';
import { SqlJobStore } from '../store/jobs.ts';
import { temporaryDirectory, until } from '../testing/files.ts';
import { afterAsking, ended, isSettled, type Job, type JobStore } from './job.ts';
import { JobRunner } from './runner.ts';

class MemoryStore implements JobStore {
  readonly jobs = new Map<string, Job>();
  all = () => [...this.jobs.values()];
  save = async (job: Job) => void this.jobs.set(`${job.kind} ${job.key}`, job);
  remove = async (kind: string, key: string) => void this.jobs.delete(`${kind} ${key}`);
}

/** Every implementation of the store has to pass the same tests. */
const stores: ReadonlyArray<readonly [string, (context: TestContext) => Promise<() => JobStore>]> = [
  [
    'in memory',
    async () => {
      const store = new MemoryStore();
      return () => store;
    },
  ],
  [
    'in SQLite',
    async (context) => {
      const directory = await temporaryDirectory(context);
      const open: ReturnType<typeof openDatabase>[] = [];
      context.after(() => {
        for (const database of open) database.close();
      });
      return () => {
        open.at(-1)?.close();
        const database = openDatabase(directory);
        open.push(database);
        return new SqlJobStore(database);
      };
    },
  ],
];

const never = new AbortController().signal;

/** Work that goes on until it is told to end. */
function gated() {
  const gates = new Map<string, PromiseWithResolvers<unknown>>();
  const started: string[] = [];
  const work = (job: Job, { signal }: { signal: AbortSignal }): Promise<unknown> => {
    started.push(job.key);
    const gate = Promise.withResolvers<unknown>();
    gates.set(job.key, gate);
    signal.addEventListener('abort', () => gate.reject(new Error('stopped')));
    return gate.promise;
  };
  return { started, work, finish: (key: string, result?: unknown) => gates.get(key)?.resolve(result), gates };
}

for (const [where, prepare] of stores) {
  test(`jobs kept ${where} run a few at once, in order, and urgent ones first`, async (context) => {
    const runner = new JobRunner((await prepare(context))());
    const { started, work, finish } = gated();
    runner.register('copy', { parallel: 2, work });
    runner.start();
    for (const key of ['a', 'b', 'c', 'd']) await runner.ask('copy', key, { key });
    await runner.ask('copy', 'e', null, { urgent: true });
    await runner.ask('copy', 'd', null, { urgent: true });
    await until('two run', () => started.length === 2);
    assert.deepEqual(started, ['a', 'b']);
    finish('a', 5);
    assert.equal((await runner.settled('copy', 'a', never))?.result, 5);
    await until('the next one runs', () => started.length === 3);
    finish('b');
    await until('the next one runs', () => started.length === 4);
    assert.deepEqual(started.slice(2), ['d', 'e']);
    await runner.stop();
  });

  test(`jobs kept ${where} go on after a restart, and finished ones are remembered`, async (context) => {
    const open = await prepare(context);
    const first = new JobRunner(open());
    const before = gated();
    first.register('copy', { parallel: 1, work: before.work });
    first.start();
    await first.ask('copy', 'done', { x: [1, 'a'] });
    await until('it runs', () => before.started.length === 1);
    before.finish('done', { sha256: 'f' });
    await first.settled('copy', 'done', never);
    await first.ask('copy', 'running', { y: 2 });
    await first.ask('copy', 'waiting', null);
    await first.ask('copy', 'dropped', null);
    await first.cancel('copy', 'dropped');
    await until('the second runs', () => before.started.length === 2);
    await first.stop();
    const second = new JobRunner(open());
    const after = gated();
    second.register('copy', { parallel: 2, work: after.work });
    second.start();
    await until('both go on', () => after.started.length === 2);
    assert.deepEqual(after.started, ['running', 'waiting']);
    const done = second.get('copy', 'done');
    assert.deepEqual(
      [done?.status, done?.result, done?.input],
      ['completed', { sha256: 'f' }, { x: [1, 'a'] }],
    );
    assert.equal(second.get('copy', 'dropped')?.status, 'cancelled');
    assert.deepEqual(second.get('copy', 'running')?.input, { y: 2 });
    await second.stop();
  });
}

test('asking again for what is there does nothing; for what was cancelled or failed it begins anew', async () => {
  const runner = new JobRunner(new MemoryStore());
  const { started, work, finish, gates } = gated();
  runner.register('copy', { parallel: 1, work });
  runner.start();
  await Promise.all([runner.ask('copy', 'a', 1), runner.ask('copy', 'a', 2)]);
  await until('it runs', () => started.length === 1);
  assert.equal((await runner.ask('copy', 'a', 3)).input, 1);
  gates.get('a')?.reject(new Error('no such place'));
  const failed = await runner.settled('copy', 'a', never);
  assert.equal(failed?.status, 'failed');
  assert.match(failed?.error ?? '', /no such place/);
  assert.equal((await runner.ask('copy', 'a', 4)).input, 4);
  await until('it runs again', () => started.length === 2);
  finish('a');
  assert.equal((await runner.settled('copy', 'a', never))?.status, 'completed');
  assert.equal((await runner.ask('copy', 'a', 5)).status, 'completed');
  assert.notEqual((await runner.ask('copy', 'a', 6, { outdated: true })).status, 'completed');
  await runner.stop();
});

test('a running job is cancelled at once, one that does not listen within a second is not waited for', async () => {
  const runner = new JobRunner(new MemoryStore());
  const ends: string[] = [];
  const { started, work } = gated();
  runner.register('copy', {
    parallel: 2,
    work,
    onEnd: ({ key, status }) => void ends.push(`${key} ${status}`),
  });
  const stubborn = Promise.withResolvers<void>();
  runner.register('deaf', { parallel: 1, work: () => stubborn.promise });
  runner.start();
  await runner.ask('copy', 'a', null);
  await runner.ask('deaf', 'b', null);
  await until('it runs', () => started.length === 1);
  assert.equal((await runner.cancel('copy', 'a'))?.status, 'cancelled');
  assert.deepEqual(ends, ['a cancelled']);
  assert.equal((await runner.cancel('copy', 'a'))?.status, 'cancelled');
  assert.equal(await runner.cancel('copy', 'absent'), undefined);
  await until('it runs', () => runner.get('deaf', 'b')?.status === 'running');
  assert.equal((await runner.cancel('deaf', 'b'))?.status, 'running');
  stubborn.reject(new Error('late'));
  assert.equal((await runner.settled('deaf', 'b', never))?.status, 'cancelled');
});

test('progress is told at once and saved now and then', async () => {
  const store = new MemoryStore();
  let saves = 0;
  const save = store.save;
  store.save = (job) => {
    saves++;
    return save(job);
  };
  const runner = new JobRunner(store);
  const gate = Promise.withResolvers<void>();
  runner.register('copy', {
    parallel: 1,
    work: async (_, { progress }) => {
      for (let done = 0; done <= 10_000; done++) progress(done, 10_000);
      await gate.promise;
    },
  });
  runner.start();
  await runner.ask('copy', 'a', null);
  await until('it is far', () => runner.get('copy', 'a')?.done === 10_000);
  assert.ok(saves < 10, String(saves));
  gate.resolve();
  const done = await runner.settled('copy', 'a', never);
  assert.deepEqual(
    [done?.done, done?.total, store.jobs.get('copy a')?.status],
    [10_000, 10_000, 'completed'],
  );
});

test('who waits for a job may give up waiting', async () => {
  const runner = new JobRunner(new MemoryStore());
  const { work } = gated();
  runner.register('copy', { parallel: 1, work });
  runner.start();
  await runner.ask('copy', 'a', null);
  await assert.rejects(runner.settled('copy', 'a', AbortSignal.timeout(20)), { name: 'TimeoutError' });
  assert.equal(await runner.settled('copy', 'absent', never), undefined);
  await runner.stop();
  assert.equal(runner.get('copy', 'a')?.status, 'queued');
});

test('finished jobs are forgotten at last, others never', async () => {
  const store = new MemoryStore();
  const runner = new JobRunner(store);
  runner.register('copy', { parallel: 1, work: async () => null });
  runner.register('stuck', { parallel: 0, work: async () => null });
  runner.start();
  for (let number = 0; number < 520; number++) await runner.note('copy', `k${number}`, null, null, 1);
  for (let number = 0; number < 520; number++) await runner.ask('stuck', `k${number}`, null);
  await pause(0);
  assert.equal(runner.list('copy').length, 500);
  assert.equal(runner.get('copy', 'k0'), undefined);
  assert.equal(runner.list('stuck').length, 520);
  assert.equal(store.jobs.size, 1020);
});

test('whatever happens to a job, its state and its times belong together', () => {
  const ending = fc.constantFrom(
    { kind: 'completed', result: 1 } as const,
    { kind: 'failed', error: 'x' } as const,
    { kind: 'cancelled' } as const,
    { kind: 'parked' } as const,
    'ask' as const,
    'ask anew' as const,
  );
  fc.assert(
    fc.property(fc.array(ending, { maxLength: 20 }), (steps) => {
      const asked = { kind: 'copy', key: 'a', input: null, total: null };
      let job = afterAsking(undefined, asked, 1, false);
      let now = 1;
      for (const step of steps) {
        now++;
        if (typeof step === 'string') {
          const next = afterAsking(job, asked, now, step === 'ask anew');
          if (!isSettled(job)) assert.equal(next, job);
          job = next;
        } else if (!isSettled(job)) job = ended({ ...job, status: 'running', startedAt: now }, step, now);
        assert.equal(isSettled(job), job.finishedAt !== null);
        assert.equal(job.status === 'failed', job.error !== null);
      }
    }),
  );
});
