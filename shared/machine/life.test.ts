import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Progress, Step } from '../contract/agent.ts';
import {
  actionOf,
  assigned,
  type Binding,
  deadline,
  failedWith,
  finished,
  inventoried,
  type Life,
  netbooted,
  newLife,
  phases,
  planTaken,
  progressed,
  ticked,
} from './life.ts';

const minute = 60_000;
const limit = { boots: 3, minutes: 60 };
const flash: Binding = { policy: 'flash', image: 'a'.repeat(64) };
const local: Binding = { ...flash, policy: 'local' };

let plans = 0;
/** One netboot: what it leads to, and the life after it. */
function boot(life: Life, binding: Binding, at: number) {
  const action = actionOf(life, binding, at, limit, `plan-${++plans}`);
  return { action: action.kind, life: netbooted(life, action, binding, at, limit) };
}

function told(life: Life, step: Step, bytes = 1): Progress {
  return { plan: life.plan ?? '', attempt: 1, step, bytes, total: 10, rate: 5, disk: null };
}

/** A whole flash from a netboot at `at` to its report. */
function flashed(life: Life, binding: Binding, at: number): Life {
  const booted = boot(life, binding, at);
  assert.equal(booted.action, 'flash');
  const taken = planTaken(booted.life, { id: booted.life.plan ?? '', kind: 'flash' }, at + 1);
  assert.equal(taken.phase, 'preparing');
  const writing = progressed(taken, told(taken, 'writing'), at + 2);
  assert.equal(writing?.phase, 'writing');
  const verifying = progressed(writing ?? taken, told(taken, 'verifying'), at + 3);
  assert.equal(verifying?.phase, 'verifying');
  return finished(verifying ?? taken, 'reboot', at + 4);
}

test('flash: after each report the next netboot boots the disk once, and the one after that flashes', () => {
  let life = newLife(flash, 0);
  assert.equal(life.phase, 'armed');
  for (let round = 0; round < 20; round++) {
    const at = round * 10 * minute;
    life = flashed(life, flash, at);
    assert.equal(life.phase, 'rebooting');
    const disk = boot(life, flash, at + minute);
    assert.deepEqual([disk.action, disk.life.phase], ['disk', 'deployed']);
    life = disk.life;
  }
});

test('a box that never netboots between is left alone, however long', () => {
  const done = flashed(newLife(flash, 0), flash, minute);
  const later = ticked(done, 1000 * minute);
  assert.equal(later.phase, 'deployed');
  assert.equal(boot(later, flash, 2000 * minute).action, 'disk');
});

test('a machine that starts the live system too often without finishing is stopped, until it is armed', () => {
  let life = newLife(flash, 0);
  for (let time = 1; time <= 3; time++) {
    const booted = boot(life, flash, time * minute);
    assert.equal(booted.action, 'flash');
    life = booted.life;
  }
  const stopped = boot(life, flash, 4 * minute);
  assert.deepEqual([stopped.action, stopped.life.phase], ['stopped', 'stopped']);
  assert.equal(stopped.life.failure?.code, 'BOOT_LOOP');
  // It stays so, also when the hour has passed.
  assert.equal(boot(stopped.life, flash, 400 * minute).action, 'stopped');
  const armed = assigned(stopped.life, flash, flash, 401 * minute);
  assert.equal(armed.phase, 'armed');
  assert.equal(boot(armed, flash, 402 * minute).action, 'flash');
});

test('a script that is fetched again within seconds is the same boot', () => {
  let life = newLife(flash, 0);
  for (let time = 0; time < 9; time++) life = boot(life, flash, minute + time * 1000).life;
  assert.equal(life.phase, 'booting');
  assert.equal(life.boots.length, 1);
});

test('the same decision again leaves a running flash alone; another one withdraws its plan', () => {
  const { life } = boot(newLife(flash, 0), flash, 1);
  const running = progressed(life, told(life, 'writing'), 2) ?? life;
  assert.equal(assigned(running, flash, flash, 3), running);
  const other = assigned(running, flash, { ...flash, image: 'b'.repeat(64) }, 3);
  assert.deepEqual([other.phase, other.plan], ['armed', null]);
  assert.equal(progressed(other, told(running, 'writing'), 4), null);
  assert.equal(failedWith(other, failure(running), 4), null);
});

function failure(life: Life) {
  const message = { code: 'DISK_FAILED', message: 'The disk refuses.', advice: '', details: {} };
  return { plan: life.plan, attempt: 2, step: 'writing' as const, failure: message };
}

test('a failure keeps its step and cause, and a machine that goes on leaves it behind', () => {
  const { life } = boot(newLife(flash, 0), flash, 1);
  const failed = failedWith(life, failure(life), 2);
  assert.deepEqual(
    [failed?.phase, failed?.step, failed?.attempt, failed?.failure?.code],
    ['failed', 'writing', 2, 'DISK_FAILED'],
  );
  const again = progressed(failed ?? life, told(life, 'preparing'), 3);
  assert.deepEqual([again?.phase, again?.failure], ['preparing', null]);
});

test('silence ends each phase in its own time, and a late word revives it', () => {
  const { life } = boot(newLife(flash, 0), flash, 0);
  const writing = progressed(life, told(life, 'writing'), minute) ?? life;
  assert.equal(ticked(writing, minute + 3 * minute - 1), writing);
  const silent = ticked(writing, minute + 3 * minute);
  assert.deepEqual([silent.phase, silent.failure?.code], ['failed', 'MACHINE_SILENT']);
  assert.equal(progressed(silent, told(life, 'writing', 5), 9 * minute)?.phase, 'writing');
});

test('a clock that is put back does not make a silence endless', () => {
  const { life } = boot(newLife(flash, 0), flash, 1000 * minute);
  const back = ticked(life, 10 * minute);
  assert.equal(deadline(back), 20 * minute);
  assert.equal(ticked(back, 20 * minute).phase, 'failed');
});

test('an inventory is taken once, then the disk is booted once', () => {
  const binding: Binding = { policy: 'inventory', image: null };
  const { action, life } = boot(newLife(binding, 0), binding, 1);
  assert.equal(action, 'inventory');
  const taken = planTaken(life, { id: life.plan ?? '', kind: 'inventory' }, 2);
  assert.equal(taken.phase, 'inspecting');
  const done = inventoried(taken, binding, 3);
  assert.equal(done.phase, 'discovered');
  const disk = boot(done, binding, 4);
  assert.equal(disk.action, 'disk');
  assert.equal(boot(disk.life, binding, 5).action, 'inventory');
});

test('after flash-once the policy is local, and no netboot flashes again', () => {
  const once: Binding = { ...flash, policy: 'flash-once' };
  let life = flashed(newLife(once, 0), once, 1);
  for (let time = 0; time < 5; time++) {
    const booted = boot(life, local, minute * (time + 1));
    assert.deepEqual([booted.action, booted.life.phase], ['disk', 'deployed']);
    life = booted.life;
  }
});

test('what a person wrote in front of the machine is booted once, and then the person is asked again', () => {
  const tui: Binding = { policy: 'tui', image: null };
  const booted = boot(newLife(tui, 0), tui, 0);
  assert.equal(booted.action, 'interactive');
  const taken = planTaken(booted.life, { id: booted.life.plan ?? '', kind: 'interactive' }, 1);
  assert.equal(taken.phase, 'interactive');
  const writing = progressed(taken, told(taken, 'writing'), 2);
  assert.equal(writing?.phase, 'writing');
  const asked = planTaken(writing ?? taken, { id: taken.plan ?? '', kind: 'interactive' }, 3);
  assert.equal(asked.phase, 'writing', 'a question in between changes nothing');
  const done = finished(asked, 'reboot', 4);
  const next = boot(done, tui, minute);
  assert.deepEqual([next.action, next.life.phase], ['disk', 'deployed']);
  assert.equal(boot(next.life, tui, 2 * minute).action, 'interactive');
});

test('whatever happens in whatever order, a life stays whole and never flashes without a binding', () => {
  const policies = ['local', 'flash', 'flash-once', 'tui', 'inventory'] as const;
  const binding = fc.record({
    policy: fc.constantFrom(...policies),
    image: fc.constantFrom(null, 'a'.repeat(64), 'b'.repeat(64)),
  });
  const steps = ['preparing', 'writing', 'verifying', 'finishing'] as const;
  const happening = fc.oneof(
    fc.record({ kind: fc.constant('assign' as const), to: binding }),
    fc.constant({ kind: 'boot' as const }),
    fc.record({ kind: fc.constant('progress' as const), step: fc.constantFrom(...steps) }),
    fc.constant({ kind: 'done' as const }),
    fc.constant({ kind: 'fail' as const }),
    fc.constant({ kind: 'inventory' as const }),
    fc.constant({ kind: 'tick' as const }),
  );
  fc.assert(
    fc.property(
      binding,
      fc.array(fc.tuple(happening, fc.integer({ min: -5, max: 20 })), { maxLength: 60 }),
      (first, all) => {
        let now = 1000 * minute;
        let bound: Binding = first;
        let life = newLife(bound, now);
        for (const [what, minutes] of all) {
          now += minutes * minute;
          switch (what.kind) {
            case 'assign':
              life = assigned(life, bound, what.to, now);
              bound = what.to;
              break;
            case 'boot': {
              const booted = boot(life, bound, now);
              if (booted.action === 'flash') {
                assert.notEqual(bound.image, null);
                assert.equal(life.diskNext, false);
              }
              life = booted.life;
              break;
            }
            case 'progress':
              life = progressed(life, told(life, what.step), now) ?? life;
              break;
            case 'done':
              if (life.plan !== null) life = finished(life, 'reboot', now);
              break;
            case 'fail':
              life = failedWith(life, failure(life), now) ?? life;
              break;
            case 'inventory':
              life = inventoried(life, bound, now);
              break;
            case 'tick':
              life = ticked(life, now);
          }
          assert.ok(phases.includes(life.phase));
          assert.ok(life.boots.length <= limit.boots);
          assert.ok(life.phase !== 'stopped' || life.failure !== null);
          assert.deepEqual(JSON.parse(JSON.stringify(life)), life);
        }
      },
    ),
  );
});
