/** Pretend machines of every model boot from the whole appliance until it says that they are deployed. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { lacks } from '../../dhcp/tests/lab.ts';
import { until } from '../../testing/files.ts';
import { noLab } from '../pxe/lab.ts';
import { SimNetwork } from './network.ts';

const count = Number(process.env.BTY_SIM_MACHINES ?? '2000');
const ipxe = existsSync('/usr/lib/ipxe/undionly.kpxe') ? false : 'the Debian package ipxe is not installed';
const skip = noLab() || ipxe || lacks('curl');

test(`${count} machines of seven models are flashed and boot their disks`, {
  skip,
  timeout: 3_600_000,
}, async (context) => {
  const network = await SimNetwork.make('full');
  context.after(() => network.close());
  const { failed, stages } = await network.simulate(count, count * 30, { together: 250 });
  context.diagnostic(JSON.stringify(stages));
  assert.deepEqual(failed, []);
  assert.equal(stages['next script']?.count, count);
});

test('beside another DHCP server all are flashed but those that merge no offers, and these are told why', {
  skip: skip || lacks('dnsmasq'),
  timeout: 1_800_000,
}, async (context) => {
  const network = await SimNetwork.make('proxy');
  context.after(() => network.close());
  const machines = 28;
  const { failed, stages } = await network.simulate(machines, machines * 40);
  context.diagnostic(JSON.stringify(stages));
  const others = failed.filter(({ model }) => model !== 'no-merge HP');
  assert.deepEqual(others, []);
  assert.equal(failed.length, machines / 7);
  assert.equal(stages['next script']?.count, machines - failed.length);
  assert.equal(stages['4011']?.count, (machines / 7) * 3, 'UEFI asks the boot server');
  for (const { diagnosis } of failed) {
    assert.equal(diagnosis?.state, 'stopped');
    assert.equal(diagnosis.code, 'offers-not-merged');
    assert.match(
      diagnosis.cause,
      /beside the DHCP server 10\.77\.0\.3, none taken: this firmware does not merge offers/,
    );
  }
});

test('an appliance that is killed while machines boot, and started again, loses none of them', {
  skip,
  timeout: 1_800_000,
}, async (context) => {
  const network = await SimNetwork.make('full');
  context.after(() => network.close());
  const machines = 42;
  const running = network.simulate(machines, machines * 100, { powerOns: 3 });
  await until('some machines are under way', async () => (await network.leases()) > machines);
  await network.crash();
  const { failed, stages } = await running;
  context.diagnostic(JSON.stringify(stages));
  assert.deepEqual(failed, []);
});
