import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Clock } from './clock.ts';
import { formatAddress } from './dhcp/address.ts';
import { dhcpOf } from './dhcp/part.ts';
import { Store } from './dhcp/store.ts';
import { until } from './testing/files.ts';
import { startTestAppliance } from './testing.ts';

function hands() {
  const time = { wall: 1_700_000_000_000, steady: 5000 };
  const clock = new Clock(
    () => time.wall,
    () => time.steady,
  );
  const pass = (wall: number, steady = wall) => {
    time.wall += wall;
    time.steady += steady;
  };
  return { clock, time, pass };
}

test('a clock that is steered is followed at once, and one that jumps only when everything was moved', () => {
  const { clock, time, pass } = hands();
  for (let count = 0; count < 100; count++) {
    pass(1000 + (count % 2 === 0 ? 90 : -30), 1000);
    assert.equal(clock.now(), time.wall);
  }
  assert.equal(clock.jump, 0);
  const before = clock.now();
  pass(86_400_000 + 500, 500);
  assert.equal(clock.now(), before + 500);
  assert.equal(clock.jump, 86_400_000);
  pass(700);
  assert.equal(clock.now(), before + 1200);
  clock.follow(clock.jump);
  assert.deepEqual([clock.now(), clock.jump], [time.wall, 0]);
});

test('whatever the wall clock does, time goes on and never leaps before it follows', () => {
  const step = fc.record({
    jump: fc.integer({ min: -4e12, max: 4e12 }),
    passes: fc.integer({ min: 0, max: 60_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { clock, pass } = hands();
      for (const { jump, passes } of steps) {
        const before = clock.now();
        pass(jump + passes, passes);
        assert.ok(Math.abs(clock.now() - before - passes) <= 2001);
      }
      const by = clock.jump;
      const before = clock.now();
      clock.follow(by);
      assert.ok(Math.abs(clock.now() - before - by) <= 1);
    }),
  );
});

const mac = '02:00:00:00:00:07';
const day = 86_400_000;

test('a clock that is set neither ends flashes, leases and sessions, nor makes them endless', async (context) => {
  let ahead = 0;
  const appliance = await startTestAppliance(context, { wall: () => Date.now() + ahead });
  const { services } = appliance;
  const { machines, database, access } = services;
  const cookie = await appliance.logIn();
  const status = async () => (await appliance.ask('/machines', { headers: { cookie } })).status;
  await appliance.askAdmin(`/machines/${mac}`, { method: 'PUT', body: '{"boot_policy":"local"}' });
  await database.write(() => {
    const author = { actor: 'test', address: null };
    const made = machines.store.get(mac);
    assert.ok(made);
    const at = services.clock();
    machines.move(made, { ...made.life, phase: 'writing', heard: at, since: at, boots: [at] }, author);
  });
  const leases = dhcpOf(services).store;
  const lease = (address: number, expires: number) => ({
    ...{ address, key: `${address}`, mac: null, uuid: null, hostName: null, vendorClass: null },
    ...{ state: 'bound' as const, interface: 'lab0', since: services.clock(), expires },
  });
  await new Promise((resolve) => leases.put(lease(0x0a000005, services.clock() + 3_600_000), resolve));
  const jumps = () => services.events.list({ kind: 'clock.jumped', limit: 10 }).length;
  for (const [count, by] of [400 * day, -700 * day, 30 * day].entries()) {
    ahead += by;
    assert.equal(await status(), 200, 'before anything noticed');
    await machines.tick();
    await until('the jump is told', () => jumps() === count + 1);
    assert.ok(Math.abs(services.clock() - Date.now() - ahead) < 2100);
    assert.equal(await status(), 200);
    await machines.tick();
    const life = machines.store.get(mac)?.life;
    assert.equal(life?.phase, 'writing');
    assert.ok(Math.abs((life?.heard ?? 0) - services.clock()) < 60_000);
    assert.ok(Math.abs((life?.boots[0] ?? 0) - services.clock()) < 60_000);
    const left = (leases.book.at(0x0a000005)?.expires ?? 0) - services.clock();
    assert.ok(left > 3_500_000 && left <= 3_601_000, `${formatAddress(0x0a000005)} is leased for ${left} ms`);
    assert.equal(leases.book.ofClient(`${0x0a000005}`)?.expires, leases.book.at(0x0a000005)?.expires);
  }
  const expires = leases.book.at(0x0a000005)?.expires;
  // The silence is as long as ever from the machine's last word on.
  assert.deepEqual(machines.store.due(services.clock() + 4 * 60_000), [mac]);
  assert.equal(access.sessions().length, 1);
  const { stateDir } = appliance;
  await appliance.close();
  const { book } = await Store.read(`${stateDir}/dhcp/leases.journal`);
  assert.equal(book.at(0x0a000005)?.expires, expires);
});
