/** Many machines at once against the DHCP server: what it leaves out, it says, and who is known goes on. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { DhcpState } from '../../../shared/contract/dhcp.ts';
import { until } from '../../testing/files.ts';
import { Lab, lacks, Stand } from './lab.ts';

async function lab(context: TestContext): Promise<Lab> {
  const made = await Lab.make();
  context.after(() => made.close());
  return made;
}

const full = { interface: 'lab0', mode: 'full' } as const;
const state = async (stand: Stand): Promise<DhcpState> => {
  const { done } = (await stand.order({ states: true })) as { done: DhcpState[] };
  const [first] = done;
  if (!first) throw new Error('nothing is served');
  return first;
};
/** `rate` null: as fast as it can. */
const perfdhcp = (rate: number | null, seconds: number) => [
  ...['-4', '-R', '60000', '-p', String(seconds), '-l', 'eth0', '-W', '1000000'],
  ...(rate === null ? [] : ['-r', String(rate)]),
];

test('in a storm addresses are offered unprobed, at once, and that is told', {
  skip: lacks('perfdhcp'),
}, async (context) => {
  const net = await lab(context);
  const [here, there] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/16'], [there, 'eth0', '10.77.255.2/16']);
  const stand = await Stand.start(net, here, { interfaces: [full] });
  assert.equal((await state(stand)).unprobed, 0);
  const storm = net.start(there, 'perfdhcp', perfdhcp(300, 900));
  const unprobed = async () => (await state(stand)).unprobed > 300;
  await until('hundreds of addresses are offered unprobed', unprobed);
  assert.equal(storm.child.exitCode, null, 'while the storm goes on');
  storm.child.kill('SIGTERM');
  await stand.sees('"kind":"unprobed"', 'more machines came on lab0 at once');
  await stand.sees('"kind":"offer"', 'is offered without asking who uses it');
});

test('under more load than can be served, new machines are left to their next try, and known ones renew', {
  skip: lacks('perfdhcp', 'busybox'),
}, async (context) => {
  const net = await lab(context);
  const [here, there, other] = [await net.space(), await net.space(), await net.space()];
  await net.ip('-n', here, 'link', 'add', 'lab0', 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0');
  await net.ip('-n', here, 'addr', 'add', '10.77.0.1/16', 'dev', 'lab0');
  await net.ip('-n', here, 'link', 'set', 'lab0', 'up');
  await net.cable([here, 'p0'], [there, 'eth0', '10.77.0.2/16']);
  await net.cable([here, 'p1'], [other, 'eth0']);
  for (const port of ['p0', 'p1']) await net.ip('-n', here, 'link', 'set', port, 'master', 'lab0');
  // Of the storm nothing is told: a server that waits for who reads its lines serves nobody.
  const mac = '02:00:00:00:00:aa';
  await net.ip('-n', other, 'link', 'set', 'eth0', 'address', mac);
  const stand = await Stand.start(net, here, { interfaces: [full] }, { about: mac });
  const flags = ['-i', 'eth0', '-f', '-t', '4', '-T', '2', '-s', '/bin/true'];
  const client = net.start(other, 'busybox', ['udhcpc', ...flags]);
  const address = /lease of ([0-9.]+) obtained/.exec(
    await client.line((text) => text.includes('obtained')),
  )?.[1];
  await net.ip('-n', other, 'addr', 'add', `${address}/16`, 'dev', 'eth0');
  const storm = net.start(there, 'perfdhcp', perfdhcp(null, 900));
  await until('new machines are left to their next try', async () => (await state(stand)).shed > 0);
  const renew = () => client.child.kill('SIGUSR1');
  renew();
  // What the storm pushed out of the kernel's buffers is asked for again, as every client does in its time.
  const again = setInterval(renew, 4000);
  try {
    await stand.sees('"request":"renewing"', `"wanted":"${address}"`);
    // The first one was for the lease itself.
    const isAck = (text: string) => text.includes('"kind":"ack"') && text.includes(`"assigned":"${address}"`);
    await stand.running.line(isAck, 1);
  } finally {
    clearInterval(again);
  }
  assert.equal(storm.child.exitCode, null, 'the storm still goes on');
  storm.child.kill('SIGTERM');
});
