import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Check } from 'typebox/value';
import { Plan } from '../../shared/contract/agent.ts';
import { startTestAppliance } from '../testing.ts';
import {
  bootLive,
  doneOf,
  errandOf,
  getMachine,
  image,
  installLive,
  inventoryOf,
  kindOf,
  progressOf,
  putMachine,
  scriptOf,
} from './testing.ts';

const mac = 'aa:bb:cc:dd:ee:01';

test('a machine that nobody knows is discovered, and gets the live system for a person', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const script = await scriptOf(appliance, 'AA-BB-CC-DD-EE-01');
  assert.ok(script.includes('bty.mode=interactive') && script.includes(`bty.mac=${mac}`));
  const machine = await getMachine(appliance, mac);
  assert.deepEqual(
    [machine.boot_policy, machine.image_sha256, machine.last_seen_ip, machine.state.phase],
    ['tui', null, '127.0.0.1', 'booting'],
  );
  assert.match(machine.discovered_at ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  const kinds = appliance.services.events
    .list({ subject_id: mac })
    .map(({ kind, actor }) => `${kind} ${actor}`);
  assert.ok(kinds.includes('machine.discovered pxe-client'));
});

test('200 first contacts of one MAC at one moment make one machine and one discovery', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const all = await Promise.all(Array.from({ length: 200 }, () => appliance.ask(`/pxe/${mac}`)));
  assert.deepEqual(new Set(all.map(({ status }) => status)), new Set([200]));
  await Promise.all(all.map((answer) => answer.arrayBuffer()));
  assert.equal(appliance.services.machines.store.count({}), 1);
  assert.equal(appliance.services.events.list({ kind: 'machine.discovered' }).length, 1);
});

test('flash, from the script to the report: the disk once after it, then the next flash', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash', target_disk_serial: ' S1 ' });
  for (let round = 0; round < 2; round++) {
    const live = await bootLive(appliance, mac);
    const plan = await live.plan();
    assert.ok(Check(Plan, plan));
    assert.equal(plan.kind, 'flash');
    if (plan.kind !== 'flash') return;
    assert.deepEqual(plan.disk, { kind: 'serial', serial: 'S1' });
    assert.equal(plan.image.url, `/images/${image}/image.img`);
    assert.equal((await live.ask('progress', progressOf(plan.id, 'writing', 40))).status, 204);
    const { state } = await getMachine(appliance, mac);
    assert.deepEqual([state.phase, state.bytes, state.total, state.disk?.serial], ['writing', 40, 100, 'S1']);
    assert.equal((await live.ask('status', doneOf(plan.id))).status, 204);
    // Repeated until it was answered: the second one changes nothing.
    assert.equal((await live.ask('status', doneOf(plan.id))).status, 204);
    const done = await getMachine(appliance, mac);
    assert.deepEqual([done.state.phase, done.boot_policy, done.state.next], ['rebooting', 'flash', 'disk']);
    assert.ok(done.last_flashed_at);
    assert.equal(kindOf(await scriptOf(appliance, mac)), 'disk');
    assert.equal((await getMachine(appliance, mac)).state.phase, 'deployed');
  }
  const events = appliance.services.events.list({ kind: 'machine.flashed' });
  assert.equal(events.length, 2);
  assert.equal(events[0]?.details?.authenticated, true);
});

test('flash-once flashes once: then its policy is local, with the change in the log', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const before = await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash-once' });
  const live = await bootLive(appliance, mac);
  await live.ask('status', doneOf((await live.plan()).id));
  const after = await getMachine(appliance, mac);
  assert.equal(after.boot_policy, 'local');
  assert.notEqual(after.etag, before.etag);
  for (let time = 0; time < 3; time++) assert.equal(kindOf(await scriptOf(appliance, mac)), 'disk');
});

test('a ticket works once, for one machine, at one boot, and a look does not use it up', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const errand = errandOf(await scriptOf(appliance, mac));
  assert.equal((await appliance.ask(errand, { method: 'HEAD' })).status, 200);
  assert.equal((await appliance.ask(errand.replace('ee-01', 'ee-02'))).status, 404);
  assert.equal((await appliance.ask(errand)).status, 200);
  assert.equal((await appliance.ask(errand)).status, 404);
  const old = await bootLive(appliance, mac);
  assert.equal((await old.ask('plan')).status, 200);
  const next = await bootLive(appliance, mac);
  assert.equal((await old.ask('plan')).status, 401);
  assert.equal((await next.ask('plan')).status, 200);
  assert.equal((await appliance.ask(`/pxe/${mac}/plan`)).status, 401);
  const wrong = { headers: { authorization: 'Bearer nonsense' } };
  assert.equal((await appliance.ask(`/pxe/${mac}/plan`, wrong)).status, 401);
});

test('a ticket is good only for the address that fetched the script, and only for its time', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const appliance = await startTestAppliance(context, {
    clock: () => now,
    config: { trustedProxy: ['127.0.0.1'], ticketSeconds: 600 },
  });
  installLive(appliance.stateDir);
  const from = (address: string, token = '') => ({
    headers: { 'x-forwarded-for': address, authorization: `Bearer ${token}` },
  });
  const script = await (await appliance.ask(`/pxe/${mac}`, from('10.0.0.5'))).text();
  assert.equal((await appliance.ask(errandOf(script), from('10.0.0.6'))).status, 404);
  const ticket = Buffer.from(await (await appliance.ask(errandOf(script), from('10.0.0.5'))).arrayBuffer());
  const token = /"token":"([^"]+)"/.exec(ticket.toString('latin1'))?.[1] ?? '';
  assert.equal((await appliance.ask(`/pxe/${mac}/plan`, from('10.0.0.6', token))).status, 403);
  assert.equal((await appliance.ask(`/pxe/${mac}/plan`, from('10.0.0.5', token))).status, 200);
  now += 601_000;
  assert.equal((await appliance.ask(`/pxe/${mac}/plan`, from('10.0.0.5', token))).status, 401);
});

test('a live system that goes on telling keeps its token, however long the disk takes', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const appliance = await startTestAppliance(context, {
    clock: () => now,
    config: { ticketSeconds: 600 },
  });
  installLive(appliance.stateDir);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash-once' });
  const live = await bootLive(appliance, mac);
  const { id } = await live.plan();
  for (let times = 1; times <= 5; times++) {
    now += 400_000;
    assert.equal((await live.ask('progress', progressOf(id, 'writing', times))).status, 204, `${times}`);
  }
  assert.equal((await live.ask('status', doneOf(id))).status, 204);
  now += 601_000;
  assert.equal((await live.ask('plan')).status, 401, 'one that is not used ends');
});

test('a new decision of the operator withdraws the running plan; the live system is given the new one', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  const live = await bootLive(appliance, mac);
  const first = await live.plan();
  assert.equal((await live.ask('progress', progressOf(first.id, 'writing', 1))).status, 204);
  await putMachine(appliance, mac, { image_sha256: 'b'.repeat(64), boot_policy: 'flash' });
  assert.equal((await live.ask('progress', progressOf(first.id, 'writing', 2))).status, 409);
  const second = await live.plan();
  assert.notEqual(second.id, first.id);
  assert.equal(second.kind === 'flash' && second.image.sha256, 'b'.repeat(64));
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'local' });
  assert.equal((await live.plan()).kind, 'exit');
});

test('a live system that waits for a person is told to flash once an image is bound', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const live = await bootLive(appliance, mac);
  const waiting = await live.plan();
  assert.equal(waiting.kind, 'interactive');
  assert.equal((await live.plan()).id, waiting.id);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash-once' });
  assert.equal((await live.plan()).kind, 'flash');
});

test('a failure reaches the operator with its step and cause', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  const live = await bootLive(appliance, mac);
  const { id } = await live.plan();
  const cause = { code: 'DISK_TOO_SMALL', message: 'too small', advice: 'use another', details: {} };
  const status = {
    status: 'failed',
    plan: id,
    attempt: 1,
    step: 'preparing',
    failure: cause,
    again_in: null,
  };
  assert.equal((await live.ask('status', status)).status, 204);
  const { state } = await getMachine(appliance, mac);
  assert.deepEqual([state.phase, state.step, state.failure?.code], ['failed', 'preparing', 'DISK_TOO_SMALL']);
  const [event] = appliance.services.events.list({ failed: '1' });
  assert.equal(event?.kind, 'machine.failed');
});

test('done without a token counts only from the address of the script, while its plan is live', async (context) => {
  const appliance = await startTestAppliance(context, { config: { trustedProxy: ['127.0.0.1'] } });
  installLive(appliance.stateDir);
  const done = (address: string) =>
    appliance.ask(`/pxe/${mac}/done`, {
      method: 'POST',
      headers: { 'x-forwarded-for': address },
      body: 'any{',
    });
  assert.equal((await done('10.0.0.5')).status, 404);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  assert.equal((await done('10.0.0.5')).status, 403);
  await (await appliance.ask(`/pxe/${mac}`, { headers: { 'x-forwarded-for': '10.0.0.5' } })).text();
  assert.equal((await done('10.0.0.6')).status, 403);
  assert.equal((await done('10.0.0.5')).status, 204);
  assert.equal((await done('10.0.0.5')).status, 204);
  const events = appliance.services.events.list({ kind: 'machine.flashed' });
  assert.equal(events.length, 1);
  assert.equal(events[0]?.details?.authenticated, false);
});

test('a setting refuses done without a token', async (context) => {
  const appliance = await startTestAppliance(context, { config: { unauthenticatedDone: false } });
  installLive(appliance.stateDir);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  const live = await bootLive(appliance, mac);
  await live.plan();
  assert.equal((await appliance.ask(`/pxe/${mac}/done`, { method: 'POST' })).status, 403);
  assert.equal((await live.ask('done', {})).status, 204);
  assert.equal((await getMachine(appliance, mac)).state.phase, 'rebooting');
});

test('a machine that netboots again and again without finishing is stopped and told why', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const appliance = await startTestAppliance(context, { clock: () => now, config: { loopBoots: 3 } });
  installLive(appliance.stateDir);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  for (let time = 0; time < 3; time++) {
    now += 120_000;
    assert.equal(kindOf(await scriptOf(appliance, mac)), 'live');
  }
  now += 120_000;
  const stopped = await scriptOf(appliance, mac);
  assert.equal(kindOf(stopped), 'wait');
  assert.match(stopped, /3 times in 60 minutes and never finished/);
  assert.equal((await getMachine(appliance, mac)).state.phase, 'stopped');
  const body = JSON.stringify({ action: 'arm', macs: [mac] });
  assert.equal((await appliance.askAdmin('/machines/actions', { method: 'POST', body })).status, 200);
  now += 1000;
  assert.equal(kindOf(await scriptOf(appliance, mac)), 'live');
});

test('a flash goes on over a restart of the appliance, and silence is noticed after it', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const clock = () => now;
  const first = await startTestAppliance(context, { clock });
  installLive(first.stateDir);
  await putMachine(first, mac, { image_sha256: image, boot_policy: 'flash' });
  const live = await bootLive(first, mac);
  const { id } = await live.plan();
  await live.ask('progress', progressOf(id, 'writing', 40));
  await first.close();
  const second = await startTestAppliance(context, { clock, stateDir: first.stateDir });
  const headers = { authorization: `Bearer ${live.token}` };
  const body = JSON.stringify(progressOf(id, 'writing', 60));
  const answer = await second.ask(`/pxe/${mac}/progress`, { method: 'POST', headers, body });
  assert.equal(answer.status, 204);
  assert.equal((await getMachine(second, mac)).state.bytes, 60);
  now += 4 * 60_000;
  assert.equal(await second.services.machines.tick(), 1);
  const { state } = await getMachine(second, mac);
  assert.deepEqual([state.phase, state.failure?.code], ['failed', 'MACHINE_SILENT']);
  await second.close();
});

test('a board with the network adapter of another one is not flashed; a known board keeps its identity', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const one = '?uuid=11111111-2222-3333-4444-555555555555&serial=BOARD1';
  const two = '?uuid=99999999-2222-3333-4444-555555555555&serial=BOARD2';
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  const live = await bootLive(appliance, mac);
  const inventory = inventoryOf('11111111-2222-3333-4444-555555555555', 'BOARD1');
  assert.equal((await live.ask('inventory', inventory)).status, 204);
  assert.equal(kindOf(await scriptOf(appliance, mac, one)), 'live');
  const refused = await scriptOf(appliance, mac, two);
  assert.equal(kindOf(refused), 'disk');
  assert.match(refused, /another board/);
  assert.equal(appliance.services.events.list({ kind: 'machine.identity_failed' }).length, 1);
  // The same board with a new adapter is the machine that it was.
  const moved = await scriptOf(appliance, '02:00:00:00:00:01', one);
  assert.ok(moved.includes(`bty.mac=${mac}`));
  assert.equal(appliance.services.machines.store.count({}), 1);
  // Fillers that makers leave on many boards name nobody.
  const filler = '?uuid=FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF&serial=Default%20string';
  assert.equal(kindOf(await scriptOf(appliance, mac, filler)), 'live');
});

test('an inventory is kept and shown, and gives the machine its identity', async (context) => {
  const appliance = await startTestAppliance(context, { config: { discoveryPolicy: 'inventory' } });
  installLive(appliance.stateDir);
  const live = await bootLive(appliance, mac);
  assert.equal((await live.plan()).kind, 'inventory');
  const inventory = inventoryOf('11111111-2222-3333-4444-555555555555', 'SN1');
  assert.equal((await live.ask('inventory', { ...inventory, disks: 'x' })).status, 422);
  assert.equal((await live.ask('inventory', inventory)).status, 204);
  const machine = await getMachine(appliance, mac);
  assert.deepEqual([machine.smbios_serial, machine.state.next], ['SN1', 'disk']);
  const shown = await appliance.askAdmin(`/machines/${mac}/inventory`);
  assert.equal(
    ((await shown.json()) as { inventory: { memory_bytes: number } }).inventory.memory_bytes,
    1024,
  );
  assert.equal(kindOf(await scriptOf(appliance, mac)), 'disk');
  assert.equal((await appliance.askAdmin('/machines/02:00:00:00:00:09/inventory')).status, 404);
});

test('without a live system a machine is told so: one to be flashed waits, another boots its disk', async (context) => {
  const appliance = await startTestAppliance(context);
  assert.equal(kindOf(await scriptOf(appliance, mac)), 'disk');
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  const waits = await scriptOf(appliance, mac);
  assert.equal(kindOf(waits), 'wait');
  assert.match(waits, /the live system is not installed/);
});

test('what cannot be booted counts as no boot: no loop, no plan, nothing flashed', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const appliance = await startTestAppliance(context, { clock: () => now, config: { loopBoots: 3 } });
  const discovered = '02:00:00:00:00:01';
  assert.equal(kindOf(await scriptOf(appliance, discovered)), 'disk');
  assert.equal((await getMachine(appliance, discovered)).state.phase, 'discovered');
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash-once' });
  for (let time = 0; time < 6; time++) {
    now += 10_500;
    assert.match(await scriptOf(appliance, mac), /the live system is not installed/);
  }
  assert.equal((await appliance.ask(`/pxe/${mac}/done`, { method: 'POST' })).status, 403);
  const machine = await getMachine(appliance, mac);
  assert.deepEqual(
    [machine.state.phase, machine.boot_policy, machine.last_flashed_at, machine.state.next],
    ['armed', 'flash-once', null, 'flash'],
  );
});

test('whoever asks for a script cannot say what board a machine is, and the operator accepts another board', async (context) => {
  const appliance = await startTestAppliance(context);
  installLive(appliance.stateDir);
  const strange = '?uuid=99999999-2222-3333-4444-555555555555&serial=STRANGE';
  const real = '?uuid=11111111-2222-3333-4444-555555555555&serial=BOARD1';
  const fresh = '02:00:00:00:00:01';
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  for (const known of [mac, fresh]) {
    await scriptOf(appliance, known, strange);
    const machine = await getMachine(appliance, known);
    assert.deepEqual([machine.smbios_uuid, machine.smbios_serial], [null, null]);
    assert.equal(kindOf(await scriptOf(appliance, known, real)), 'live');
  }
  const live = await bootLive(appliance, mac);
  await live.ask('inventory', inventoryOf('11111111-2222-3333-4444-555555555555', 'BOARD1'));
  assert.equal(kindOf(await scriptOf(appliance, mac, strange)), 'disk');
  const patch = (body: object) =>
    appliance.askAdmin(`/machines/${mac}`, { method: 'PATCH', body: JSON.stringify(body) });
  assert.equal((await patch({ smbios_uuid: 'mine' })).status, 422);
  const accepted = await patch({ smbios_uuid: null, smbios_serial: null });
  assert.equal(accepted.status, 200);
  assert.equal(((await accepted.json()) as { smbios_uuid: string | null }).smbios_uuid, null);
  assert.equal(kindOf(await scriptOf(appliance, mac, strange)), 'live');
});

test('who asks from another address does not end a flash that runs; a machine that fell silent may begin anew', async (context) => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const clock = () => now;
  const appliance = await startTestAppliance(context, { clock, config: { trustedProxy: ['127.0.0.1'] } });
  installLive(appliance.stateDir);
  await putMachine(appliance, mac, { image_sha256: image, boot_policy: 'flash' });
  const live = await bootLive(appliance, mac);
  const { id } = await live.plan();
  assert.equal((await live.ask('progress', progressOf(id, 'writing', 1))).status, 204);
  const stranger = async (query = '') => {
    const headers = { 'x-forwarded-for': '10.0.0.9' };
    return kindOf(await (await appliance.ask(`/pxe/${mac}${query}`, { headers })).text());
  };
  assert.equal(await stranger(), 'wait');
  assert.equal(await stranger('?uuid=99999999-2222-3333-4444-555555555555&serial=X'), 'wait');
  const machine = await getMachine(appliance, mac);
  assert.deepEqual([machine.state.phase, machine.last_seen_ip], ['writing', '127.0.0.1']);
  assert.equal((await live.ask('progress', progressOf(id, 'writing', 2))).status, 204);
  now += 61_000;
  assert.equal(await stranger(), 'live');
  assert.equal((await live.ask('progress', progressOf(id, 'writing', 3))).status, 401);
});
