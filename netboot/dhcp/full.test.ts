import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyone, formatAddress } from './address.ts';
import { quarantine } from './full.ts';
import { addressBytes, addressIn, hexOf, longIn, Option, routesIn } from './option.ts';
import { broadcastFlag } from './packet.ts';
import type { Decision } from './situation.ts';
import { ip, mac, message, place, server, start, World } from './testing.ts';

const other = '52:54:00:77:00:02';
const rule = (decision: Decision) => decision.reasons.at(-1)?.rule;
const rules = (decision: Decision) => decision.reasons.map((reason) => reason.rule);
const given = (decision: Decision) => formatAddress(decision.reply?.packet.yiaddr ?? 0);
const typeOf = (decision: Decision) => decision.reply?.packet.options.get(Option.messageType)?.[0] ?? null;

test('a client discovers, requests and holds an address with everything that its network needs', () => {
  const world = new World(place('full'));
  const offer = world.ask(message('discover'));
  assert.equal(given(offer), '10.77.0.50');
  assert.equal(typeOf(offer), 2);
  assert.equal(offer.probe, ip('10.77.0.50'));
  assert.deepEqual(offer.reply?.to, { address: everyone, port: 68 });
  const wanted = ip('10.77.0.50');
  const ack = world.ask(message('request', { wanted, chosen: server }));
  assert.equal(typeOf(ack), 5);
  assert.equal(given(ack), '10.77.0.50');
  const options = ack.reply?.packet.options ?? new Map();
  assert.equal(longIn(options, Option.leaseTime), 900);
  assert.equal(longIn(options, Option.renewalTime), 450);
  assert.equal(longIn(options, Option.rebindingTime), 787);
  assert.equal(addressIn(options, Option.subnetMask), ip('255.255.255.0'));
  assert.equal(addressIn(options, Option.router), ip('10.77.0.254'));
  assert.equal(addressIn(options, Option.domainNameServer), ip('10.77.0.253'));
  assert.equal(Buffer.from(options.get(Option.domainName) ?? []).toString(), 'lab.example');
  assert.equal(options.has(Option.ntpServers), false);
  assert.equal(world.book.at(wanted)?.state, 'bound');
  assert.equal(world.book.at(wanted)?.expires, start + 900_000);
});

test('time servers and classless routes go to who asks, with the default route among the routes', () => {
  const world = new World(place('full'));
  const list = Uint8Array.of(Option.classlessRoutes, Option.ntpServers, Option.broadcastAddress);
  const offer = world.ask(message('discover', { options: [[Option.parameterList, list]] }));
  const options = offer.reply?.packet.options ?? new Map();
  assert.equal(addressIn(options, Option.ntpServers), ip('10.77.0.252'));
  assert.equal(addressIn(options, Option.broadcastAddress), ip('10.77.0.255'));
  assert.deepEqual(routesIn(options), [
    { network: ip('192.168.0.0'), prefix: 16, gateway: ip('10.77.0.251') },
    { network: 0, prefix: 0, gateway: ip('10.77.0.254') },
  ]);
});

test('the same client gets the same address, whatever identifier its firmware or system chooses', () => {
  const world = new World(place('full'));
  assert.equal(world.lease(mac), '10.77.0.50');
  const identifier = Uint8Array.of(255, 1, 2, 3, 4);
  const again = world.ask(message('discover', { options: [[Option.clientIdentifier, identifier]] }));
  assert.equal(given(again), '10.77.0.50');
  assert.equal(again.probe, null);
  assert.equal(
    hexOf(again.reply?.packet.options.get(Option.clientIdentifier) ?? new Uint8Array()),
    'ff01020304',
  );
  world.now += 3_600_000;
  assert.equal(given(world.ask(message('discover', { mac: other }))), '10.77.0.51');
  assert.equal(given(world.ask(message('discover'))), '10.77.0.50');
});

test('by identifier, two systems behind one network card get two addresses', () => {
  const world = new World(place('full', { leaseBy: 'identifier' }));
  const one = world.ask(message('discover', { options: [[61, Uint8Array.of(0, 1)]] }));
  const two = world.ask(message('discover', { options: [[61, Uint8Array.of(0, 2)]] }));
  assert.notEqual(given(one), given(two));
});

test('a requested address is given when it is free, and another one when it is not', () => {
  const world = new World(place('full'));
  assert.equal(given(world.ask(message('discover', { wanted: ip('10.77.0.55') }))), '10.77.0.55');
  assert.equal(given(world.ask(message('discover', { mac: other, wanted: ip('10.77.0.55') }))), '10.77.0.50');
  assert.equal(given(world.ask(message('discover', { mac: other, wanted: server }))), '10.77.0.50');
});

test("a reservation comes before everything and is nobody else's", () => {
  const world = new World(place('full'));
  world.book.reserve({ mac, address: ip('10.77.0.52'), hostName: 'node1' });
  world.book.reserve({ mac: other, address: ip('10.77.0.200'), hostName: null });
  assert.equal(world.lease(other), '10.77.0.200');
  const offer = world.ask(message('discover', { wanted: ip('10.77.0.55') }));
  assert.equal(given(offer), '10.77.0.52');
  assert.equal(offer.probe, null);
  assert.equal(Buffer.from(offer.reply?.packet.options.get(12) ?? []).toString(), 'node1');
  const third = world.ask(
    message('request', { mac: '52:54:00:77:00:03', wanted: ip('10.77.0.52'), chosen: server }),
  );
  assert.equal(typeOf(third), 6);
});

test("a client that took another server's offer frees ours and hears nothing", () => {
  const world = new World(place('full'));
  world.ask(message('discover'));
  const decision = world.ask(message('request', { wanted: ip('10.77.0.9'), chosen: ip('10.77.0.2') }));
  assert.equal(decision.reply, null);
  assert.equal(rule(decision), 'other-server');
  assert.equal(decision.foreign, ip('10.77.0.2'));
  assert.equal(given(world.ask(message('discover', { mac: other }))), '10.77.0.51');
  world.now += 1;
  assert.equal(world.book.ofClient('1/525400770001'), null);
});

test('init-reboot, renewing and rebinding extend the lease that the client has', () => {
  const world = new World(place('full'));
  const wanted = ip(world.lease(mac));
  for (const [packet, unicast, name] of [
    [message('request', { wanted }), false, 'init-reboot'],
    [message('request', { ciaddr: wanted }), true, 'renewing'],
    [message('request', { ciaddr: wanted }), false, 'rebinding'],
  ] as const) {
    world.now += 100_000;
    const ack = world.ask(packet, { unicast });
    assert.equal(typeOf(ack), 5);
    assert.ok(rules(ack).includes(name), `${rules(ack)}`);
    assert.equal(world.book.at(wanted)?.expires, world.now + 900_000);
    const to = packet.ciaddr === 0 ? everyone : wanted;
    assert.deepEqual(ack.reply?.to, { address: to, port: 68 });
  }
});

test('an authoritative server sends clients of another network home, another one stays silent', () => {
  const strange = message('request', { wanted: ip('192.168.1.5') });
  const nak = new World(place('full')).ask(strange);
  assert.equal(typeOf(nak), 6);
  assert.deepEqual(nak.reply?.to, { address: everyone, port: 68 });
  const silent = new World(place('full', { authoritative: false })).ask(strange);
  assert.equal(silent.reply, null);
  assert.equal(rule(silent), 'not-authoritative');
});

test('after a lost book, clients keep their addresses unless another one has them', () => {
  const world = new World(place('full'));
  const wanted = ip('10.77.0.58');
  const renewed = world.ask(message('request', { ciaddr: wanted }), { unicast: true });
  assert.equal(typeOf(renewed), 5);
  const taken = world.ask(message('request', { mac: other, ciaddr: wanted }), { unicast: true });
  assert.equal(typeOf(taken), 6);
});

test('a declined address is avoided for an hour, and only its holder can decline it', () => {
  const world = new World(place('full'));
  const wanted = ip(world.lease(mac));
  const spoofed = world.ask(message('decline', { mac: other, wanted, chosen: server }));
  assert.equal(rule(spoofed), 'decline-ignored');
  const declined = world.ask(message('decline', { wanted, chosen: server }));
  assert.equal(declined.alarm?.kind, 'declined');
  assert.equal(given(world.ask(message('discover'))), '10.77.0.51');
  world.now += quarantine + 1;
  for (let number = 10; number < 20; number++) world.lease(`52:54:00:77:01:${number}`);
  assert.equal(world.lease('52:54:00:77:01:99'), '10.77.0.50');
});

test('a released address is kept for its client as long as another one is free', () => {
  const world = new World(place('full'));
  const held = ip(world.lease(mac));
  const spoofed = world.ask(message('release', { mac: other, ciaddr: held, chosen: server }));
  assert.equal(rule(spoofed), 'release-ignored');
  assert.equal(rule(world.ask(message('release', { ciaddr: held, chosen: server }))), 'released');
  assert.equal(world.book.at(held)?.expires, world.now);
  assert.equal(world.lease(other), '10.77.0.51');
  assert.equal(world.lease(mac), '10.77.0.50');
});

test('INFORM is answered without an address and without times', () => {
  const world = new World(place('full'));
  const ack = world.ask(message('inform', { ciaddr: ip('10.77.0.77') }), { unicast: true });
  assert.equal(typeOf(ack), 5);
  assert.equal(ack.reply?.packet.yiaddr, 0);
  assert.deepEqual(ack.reply?.to, { address: ip('10.77.0.77'), port: 68 });
  for (const code of [51, 58, 59]) assert.equal(ack.reply?.packet.options.has(code), false);
  assert.equal(world.book.size, 0);
});

test('a relay chooses the network: by its address, its link selection, or option 118 before both', () => {
  const world = new World(place('full'));
  const giaddr = ip('10.88.0.1');
  const offer = world.ask(message('discover', { giaddr }));
  assert.equal(given(offer), '10.88.0.50');
  assert.deepEqual(offer.reply?.to, { address: giaddr, port: 67 });
  const information = Uint8Array.of(1, 2, 7, 7, 5, 4, ...addressBytes(ip('10.77.0.0')));
  const linked = world.ask(message('discover', { mac: other, giaddr, options: [[82, information]] }));
  assert.equal(given(linked), '10.77.0.50');
  assert.equal(hexOf(linked.reply?.packet.options.get(82) ?? new Uint8Array()), hexOf(information));
  const selected = world.ask(
    message('discover', {
      mac: '52:54:00:77:00:03',
      options: [[118, addressBytes(ip('10.88.0.0'))]],
    }),
  );
  assert.equal(given(selected), '10.88.0.51');
  assert.deepEqual(selected.reply?.packet.options.get(118), Buffer.from(addressBytes(ip('10.88.0.0'))));
});

test("a relay's server identifier is who we are (RFC 5107)", () => {
  const world = new World(place('full'));
  const relay = ip('10.88.0.1');
  const information = Uint8Array.of(11, 4, ...addressBytes(relay));
  const options = [[82, information]] as const;
  const offer = world.ask(message('discover', { giaddr: relay, options }));
  assert.equal(addressIn(offer.reply?.packet.options ?? new Map(), 54), relay);
  const wanted = offer.reply?.packet.yiaddr ?? 0;
  assert.equal(typeOf(world.ask(message('request', { giaddr: relay, wanted, chosen: relay, options }))), 5);
});

test('a NAK through a relay asks it to broadcast', () => {
  const giaddr = ip('10.88.0.1');
  const nak = new World(place('full')).ask(message('request', { giaddr, wanted: ip('192.168.1.5') }));
  assert.equal(typeOf(nak), 6);
  assert.deepEqual(nak.reply?.to, { address: giaddr, port: 67 });
  assert.equal((nak.reply?.packet.flags ?? 0) & broadcastFlag, broadcastFlag);
});

test('made-up relays are not believed', () => {
  const world = new World(place('full'));
  for (const giaddr of [ip('8.8.8.8'), server, everyone]) {
    const decision = world.ask(message('discover', { giaddr }));
    assert.equal(decision.reply, null);
    assert.equal(rule(decision), 'relay-unknown');
  }
  assert.equal(world.book.size, 0);
});

test('a flood of DISCOVERs cannot lock the pool for long, and known machines are served through it', () => {
  const world = new World(place('full'));
  assert.equal(world.lease(mac), '10.77.0.50');
  let silent = 0;
  for (let number = 0; number < 200; number++) {
    const client = `52:54:00:88:00:${number.toString(16).padStart(2, '0')}`;
    const decision = world.ask(message('discover', { mac: client }));
    if (decision.reply === null) silent++;
    if (decision.reply === null) assert.equal(decision.alarm?.kind, 'pool-empty');
  }
  assert.equal(silent, 190);
  assert.equal(given(world.ask(message('discover'))), '10.77.0.50');
  world.now += 2500;
  assert.notEqual(world.lease('52:54:00:77:00:09'), '0.0.0.0');
});

test("an address that answers is never offered: not our own, not the network's, not the broadcast", () => {
  const checked = place('full');
  const all = {
    ...checked.subnets[0],
    pools: [[ip('10.77.0.1'), ip('10.77.0.3')]],
  } as (typeof checked.subnets)[0];
  const world = new World({ ...checked, subnets: [all] });
  assert.equal(world.lease(mac), '10.77.0.2');
  assert.equal(world.lease(other), '10.77.0.3');
});

test('a reply never exceeds what the client takes', () => {
  const world = new World(place('full'));
  const small = world.ask(message('discover', { options: [[57, Uint8Array.of(0, 100)]] }));
  assert.equal(small.reply?.maximum, 548);
  const big = world.ask(message('discover', { options: [[57, Uint8Array.of(0xff, 0xff)]] }));
  assert.equal(big.reply?.maximum, 1472);
});
