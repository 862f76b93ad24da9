import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finished, type Life, netbooted, newLife, planTaken, progressed } from '../../shared/machine/life.ts';
import { stepOfLife } from './observe.ts';

const binding = { policy: 'flash-once', image: 'a'.repeat(64) } as const;
const limit = { boots: 5, minutes: 60 };
const told = { bytes: 1, total: 2, rate: null, disk: null };

function writing(): Life {
  const booting = netbooted(newLife(binding, 0), { kind: 'flash', plan: 'one' }, binding, 1, limit);
  const taken = planTaken(booting, { id: 'one', kind: 'flash' }, 2);
  const life = progressed(taken, { plan: 'one', attempt: 1, step: 'writing', ...told }, 3);
  assert.ok(life);
  return life;
}

for (const after of ['reboot', 'kexec', 'poweroff'] as const) {
  test(`a flash that ends with ${after} is told as done, once`, () => {
    const life = writing();
    const done = finished(life, after, 4);
    assert.deepEqual(stepOfLife(life, done), { kind: 'done', authenticated: true });
    const disk = netbooted(done, { kind: 'disk', because: 'finished' }, binding, 5, limit);
    assert.equal(disk.phase, 'deployed');
    assert.equal(stepOfLife(done, disk), null);
  });
}
