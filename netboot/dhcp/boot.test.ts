import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyone } from './address.ts';
import { hexOf, longIn, Option, textIn } from './option.ts';
import { encode, type Packet } from './packet.ts';
import type { Decision, Override } from './situation.ts';
import { ip, mac, message, place, policy, server, World } from './testing.ts';

const rules = (decision: Decision) => decision.reasons.map((reason) => reason.rule);
const file = (decision: Decision) => decision.reply?.packet.file;
const option = (decision: Decision, code: number) => {
  const value = decision.reply?.packet.options.get(code);
  return value === undefined ? null : hexOf(value);
};
const text = (decision: Decision, code: number) => textIn(decision.reply?.packet.options ?? new Map(), code);
const script = 'http://10.77.0.1:8080/pxe-bootstrap.ipxe';
const ask = (mode: 'proxy' | 'full', packet: Packet) => new World(place(mode)).ask(packet);

test('BIOS is told to fetch undionly.kpxe at once, by a proxy and by a full server', () => {
  for (const mode of ['proxy', 'full'] as const) {
    const offer = ask(mode, message('discover', { arch: 0 }));
    assert.equal(file(offer), 'undionly.kpxe');
    assert.equal(offer.reply?.packet.siaddr, server);
    assert.equal(offer.reply?.packet.yiaddr, mode === 'proxy' ? 0 : ip('10.77.0.50'));
    assert.equal(text(offer, Option.vendorClass), 'PXEClient');
    assert.equal(option(offer, Option.vendorSpecific), '060108ff');
    assert.equal(longIn(offer.reply?.packet.options ?? new Map(), Option.serverIdentifier), server);
    assert.equal(offer.reply?.form, mode === 'proxy' ? 'proxy-43' : 'full-43');
  }
});

test('UEFI beside another server gets an offer without option 43, and the file again from port 4011', () => {
  const world = new World(place('proxy'));
  const offer = world.ask(message('discover', { arch: 7 }));
  assert.equal(offer.reply?.form, 'proxy-4011');
  assert.equal(option(offer, Option.vendorSpecific), null);
  assert.equal(file(offer), 'snponly.efi');
  const request = message('request', { arch: 7, ciaddr: ip('10.77.0.150') });
  const from = { address: ip('10.77.0.150'), port: 4011 };
  const ack = world.ask(request, { port: 4011, from, unicast: true });
  assert.deepEqual(ack.reply?.to, from);
  assert.equal(ack.reply?.packet.options.get(Option.messageType)?.[0], 5);
  assert.equal(ack.reply?.packet.ciaddr, ip('10.77.0.150'));
  assert.equal(ack.reply?.packet.yiaddr, 0);
  assert.equal(file(ack), 'snponly.efi');
});

test('UEFI of a full server gets address and file in one offer that needs no port 4011', () => {
  const offer = ask('full', message('discover', { arch: 7 }));
  assert.equal(offer.reply?.form, 'full-43');
  assert.equal(option(offer, Option.vendorSpecific), '060108ff');
  assert.equal(file(offer), 'snponly.efi');
});

test('port 4011 echoes the boot item that was asked for', () => {
  const options = [[43, Uint8Array.of(71, 4, 0, 1, 0, 0, 255)]] as const;
  const request = message('request', { arch: 0, ciaddr: ip('10.77.0.150'), options });
  const ack = new World(place('proxy')).ask(request, { port: 4011, unicast: true });
  assert.equal(option(ack, 43), '060108470400010000ff');
});

test('every architecture gets its file, and those that nothing boots get none', () => {
  const files = new Map<number, string | undefined>();
  for (let code = 0; code <= 0x2a; code++) {
    const found = file(ask('proxy', message('discover', { arch: code })));
    if (found !== undefined) files.set(code, found);
  }
  assert.deepEqual(
    [...files].map(([code, name]) => `${code.toString(16)} ${name}`),
    [
      '0 undionly.kpxe',
      '6 i386/snponly.efi',
      '7 snponly.efi',
      '9 snponly.efi',
      'a arm32/snponly.efi',
      'b arm64/snponly.efi',
      'f http://10.77.0.1:8080/boot/i386/snponly.efi',
      '10 http://10.77.0.1:8080/boot/snponly.efi',
      '11 http://10.77.0.1:8080/boot/snponly.efi',
      '12 http://10.77.0.1:8080/boot/arm32/snponly.efi',
      '13 http://10.77.0.1:8080/boot/arm64/snponly.efi',
      '14 http://10.77.0.1:8080/boot/undionly.kpxe',
      '1b riscv64/snponly.efi',
      '1c http://10.77.0.1:8080/boot/riscv64/snponly.efi',
      '27 loong64/snponly.efi',
      '28 http://10.77.0.1:8080/boot/loong64/snponly.efi',
    ],
  );
});

test('HTTP boot gets HTTPClient and the whole URL', () => {
  for (const mode of ['proxy', 'full'] as const) {
    const offer = ask(mode, message('discover', { arch: 16 }));
    assert.equal(text(offer, Option.vendorClass), 'HTTPClient');
    assert.equal(text(offer, Option.bootFileName), 'http://10.77.0.1:8080/boot/snponly.efi');
    assert.equal(option(offer, Option.vendorSpecific), null);
    assert.equal(text(offer, Option.tftpServerName), null);
  }
});

test('the loop guard: our user class, then a capable iPXE, go to the script', () => {
  const ours = ask('proxy', message('discover', { arch: 7, userClass: 'bty', features: [] }));
  assert.ok(rules(ours).includes('ipxe-ours'));
  assert.equal(file(ours), script);
  const capable = ask('proxy', message('discover', { arch: 7, userClass: 'iPXE' }));
  assert.ok(rules(capable).includes('ipxe-capable'));
  assert.equal(file(capable), script);
  assert.equal(text(capable, Option.vendorClass), 'PXEClient');
  const full = ask('full', message('discover', { arch: 0, features: ['http', 'bzimage'] }));
  assert.equal(file(full), script);
  assert.equal(option(full, Option.ipxe), 'b00101');
});

test('an iPXE without HTTP loads ours by a whole URL once, and the script when it comes back', () => {
  const world = new World(place('proxy'));
  const poor = message('discover', { arch: 0, userClass: 'iPXE', features: ['bzimage'] });
  const first = world.ask(poor);
  assert.ok(rules(first).includes('ipxe-replaced'));
  assert.equal(file(first), 'tftp://10.77.0.1/undionly.kpxe');
  world.now += 20_000;
  const second = world.ask(poor);
  assert.ok(rules(second).includes('ipxe-chained'));
  assert.equal(file(second), script);
});

test('a machine that fetches again and again without asking for a script is stopped, until it asks', () => {
  const world = new World(place('full'));
  const discover = message('discover', { arch: 7 });
  world.ask(discover);
  for (let count = 0; count < 4; count++) world.memory.fetched(mac, world.now + count * 1000);
  world.now += 5000;
  const stopped = world.ask(discover);
  assert.equal(stopped.alarm?.kind, 'boot-loop');
  assert.equal(file(stopped), '');
  assert.equal(stopped.reply?.packet.siaddr, 0);
  assert.equal(stopped.reply?.packet.yiaddr, ip('10.77.0.50'));
  world.memory.scripted(mac);
  assert.equal(file(world.ask(discover)), 'snponly.efi');
});

test('the loop is forgotten after two minutes', () => {
  const world = new World(place('proxy'));
  for (let count = 0; count < 9; count++) world.memory.fetched(mac, world.now);
  assert.equal(world.ask(message('discover', { arch: 7 })).reply, null);
  world.now += 121_000;
  assert.notEqual(world.ask(message('discover', { arch: 7 })).reply, null);
});

test('a proxy answers nobody who does not ask to boot, and no REQUEST for another server', () => {
  const world = new World(place('proxy'));
  assert.equal(world.ask(message('discover')).reply, null);
  const foreign = world.ask(
    message('request', { arch: 0, chosen: ip('10.77.0.2'), wanted: ip('10.77.0.9') }),
  );
  assert.equal(foreign.reply, null);
  assert.equal(foreign.foreign, ip('10.77.0.2'));
  const renewing = world.ask(message('request', { arch: 0, ciaddr: ip('10.77.0.9') }));
  assert.equal(renewing.reply, null);
  assert.equal(world.ask(message('release', { arch: 0 })).reply, null);
  const ours = world.ask(message('request', { arch: 0, chosen: server }));
  assert.equal(ours.reply?.packet.options.get(Option.messageType)?.[0], 5);
  assert.equal(world.book.size, 0);
});

test('off means silence', () => {
  assert.equal(new World(place('off')).ask(message('discover', { arch: 7 })).reply, null);
});

test('a missing boot file leaves the offer without one, and says so', () => {
  const world = new World(place('full'));
  world.boot = { ...policy, has: () => false };
  const offer = world.ask(message('discover', { arch: 7 }));
  assert.ok(rules(offer).includes('file-missing'));
  assert.equal(file(offer), '');
  assert.equal(offer.reply?.packet.yiaddr, ip('10.77.0.50'));
});

test('a machine or a vendor class can be given another build, file or form', () => {
  const world = new World(place('proxy'));
  const set = (override: Partial<Override>) => {
    const whole = { flavor: null, file: null, form: null, ...override };
    world.boot = { ...policy, overrideFor: () => ({ override: whole, from: 'this machine' }) };
    return world.ask(message('discover', { arch: 7 }));
  };
  assert.equal(file(set({ flavor: 'ipxe' })), 'ipxe.efi');
  assert.equal(file(set({ flavor: 'native' })), 'shimx64.efi');
  assert.equal(file(set({ file: 'odd.efi' })), 'odd.efi');
  const formed = set({ form: 'proxy-67' });
  assert.equal(formed.reply?.form, 'proxy-67');
  assert.equal(file(formed), '');
  assert.equal(text(formed, Option.bootFileName), 'snponly.efi');
});

test('the ladder: forms that lead to nothing are followed by the next, and what worked is remembered', () => {
  const world = new World(place('proxy'));
  const forms: (string | undefined)[] = [];
  const discover = (client = mac) => {
    world.now += 4000;
    const packet = message('discover', {
      mac: client,
      arch: 7,
      xid: world.now & 0xffff,
      secs: forms.length * 4,
    });
    return world.ask(packet).reply?.form;
  };
  for (let count = 0; count < 7; count++) forms.push(discover());
  assert.deepEqual(forms, [
    'proxy-4011',
    'proxy-4011',
    'proxy-43',
    'proxy-43',
    'proxy-67',
    'proxy-67',
    'proxy-4011',
  ]);
  discover();
  assert.equal(discover(), 'proxy-43');
  world.memory.fetched(mac, world.now);
  assert.equal(discover(), 'proxy-43', 'remembered for the machine');
  assert.equal(discover('52:54:00:77:00:99'), 'proxy-43', 'and for its class');
});

test('the same DISCOVER heard twice at once climbs no ladder', () => {
  const world = new World(place('full'));
  const packet = message('discover', { arch: 7, xid: 5 });
  for (let count = 0; count < 6; count++) assert.equal(world.ask(packet).reply?.form, 'full-43');
});

test('what the client sent is echoed: UUID, identifier; and the reply has at least 300 bytes', () => {
  const machine = Uint8Array.of(0, ...Buffer.from('00112233445566778899aabbccddeeff', 'hex'));
  const options = [
    [97, machine],
    [61, Uint8Array.of(0, 9)],
  ] as const;
  const offer = ask('proxy', message('discover', { arch: 7, options }));
  assert.equal(option(offer, 97), hexOf(machine));
  assert.equal(option(offer, 61), '0009');
  assert.equal(offer.client.uuid, '33221100-5544-7766-8899-aabbccddeeff');
  assert.ok(offer.reply);
  assert.equal(encode(offer.reply.packet, offer.reply).bytes.length >= 300, true);
  assert.deepEqual(offer.reply.to, { address: everyone, port: 68 });
});

test('boot item 13, a file size, is never sent, and no option follows a file name', () => {
  for (const arch of [0, 7, 16]) {
    const offer = ask('full', message('discover', { arch }));
    assert.ok(offer.reply);
    assert.equal(offer.reply.packet.options.has(13), false);
    const { bytes } = encode(offer.reply.packet, offer.reply);
    const codes: number[] = [];
    for (let at = 240; bytes[at] !== 255; at += 2 + (bytes[at + 1] ?? 0)) codes.push(bytes[at] ?? 0);
    assert.equal(codes.at(-1), 67);
  }
});

test('nothing is sent to an address of a foreign network that somebody wrote into a packet', () => {
  for (const mode of ['proxy', 'full'] as const) {
    const world = new World(place(mode));
    const stranger = { address: ip('203.0.113.9'), port: 4011 };
    const asked = message('request', { arch: 7, ciaddr: ip('10.77.0.150') });
    const boot = world.ask(asked, { port: 4011, from: stranger, unicast: true });
    assert.equal(boot.reply, null);
    assert.deepEqual(rules(boot), ['elsewhere']);
    const chosen = message('request', { arch: 7, ciaddr: ip('203.0.113.9'), chosen: server });
    const decision = world.ask(chosen);
    assert.notEqual(decision.reply?.to.address, ip('203.0.113.9'));
    // Machines behind a relay are of a network that the operator named.
    const near = { address: ip('10.88.0.50'), port: 4011 };
    assert.deepEqual(world.ask(asked, { port: 4011, from: near, unicast: true }).reply?.to, near);
  }
});
