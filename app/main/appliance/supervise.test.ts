import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ApplianceStage } from '../../../shared/app/appliance.ts';
import { type FailureReport, failure } from '../../../shared/failure.ts';
import {
  advance,
  dueAt,
  limits,
  pauseBefore,
  type SuperviseAction,
  type SuperviseEvent,
} from './supervise.ts';

const crash = failure('APPLIANCE_ENDED', { said: 'killed by SIGKILL' }).report();
const taken = failure('PORT_TAKEN', {
  protocol: 'TCP',
  address: '0.0.0.0',
  port: 8080,
  holder: 'x',
}).report();
const dismissed = failure('PORTS_DISMISSED', {}).report();

/** An appliance in simulated time. */
class Simulated {
  stage: ApplianceStage = { kind: 'off' };
  at = 0;
  actions: SuperviseAction[] = [];
  asks = false;

  tell(event: SuperviseEvent): void {
    const { stage, actions } = advance(this.stage, event);
    this.stage = stage;
    this.actions.push(...actions);
  }
  start(): void {
    this.tell({ kind: 'start', at: this.at, asks: this.asks });
  }
  begun(): void {
    this.tell({ kind: 'begun', at: this.at });
  }
  listening(): void {
    this.tell({ kind: 'listening', at: this.at });
  }
  end(reason: FailureReport): void {
    this.tell({ kind: 'ended', at: this.at, failure: reason });
  }
  /** Lets `milliseconds` go by, each due moment on its way. */
  pass(milliseconds: number): void {
    const until = this.at + milliseconds;
    for (let due = dueAt(this.stage); due !== null && due <= until; due = dueAt(this.stage)) {
      this.at = Math.max(this.at, due);
      this.tell({ kind: 'time', at: this.at, asks: this.asks });
      if (due === dueAt(this.stage)) break;
    }
    this.at = until;
  }
  take(): SuperviseAction[] {
    return this.actions.splice(0);
  }
}

test('one that is killed again and again is started after 1, 2, 4 ... seconds, at most a minute', () => {
  const it = new Simulated();
  it.start();
  assert.deepEqual(it.take(), ['spawn']);
  const pauses: number[] = [];
  for (let round = 0; round < 9; round++) {
    it.listening();
    it.end(crash);
    assert.equal(it.stage.kind, 'waiting');
    const before = it.at;
    const due = dueAt(it.stage) ?? 0;
    it.pass(due - before - 1);
    assert.deepEqual(it.take(), [], 'not a moment earlier');
    it.pass(1);
    assert.deepEqual(it.take(), ['spawn']);
    pauses.push(it.at - before);
  }
  assert.deepEqual(
    pauses,
    [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000),
  );
});

test('one that ran for a while is started quickly again', () => {
  const it = new Simulated();
  it.start();
  for (let round = 0; round < 5; round++) {
    it.listening();
    it.end(crash);
    it.pass(pauseBefore(round + 1));
  }
  it.listening();
  it.pass(limits.steady);
  it.end(crash);
  assert.deepEqual(it.stage, { kind: 'waiting', until: it.at + 1000, tries: 1, failure: crash });
});

test('what a person must mend waits for the person at first, and is tried again where it ran before', () => {
  const it = new Simulated();
  it.start();
  it.end(taken);
  assert.deepEqual(it.stage, { kind: 'failed', failure: taken });
  it.pass(3_600_000);
  assert.deepEqual(it.take(), ['spawn']);
  it.start();
  it.listening();
  it.end(crash);
  it.pass(1000);
  it.end(taken);
  assert.equal(it.stage.kind, 'waiting');
  it.pass(2000);
  assert.deepEqual(it.take(), ['spawn', 'spawn', 'spawn']);
});

test('permission may take as long as it likes, and its question is taken back by a stop', () => {
  const it = new Simulated();
  it.asks = true;
  it.start();
  assert.equal(it.stage.kind, 'asking');
  it.pass(86_400_000);
  assert.equal(it.stage.kind, 'asking');
  it.tell({ kind: 'stop', at: it.at });
  assert.deepEqual(it.take(), ['spawn', 'kill']);
  it.end(dismissed);
  assert.deepEqual(it.stage, { kind: 'off' });

  it.start();
  it.end(dismissed);
  assert.deepEqual(it.stage, { kind: 'failed', failure: dismissed });
  it.start();
  it.begun();
  assert.equal(it.stage.kind, 'starting');
  it.listening();
  it.end(crash);
  it.pass(1000);
  assert.equal(it.stage.kind, 'asking', 'started again it asks again');
  it.end(dismissed);
  assert.equal(it.stage.kind, 'failed', 'and does not ask a second time by itself');
});

test('one that never answers is ended and started again', () => {
  const it = new Simulated();
  it.start();
  it.pass(limits.starting);
  assert.deepEqual(it.take(), ['spawn', 'kill']);
  assert.equal(it.stage.kind, 'stopping', 'not a second one beside it');
  it.end(crash);
  assert.equal(it.stage.kind, 'waiting');
  it.pass(1000);
  assert.deepEqual(it.take(), ['spawn']);
});

test('one that does not stop when it is asked is ended by force', () => {
  const it = new Simulated();
  it.start();
  it.listening();
  it.tell({ kind: 'stop', at: it.at });
  it.pass(limits.stopping - 1);
  assert.deepEqual(it.take(), ['spawn', 'ask']);
  it.pass(1);
  assert.deepEqual(it.take(), ['kill']);
  it.listening();
  assert.equal(it.stage.kind, 'stopping', 'a late answer starts nothing');
  it.end(crash);
  assert.deepEqual(it.stage, { kind: 'off' });
});

test('whatever happens, there is never more than one of it, and a stop is the end of it', () => {
  const happening = fc.constantFrom('start', 'stop', 'begun', 'listening', 'crash', 'taken', 'wait', 'long');
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), fc.boolean(), (happenings, asks) => {
      const it = new Simulated();
      it.asks = asks;
      let processes = 0;
      const settle = () => {
        for (const action of it.take()) {
          if (action === 'spawn') processes++;
          assert.ok(processes <= 1, 'one process');
          // Whoever is ended by force is gone at once.
          if (action === 'kill' && processes === 1) {
            processes = 0;
            it.end(crash);
          }
        }
      };
      for (const what of happenings) {
        if (what === 'start') it.start();
        if (what === 'stop') it.tell({ kind: 'stop', at: it.at });
        if (what === 'begun' && processes === 1) it.begun();
        if (what === 'listening' && processes === 1) it.listening();
        if ((what === 'crash' || what === 'taken') && processes === 1) {
          processes = 0;
          it.end(what === 'crash' ? crash : taken);
        }
        if (what === 'wait') it.pass(1500);
        if (what === 'long') it.pass(100_000);
        settle();
      }
      it.tell({ kind: 'stop', at: it.at });
      settle();
      it.pass(2 * limits.stopping);
      settle();
      assert.equal(processes, 0);
      assert.equal(it.stage.kind, 'off');
      it.pass(3_600_000);
      assert.deepEqual(it.take(), []);
    }),
  );
});
