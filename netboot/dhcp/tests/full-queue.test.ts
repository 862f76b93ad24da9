/** The kernel has no room for a reply, and has it a little later. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Lab, lacks, Stand } from './lab.ts';

test('a reply that the queue of the interface has no room for comes once there is some, unasked', {
  skip: lacks('tc'),
}, async (context) => {
  const net = await Lab.make();
  context.after(() => net.close());
  const [here, there] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [there, 'eth0', '10.77.0.2/24']);
  const stand = await Stand.start(net, here, { interfaces: [{ interface: 'lab0', mode: 'proxy' }] });
  const client = net.node(there, join(import.meta.dirname, 'asker.ts'), ['10.77.0.255']);
  await client.next((line) => line.includes('ready'));
  const queue = (order: string, ...kind: readonly string[]) =>
    net.run(here, 'tc', ['qdisc', order, 'dev', 'lab0', 'root', ...kind]);
  const narrow = ['bfifo', 'limit', '1'];
  const { code, text } = await queue('add', ...narrow);
  if (code !== 0) return context.skip(`this kernel queues otherwise: ${text}`);
  let answered = false;
  // A machine that is busy may open the queue later than a reply is tried for the last time.
  for (let round = 0; round < 30 && !answered; round++) {
    const mac = `02:00:00:00:00:${round.toString(16).padStart(2, '0')}`;
    await queue('replace', ...narrow);
    client.child.stdin?.write(`${mac}\n`);
    await stand.sees('"kind":"offer"', mac);
    await queue('del');
    const heard = client.line((line) => line.includes(mac));
    answered = await Promise.race([heard.then(() => true), pause(3000, false, { ref: false })]);
    heard.catch(() => {});
  }
  assert.ok(answered, 'no reply that was refused at first came');
});
