import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advance, type FlashState, headline, idle } from './advance.ts';
import type { FlashEvent, Outcome } from './event.ts';

const started: FlashEvent = {
  kind: 'started',
  at: 0,
  image: 'a.img',
  format: 'img',
  storedBytes: 100,
  imageBytes: 1000,
  targets: [
    { target: 'a', size: 2000 },
    { target: 'b', size: 2000 },
  ],
};

function finished(target: string, outcome: Outcome, verified = outcome === 'done'): FlashEvent {
  const account = { written: 1, zeroed: 0, skipped: 0 };
  return {
    kind: 'target-finished',
    at: 9,
    target,
    outcome,
    verified,
    account,
    partitionsRead: true,
    seconds: {},
    failure: null,
  };
}

const fold = (events: readonly FlashEvent[]): FlashState => events.reduce(advance, idle);

test('progress gives a rate and the time that is left', () => {
  const state = fold([
    started,
    { kind: 'phase', at: 0, target: 'a', phase: 'writing' },
    { kind: 'progress', at: 1000, target: 'a', phase: 'writing', bytes: 250, total: 1000 },
  ]);
  assert.equal(state.targets[0]?.rate, 250);
  assert.equal(state.targets[0]?.eta, 3);
  assert.equal(state.targets[1]?.rate, null, 'other disks are left alone');
});

test('a new phase starts from zero', () => {
  const state = fold([
    started,
    { kind: 'phase', at: 0, target: 'a', phase: 'writing' },
    { kind: 'progress', at: 1000, target: 'a', phase: 'writing', bytes: 250, total: 1000 },
    { kind: 'phase', at: 1500, target: 'a', phase: 'verifying' },
  ]);
  assert.equal(state.targets[0]?.bytes, 0);
  assert.equal(state.targets[0]?.rate, null);
});

test('the headline is the worst outcome, in numbers', () => {
  assert.equal(headline(fold([started, finished('a', 'done'), finished('b', 'done')])), '2 of 2 flashed');
  assert.equal(
    headline(fold([started, finished('a', 'done'), finished('b', 'failed')])),
    '1 of 2 flashed, 1 failed',
  );
  assert.equal(
    headline(fold([started, finished('a', 'cancelled'), finished('b', 'failed')])),
    '0 of 2 flashed, 1 failed, 1 cancelled',
  );
  assert.equal(
    headline(fold([started, finished('a', 'done', false), finished('b', 'done', false)])),
    '2 of 2 flashed, written, not verified',
  );
});

test('the same events give the same state', () => {
  const events = [started, finished('a', 'done'), finished('b', 'failed')];
  assert.deepEqual(fold(events), fold(events));
});
