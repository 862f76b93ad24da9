import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  judge,
  newRollout,
  type Rollout,
  type Tried,
  type Verdict,
  waveOf,
  wavesOf,
  withBefore,
} from './rollout.ts';

const macOf = (index: number) => `52:54:00:00:00:${index.toString(16).padStart(2, '0')}`;
const machine = (mac: string, phase = 'armed', flashed: string | null = null, since = '1'): Tried => ({
  mac,
  last_flashed_at: flashed,
  state: { phase, since },
});
const several = (count: number) =>
  new Map(Array.from({ length: count }, (_, index) => [macOf(index), machine(macOf(index))]));
const start = (count: number, allowed = 0.1) =>
  newRollout('a'.repeat(64), 'a.img', [...several(count).keys()], allowed);

/** Plays a roll-out in which the machines of `bad` fail. Answers how it ended and which machines had their turn. */
function play(
  count: number,
  bad: ReadonlySet<number>,
  allowed: number,
): { end: Verdict['next']; turns: string[] } {
  const machines = several(count);
  let rollout: Rollout = start(count, allowed);
  const turns: string[] = [];
  for (let moves = 0; moves < 20; moves++) {
    const { next } = judge(rollout, machines);
    if (next === 'stop' || next === 'finish') return { end: next, turns };
    assert.notEqual(next, 'wait');
    if (next === 'next') rollout = { ...rollout, wave: rollout.wave + 1 };
    rollout = withBefore(rollout, machines);
    assert.equal(judge(rollout, machines).next, 'wait');
    for (const mac of waveOf(rollout)) {
      turns.push(mac);
      const fails = bad.has(Number.parseInt(mac.slice(-2), 16));
      machines.set(mac, fails ? machine(mac, 'failed', null, '2') : machine(mac, 'rebooting', '2'));
    }
  }
  throw new Error('it never ended');
}

test('the waves are one machine, a tenth, all', () => {
  assert.deepEqual([0, 1, 2, 5, 10, 11, 100, 1000].map(wavesOf), [
    [],
    [1],
    [1, 2],
    [1, 2, 5],
    [1, 2, 10],
    [1, 2, 11],
    [1, 10, 100],
    [1, 100, 1000],
  ]);
});

test('when all goes well, every machine has its turn once, the first one alone', () => {
  const { end, turns } = play(40, new Set(), 0);
  assert.equal(end, 'finish');
  assert.deepEqual(turns, [...several(40).keys()]);
});

test('a first machine that fails stops it before any other was touched', () => {
  assert.deepEqual(play(40, new Set([0]), 0.25), { end: 'stop', turns: [macOf(0)] });
});

test('more failures than allowed in the second wave leave all others alone', () => {
  const { end, turns } = play(100, new Set([3, 5]), 0.1);
  assert.equal(end, 'stop');
  assert.equal(turns.length, 10);
  assert.equal(play(100, new Set([3]), 0.1).end, 'finish');
});

test('however machines fail, no wave is begun while too many have failed, and it ends', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.uniqueArray(fc.integer({ min: 0, max: 59 })),
      fc.constantFrom(0, 0.05, 0.1, 0.25, 1),
      (count, failing, allowed) => {
        const bad = new Set(failing);
        const { end, turns } = play(count, bad, allowed);
        const failed = (some: readonly string[]) =>
          some.filter((mac) => bad.has(Number.parseInt(mac.slice(-2), 16))).length;
        const earlier = wavesOf(count).filter((size) => size < turns.length);
        for (const size of earlier) assert.ok(failed(turns.slice(0, size)) <= allowed * size);
        assert.equal(end === 'stop', failed(turns) > allowed * turns.length);
      },
    ),
  );
});

test('what a machine was before its turn counts neither as done nor as failed', () => {
  const machines = new Map([[macOf(0), machine(macOf(0), 'failed', 'yesterday', 'yesterday')]]);
  const rollout = withBefore(start(1), machines);
  assert.equal(judge(rollout, machines).next, 'wait');
  machines.set(macOf(0), machine(macOf(0), 'armed', 'yesterday', '3'));
  assert.equal(judge(rollout, machines).next, 'wait');
  machines.set(macOf(0), machine(macOf(0), 'rebooting', 'today', '4'));
  assert.equal(judge(rollout, machines).next, 'finish');
  machines.delete(macOf(0));
  assert.equal(judge(rollout, machines).next, 'stop');
});
