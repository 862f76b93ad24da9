import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { leastTime } from '../testing/time.ts';
import { identify } from './client.ts';
import { describe } from './describe.ts';
import { encode, type Packet, parse } from './packet.ts';
import { ip, place, World } from './testing.ts';

const folder = join(import.meta.dirname, 'golden');
const golden = new Map(
  readdirSync(folder)
    .filter((name) => name.endsWith('.hex'))
    .map((name) => {
      const text = readFileSync(join(folder, name), 'utf8').replace(/\s/g, '');
      return [name.replace('.hex', ''), new Uint8Array(Buffer.from(text, 'hex'))] as const;
    }),
);

function packet(name: string): Packet {
  const result = parse(golden.get(name) ?? new Uint8Array());
  if (result.kind === 'malformed') throw new Error(`${name}: ${result.problem}`);
  return result.packet;
}

test('what real clients sent is read, and written again to the same value', () => {
  assert.ok(golden.size >= 8);
  for (const name of golden.keys()) {
    const one = packet(name);
    const again = parse(encode(one, { maximum: 1472, overload: false }).bytes);
    assert.ok(again.kind === 'packet');
    assert.equal(
      describe(again.packet).split('\n').sort().join('\n'),
      describe(one).split('\n').sort().join('\n'),
    );
  }
});

test('real clients are known for what they are', () => {
  const kinds = [...golden.keys()].sort().map((name) => {
    const { kind, architecture, ipxe } = identify(packet(name));
    return `${name}: ${kind} ${architecture?.code ?? '-'} ${ipxe ? `capable ${ipxe.capable}` : ''}`.trim();
  });
  assert.deepEqual(kinds, [
    'dhclient-1-discover: plain -',
    'dhclient-2-request: plain -',
    'ovmf-http-1-discover: http 16',
    'ovmf-http-2-request: http 16',
    'ovmf-pxe-2-request: pxe 7',
    'ovmf-pxe-3-request-4011: pxe 7',
    'seabios-ipxe-rom-1-discover: ipxe 0 capable true',
    'seabios-ipxe-rom-2-request: ipxe 0 capable true',
    'udhcpc-1-discover: plain -',
  ]);
});

test('the ROM of QEMU is described as a person reads it', () => {
  const text = describe(packet('seabios-ipxe-rom-1-discover'));
  for (const line of [
    'DISCOVER of 52:54:00:77:00:01',
    '  option 93 architecture: 0 (x86 BIOS)',
    '  option 77 user class: "iPXE"',
    '  option 61 client identifier: 52:54:00:77:00:01',
  ]) {
    assert.ok(text.includes(line), text);
  }
});

test("OVMF's second step is answered from port 4011 to where it came from", () => {
  const from = { address: ip('10.77.0.150'), port: 4011 };
  const decision = new World(place('proxy')).ask(packet('ovmf-pxe-3-request-4011'), {
    port: 4011,
    from,
    unicast: true,
  });
  assert.deepEqual(decision.reply?.to, from);
  assert.equal(decision.reply?.packet.file, 'snponly.efi');
  assert.equal(decision.reply?.packet.options.get(97)?.length, 17);
});

/** Mutated packets per run; the long run of `npm run fuzz` repeats this file with new seeds. */
const mutations = Number(process.env.BTY_FUZZ_PACKETS ?? '40000');

test('mutated packets of real clients are decided on without a throw, each in a bounded time', (context) => {
  const originals = [...golden.values()];
  const worlds = (['proxy', 'full'] as const).map((mode) => new World(place(mode)));
  const [seed = 1] = fc.sample(fc.integer({ min: 1, max: 2 ** 31 - 1 }), 1);
  let state = seed;
  const random = (below: number) => {
    // xorshift32: fast, and the seed that is told repeats it.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  let decided = 0;
  let slowest = 0;
  const began = performance.now();
  const take = (bytes: Uint8Array, ports: readonly (67 | 4011)[]) => {
    const result = parse(bytes);
    if (result.kind !== 'packet') return;
    for (const [index, world] of worlds.entries()) {
      const decision = world.ask(result.packet, { port: ports[index] ?? 67 });
      if (decision.reply) {
        const { bytes: sent } = encode(decision.reply.packet, decision.reply);
        assert.ok(sent.length <= decision.reply.maximum, `seed ${seed}`);
        assert.equal(parse(sent).kind, 'packet', `seed ${seed}`);
      }
      decided++;
    }
    describe(result.packet);
  };
  for (let count = 0; count < mutations; count++) {
    const original = originals[random(originals.length)] ?? new Uint8Array(300);
    const bytes = Uint8Array.from(
      original.subarray(0, random(8) === 0 ? random(original.length) : original.length),
    );
    for (let change = random(6); change >= 0; change--) {
      const at = random(4) === 0 ? random(bytes.length) : 236 + random(Math.max(1, bytes.length - 236));
      if (at < bytes.length) bytes[at] = random(256);
    }
    const ports = worlds.map(() => (random(3) === 0 ? 4011 : 67));
    const least = leastTime(() => take(bytes, ports));
    slowest = Math.max(slowest, least);
    assert.ok(least < 1, `${least.toFixed(2)} ms for one packet and its two decisions, seed ${seed}`);
    for (const world of worlds) world.now += 10;
  }
  assert.ok(decided > mutations / 4, `${decided} packets were whole`);
  const busy = worlds[1]?.book.size ?? 0;
  assert.ok(busy <= 22, `${busy} leases in 22 addresses`);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  context.diagnostic(`${mutations} packets in ${seconds} s, the slowest in ${slowest.toFixed(2)} ms`);
});
