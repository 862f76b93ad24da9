/** Real clients, servers and relays against the DHCP server, each in a network namespace that the test makes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Lab, lacks, Stand } from './lab.ts';

async function lab(context: TestContext): Promise<Lab> {
  const made = await Lab.make();
  context.after(() => made.close());
  return made;
}

const full = { interface: 'lab0', mode: 'full' } as const;
const proxy = { interface: 'lab0', mode: 'proxy' } as const;
/** udhcpc once, with a script that prints what it was told. */
const udhcpc = (device: string, ...more: readonly string[]) => [
  'udhcpc',
  '-i',
  device,
  '-n',
  '-q',
  '-f',
  '-t',
  '30',
  '-T',
  '2',
  '-s',
  '/bin/true',
  ...more,
];
const leased = (text: string) => /lease of ([0-9.]+) obtained/.exec(text)?.[1] ?? null;

test('udhcpc gets a lease, renews it and releases it', { skip: lacks('busybox') }, async (context) => {
  const net = await lab(context);
  const [here, there] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [there, 'eth0']);
  const stand = await Stand.start(net, here, { interfaces: [full] });
  const client = net.start(there, 'busybox', [
    ...udhcpc('eth0', '-R').filter((flag) => flag !== '-q' && flag !== '-n'),
  ]);
  const line = await client.line((text) => text.includes('obtained'));
  const address = leased(line);
  assert.match(address ?? '', /^10\.77\.0\.\d+$/);
  // The lease's address is configured by hand since the script is /bin/true; a renewal is unicast from it.
  await net.ip('-n', there, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  client.child.kill('SIGUSR1');
  await stand.sees('"request":"renewing"', `"wanted":"${address}"`);
  await stand.sees('"kind":"ack"', `"assigned":"${address}"`);
  client.child.kill('SIGTERM');
  await stand.sees('"kind":"release"', `"released":"${address}"`);
  await client.ended;
});

test('dhclient gets a lease with its options, and gives it back', {
  skip: lacks('dhclient'),
}, async (context) => {
  const net = await lab(context);
  const [here, there] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [there, 'eth0']);
  const subnet = { network: '10.77.0.0/24', router: '10.77.0.1', dns: ['10.77.0.1'], domain: 'lab.example' };
  const stand = await Stand.start(net, here, { interfaces: [{ ...full, subnets: [subnet] }] });
  const files = ['-cf', '/dev/null', '-lf', join(net.folder, 'leases'), '-pf', join(net.folder, 'pid')];
  const arguments_ = [...files, '-sf', '/bin/true', '-v', 'eth0'];
  const got = await net.run(there, 'timeout', ['240', 'dhclient', '-1', ...arguments_]);
  assert.match(got.text, /DHCPACK of 10\.77\.0\.\d+ from 10\.77\.0\.1/, got.text);
  const { readFile } = await import('node:fs/promises');
  const leases = await readFile(join(net.folder, 'leases'), 'utf8');
  assert.match(leases, /option routers 10\.77\.0\.1;/);
  assert.match(leases, /option domain-name "lab\.example";/);
  // The script that would give the interface its address is /bin/true, and a release is sent from that address.
  const address = /DHCPACK of ([0-9.]+)/.exec(got.text)?.[1] ?? '';
  await net.ip('-n', there, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  await net.run(there, 'timeout', ['240', 'dhclient', '-r', ...arguments_]);
  await stand.sees('"kind":"release"');
});

test('beside a dnsmasq that leases addresses, a proxy adds the boot file and leases nothing', {
  skip: lacks('dnsmasq', 'busybox'),
}, async (context) => {
  const net = await lab(context);
  const [here, router, there] = [await net.space(), await net.space(), await net.space()];
  await bridge(net, here, 'lab0', '10.77.0.1/24');
  await plug(net, here, 'lab0', router, '10.77.0.2/24');
  await plug(net, here, 'lab0', there);
  await dnsmasq(net, router);
  const stand = await Stand.start(net, here, { interfaces: [proxy] });
  const boot = await net.run(
    there,
    'busybox',
    udhcpc('eth0', '-V', 'PXEClient:Arch:00007:UNDI:003016', '-x', '93:0007'),
  );
  assert.match(boot.text, /server 10\.77\.0\.2/, boot.text);
  await stand.sees('"kind":"offer"', '"form":"proxy-4011"', '"bootFile":"snponly.efi"', '"offered":null');
  await stand.sees('"kind":"request"', '"server":"10.77.0.2"', '"ours":false');
  const plain = await net.run(there, 'busybox', udhcpc('eth0'));
  assert.match(plain.text, /server 10\.77\.0\.2/, plain.text);
  await stand.sees('"kind":"ignored"', 'a proxy answers only who asks to boot');
  assert.equal(stand.running.output().includes('"kind":"ack"'), false);
});

test('full mode does not start beside another DHCP server, names it, and starts anyway when told to', {
  skip: lacks('dnsmasq'),
}, async (context) => {
  const net = await lab(context);
  const [here, router] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [router, 'eth0', '10.77.0.2/24']);
  await dnsmasq(net, router);
  const stand = await Stand.start(net, here, { interfaces: [] });
  const refused = await stand.order({ settings: { interfaces: [full] } });
  const text = JSON.stringify(refused);
  assert.ok(text.includes('FOREIGN_DHCP_SERVER') && text.includes('10.77.0.2'), text);
  const done = await stand.order({ settings: { interfaces: [{ ...full, anyway: true }] } });
  assert.ok(JSON.stringify(done).includes('"mode":"full"'), JSON.stringify(done));
  await stand.sees('"kind":"foreign-server"', '10.77.0.2');
});

test('a port that another program holds on the interface names that program; other interfaces go on', {
  skip: lacks('dnsmasq', 'busybox'),
}, async (context) => {
  const net = await lab(context);
  const [here, one, two] = [await net.space(), await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [one, 'eth0']);
  await net.cable([here, 'lab1', '10.78.0.1/24'], [two, 'eth0']);
  const rival = net.start(here, 'dnsmasq', dnsmasqFlags('lab0', '10.77.0'));
  await rival.line((text) => text.includes('started') || text.includes('DHCP, IP range'));
  const stand = await Stand.start(net, here, { interfaces: [{ ...full, interface: 'lab1' }] });
  const refused = await stand.order({
    settings: { interfaces: [{ ...full, interface: 'lab1' }, { ...proxy }] },
  });
  const text = JSON.stringify(refused);
  assert.ok(text.includes('PORT_TAKEN') && text.includes(`dnsmasq (process ${rival.child.pid})`), text);
  const client = await net.run(two, 'busybox', udhcpc('eth0'));
  assert.match(leased(client.text) ?? '', /^10\.78\.0\./, client.text);
});

test('two interfaces do not leak into each other: each client hears only its own server', {
  skip: lacks('busybox', 'tcpdump'),
}, async (context) => {
  const net = await lab(context);
  const [here, one, two] = [await net.space(), await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [one, 'eth0']);
  await net.cable([here, 'lab1', '10.78.0.1/24'], [two, 'eth0']);
  await Stand.start(net, here, { interfaces: [full, { ...full, interface: 'lab1' }] });
  const dump = net.start(one, 'tcpdump', ['-n', '-l', '-i', 'eth0', 'udp', 'port', '67', 'or', 'port', '68']);
  await dump.line((text) => text.includes('listening on'));
  const second = await net.run(two, 'busybox', udhcpc('eth0'));
  assert.match(leased(second.text) ?? '', /^10\.78\.0\./, second.text);
  const first = await net.run(one, 'busybox', udhcpc('eth0'));
  assert.match(leased(first.text) ?? '', /^10\.77\.0\./, first.text);
  await dump.line((text) => text.includes('10.77.0.1.67 >'));
  assert.equal(dump.output().includes('10.78.0.1'), false, dump.output());
});

test('a relay brings clients of a network that is not ours', {
  skip: lacks('dhcrelay', 'busybox'),
}, async (context) => {
  const net = await lab(context);
  const [here, relay, there] = [await net.space(), await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [relay, 'up0', '10.77.0.2/24']);
  await net.cable([relay, 'down0', '10.88.0.1/24'], [there, 'eth0']);
  await net.ip('-n', here, 'route', 'add', '10.88.0.0/24', 'via', '10.77.0.2');
  const subnets = [{ network: '10.77.0.0/24' }, { network: '10.88.0.0/24', router: '10.88.0.1' }];
  const stand = await Stand.start(net, here, { interfaces: [{ ...full, subnets }] });
  const program = net.start(relay, 'dhcrelay', ['-4', '-d', '-a', '-iu', 'up0', '-id', 'down0', '10.77.0.1']);
  await program.line((text) => text.includes('Sending on'));
  const client = await net.run(there, 'busybox', udhcpc('eth0', '-T', '4'));
  assert.match(leased(client.text) ?? '', /^10\.88\.0\./, `${client.text}\n${program.output()}`);
  await stand.sees('"kind":"discover"', '"relay":"10.88.0.1"');
});

test('an address that a stranger uses is noticed before it is offered', {
  skip: lacks('busybox'),
}, async (context) => {
  const net = await lab(context);
  const [here, squatter, there] = [await net.space(), await net.space(), await net.space()];
  await bridge(net, here, 'lab0', '10.77.0.1/24');
  await plug(net, here, 'lab0', squatter, '10.77.0.64/24');
  await plug(net, here, 'lab0', there);
  const stand = await Stand.start(net, here, { interfaces: [full] });
  const client = await net.run(there, 'busybox', udhcpc('eth0'));
  assert.equal(leased(client.text), '10.77.0.65', client.text);
  await stand.sees('"kind":"conflict"', '10.77.0.64');
});

test('a changed setting moves the server to another interface while it runs; an interface that comes later is taken up', {
  skip: lacks('busybox'),
}, async (context) => {
  const net = await lab(context);
  const [here, one, two] = [await net.space(), await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [one, 'eth0']);
  const stand = await Stand.start(net, here, { interfaces: [full] });
  const missing = await stand.order({ settings: { interfaces: [{ ...full, interface: 'lab1' }] } });
  assert.ok(JSON.stringify(missing).includes('NO_SUCH_INTERFACE'));
  assert.notEqual(leased((await net.run(one, 'busybox', udhcpc('eth0'))).text), null);
  await net.cable([here, 'lab1', '10.78.0.1/24'], [two, 'eth0']);
  const moved = await stand.order({ settings: { interfaces: [{ ...full, interface: 'lab1' }] } });
  assert.ok('done' in moved, JSON.stringify(moved));
  assert.match(leased((await net.run(two, 'busybox', udhcpc('eth0'))).text) ?? '', /^10\.78/);
  const silent = await net.run(one, 'busybox', [...udhcpc('eth0'), '-t', '1', '-T', '1']);
  assert.equal(leased(silent.text), null);
  // The same name, another interface: sockets of the old one would hear nothing.
  await net.ip('-n', here, 'link', 'del', 'lab1');
  await net.cable([here, 'lab1', '10.79.0.1/24'], [two, 'eth0']);
  await stand.sees('"kind":"discover"').catch(() => {});
  let again: string | null = null;
  for (let tries = 0; tries < 20 && again === null; tries++) {
    again = leased((await net.run(two, 'busybox', udhcpc('eth0', '-t', '4'))).text);
  }
  assert.match(again ?? '', /^10\.79/);
});

test('garbage and floods leave the server serving', { skip: lacks('busybox') }, async (context) => {
  const net = await lab(context);
  const [here, there] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/24'], [there, 'eth0', '10.77.0.200/24']);
  await Stand.start(net, here, { interfaces: [full] });
  const flood = join(net.folder, 'flood.mjs');
  await writeFile(flood, floodProgram);
  const { code, text } = await net.node(there, flood, []).ended.then((ended) => ({ code: ended, text: '' }));
  assert.equal(code, 0, text);
  const client = await net.run(there, 'busybox', udhcpc('eth0'));
  assert.match(leased(client.text) ?? '', /^10\.77\.0\./, client.text);
});

/** Random datagrams, DISCOVERs of random machines, and DISCOVERs through made-up relays. */
const floodProgram = `
import { createSocket } from 'node:dgram';
import { randomBytes } from 'node:crypto';
const socket = createSocket('udp4');
await new Promise((done) => socket.bind(0, done));
socket.setBroadcast(true);
const send = (bytes) => new Promise((done) => socket.send(bytes, 67, '10.77.0.1', done));
const discover = (relay) => {
  const bytes = Buffer.alloc(300);
  bytes.set([1, 1, 6, 0]);
  randomBytes(4).copy(bytes, 4);
  if (relay) randomBytes(4).copy(bytes, 24);
  randomBytes(6).copy(bytes, 28);
  bytes[28] &= 0xfe;
  bytes.set([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255], 236);
  return bytes;
};
for (let count = 0; count < 3000; count++) {
  await send(randomBytes(count % 1400));
  await send(discover(false));
  await send(discover(true));
}
socket.close();
`;

test('kill -9 in the middle of a storm loses no lease that was acknowledged', {
  skip: lacks('perfdhcp'),
}, async (context) => {
  const net = await lab(context);
  const [here, there] = [await net.space(), await net.space()];
  await net.cable([here, 'lab0', '10.77.0.1/16'], [there, 'eth0', '10.77.255.2/16']);
  const journal = join(net.folder, 'storm.journal');
  const first = await Stand.start(net, here, { interfaces: [full] }, { journal });
  const storm = net.start(there, 'perfdhcp', [
    '-4',
    '-r',
    '400',
    '-R',
    '100000',
    '-p',
    '300',
    '-l',
    'eth0',
    '10.77.0.1',
  ]);
  for (let count = 0; count < 300; count++) {
    await first.running.line((text) => text.includes('"kind":"ack"'), count);
  }
  first.running.child.kill('SIGKILL');
  await once(first.running.child, 'close');
  storm.child.kill('SIGTERM');
  const told = first.running
    .output()
    .split('\n')
    .filter((text) => text.includes('"kind":"ack"') && text.endsWith('}'))
    .map((text) => JSON.parse(text).step as { mac: string; assigned: string });
  assert.ok(told.length >= 300);
  const { Store } = await import('../store.ts');
  const { book, damaged } = await Store.read(journal);
  assert.ok(damaged <= 1, `${damaged} lines`);
  const held = new Map([...book.leases].map((lease) => [lease.address, lease]));
  const { parseAddress } = await import('../address.ts');
  for (const { mac, assigned } of told) {
    assert.equal(held.get(parseAddress(assigned) ?? 0)?.mac, mac, `${assigned} of ${mac}`);
  }
});

async function bridge(net: Lab, space: string, name: string, address: string): Promise<void> {
  await net.ip('-n', space, 'link', 'add', name, 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0');
  await net.ip('-n', space, 'addr', 'add', address, 'dev', name);
  await net.ip('-n', space, 'link', 'set', name, 'up');
}

let plugs = 0;
/** A cable from a port of the bridge to `eth0` of another namespace. */
async function plug(net: Lab, space: string, name: string, there: string, address?: string): Promise<void> {
  const port = `p${plugs++}`;
  await net.cable([space, port], address === undefined ? [there, 'eth0'] : [there, 'eth0', address]);
  await net.ip('-n', space, 'link', 'set', port, 'master', name);
}

function dnsmasqFlags(device: string, network: string): string[] {
  return [
    '-k',
    '--conf-file=/dev/null',
    '--port=0',
    `--interface=${device}`,
    '--except-interface=lo',
    '--bind-interfaces',
    `--dhcp-range=${network}.100,${network}.150,255.255.255.0,1h`,
    '--dhcp-authoritative',
    '--no-ping',
    '--leasefile-ro',
    '--log-facility=-',
    '--user=root',
    '--pid-file=',
  ];
}

async function dnsmasq(net: Lab, space: string): Promise<void> {
  const program = net.start(space, 'dnsmasq', dnsmasqFlags('eth0', '10.77.0'));
  await program.line((text) => text.includes('DHCP, IP range') || text.includes('started'));
}
