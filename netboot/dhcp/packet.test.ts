import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { leastTime } from '../testing/time.ts';
import { encode, mostLength, type Packet, parse } from './packet.ts';

const word = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const text = (most: number) =>
  fc
    .array(fc.integer({ min: 1, max: 255 }), { maxLength: most })
    .map((codes) => String.fromCharCode(...codes));
const options = fc
  .array(
    fc.tuple(
      fc.integer({ min: 1, max: 254 }).filter((code) => code !== 52),
      fc.uint8Array({ maxLength: 700 }),
    ),
    { maxLength: 12 },
  )
  .map((pairs) => new Map(pairs));
const packets: fc.Arbitrary<Packet> = fc.record({
  op: fc.constantFrom(1, 2),
  htype: word(8),
  hlen: fc.integer({ min: 0, max: 16 }),
  hops: word(8),
  xid: word(32),
  secs: word(16),
  flags: word(16),
  ciaddr: word(32),
  yiaddr: word(32),
  siaddr: word(32),
  giaddr: word(32),
  chaddr: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  sname: text(64),
  file: text(128),
  options,
});

/** Plain value for comparison: views and buffers of the same bytes are equal, the order of options is not told. */
function plain(packet: Packet): unknown {
  const sorted = [...packet.options].sort(([a], [b]) => a - b);
  return {
    ...packet,
    chaddr: Buffer.from(packet.chaddr).toString('hex'),
    options: sorted.map(([code, value]) => [code, Buffer.from(value).toString('hex')]),
  };
}

function parsed(bytes: Uint8Array): Packet {
  const result = parse(bytes);
  assert.equal(result.kind, 'packet', result.kind === 'malformed' ? result.problem : '');
  if (result.kind !== 'packet') throw new Error('unreachable');
  return result.packet;
}

const sample: Packet = {
  op: 2,
  htype: 1,
  hlen: 6,
  hops: 0,
  xid: 0x12345678,
  secs: 0,
  flags: 0x8000,
  ciaddr: 0,
  yiaddr: 0x0a4d0032,
  siaddr: 0x0a4d0001,
  giaddr: 0,
  chaddr: Uint8Array.from([0x52, 0x54, 0, 0x77, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  sname: '',
  file: '',
  options: new Map(),
};

test('what was encoded is parsed to the same value', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const { bytes, dropped } = encode(packet, { maximum: mostLength, overload: false });
      if (dropped.length > 0) return;
      assert.deepEqual(plain(parsed(bytes)), plain(packet));
    }),
    { numRuns: 500 },
  );
});

test('a reply is never longer than its limit, and what did not fit is named and nothing else is lost', () => {
  fc.assert(
    fc.property(packets, fc.integer({ min: 300, max: 1472 }), fc.boolean(), (packet, maximum, overload) => {
      const { bytes, dropped } = encode(packet, { maximum, overload });
      assert.ok(bytes.length <= maximum && bytes.length >= 300);
      const back = parsed(bytes);
      for (const [code, value] of packet.options) {
        if (dropped.includes(code)) assert.equal(back.options.has(code), false);
        else assert.deepEqual(Buffer.from(back.options.get(code) ?? []), Buffer.from(value));
      }
      assert.equal(back.options.size, packet.options.size - dropped.length);
    }),
    { numRuns: 500 },
  );
});

test('with overload, options fill the file and server name fields and come back in one piece', () => {
  const value = (length: number, byte: number) => new Uint8Array(length).fill(byte);
  const wanted = new Map([
    [1, value(40, 1)],
    [2, value(110, 2)],
    [4, value(50, 4)],
    [82, value(10, 8)],
  ]);
  const { bytes, dropped } = encode({ ...sample, options: wanted }, { maximum: 310, overload: true });
  assert.deepEqual(dropped, []);
  assert.deepEqual(plain(parsed(bytes)), plain({ ...sample, options: wanted }));
  const without = encode({ ...sample, options: wanted }, { maximum: 310, overload: false });
  assert.deepEqual(without.dropped, [2, 4]);
  assert.equal(without.bytes.indexOf(52, 240), -1);
});

test('option 82 is the last one, option 67 the last before it', () => {
  const options = new Map([
    [82, Uint8Array.of(1, 1, 7)],
    [67, Buffer.from('snponly.efi')],
    [60, Buffer.from('PXEClient')],
  ]);
  const { bytes } = encode({ ...sample, options }, { maximum: 548, overload: false });
  const codes: number[] = [];
  for (let at = 240; bytes[at] !== 255; at += 2 + (bytes[at + 1] ?? 0)) codes.push(bytes[at] ?? 0);
  assert.deepEqual(codes, [60, 67, 82]);
});

test('a value over 255 bytes travels in pieces of 255 that are joined again', () => {
  const long = Uint8Array.from({ length: 600 }, (_, index) => index & 255);
  const { bytes } = encode({ ...sample, options: new Map([[43, long]]) }, { maximum: 1472, overload: false });
  assert.deepEqual([bytes[241], bytes[240 + 257 + 1], bytes[240 + 514 + 1]], [255, 255, 90]);
  assert.deepEqual(Buffer.from(parsed(bytes).options.get(43) ?? []), Buffer.from(long));
});

test('options in overloaded fields are read in the order options, file, server name', () => {
  const bytes = Buffer.from(encode(sample, { maximum: 300, overload: false }).bytes);
  bytes.set([43, 1, 0x61, 52, 1, 3, 255], 240);
  bytes.set([43, 1, 0x62, 255], 108);
  bytes.set([43, 1, 0x63, 255], 44);
  const packet = parsed(bytes);
  assert.equal(Buffer.from(packet.options.get(43) ?? []).toString(), 'abc');
  assert.equal(packet.file, '');
  assert.equal(packet.options.has(52), false);
});

test('malformed packets are named, not thrown', () => {
  const good = Buffer.from(encode(sample, { maximum: 300, overload: false }).bytes);
  const broken = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(good);
    change(bytes);
    return parse(bytes);
  };
  const problems = [
    parse(new Uint8Array(239)),
    parse(new Uint8Array(mostLength + 1)),
    broken((bytes) => bytes.writeUInt8(3, 0)),
    broken((bytes) => bytes.writeUInt8(17, 2)),
    broken((bytes) => bytes.writeUInt32BE(0, 236)),
    broken((bytes) => bytes.fill(0, 240).set([12, 200], 297)),
    broken((bytes) => bytes.fill(0, 240).set([12], 299)),
    broken((bytes) => bytes.set([52, 1, 1, 255], 240) ?? bytes.set([12, 127], 108)),
  ].map((result) => (result.kind === 'malformed' ? result.problem : 'none'));
  assert.deepEqual(problems, [
    '239 bytes are too few',
    '9217 bytes are too many',
    'operation 3 is neither a request nor a reply',
    'hardware addresses have no 17 bytes',
    'the DHCP cookie is missing',
    'option 12 of 200 bytes passes the end of its field',
    'option 12 has no length',
    'option 12 of 127 bytes passes the end of its field',
  ]);
});

test('any bytes are parsed or refused, and repeats of one option cost no more than their length', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => void parse(bytes)));
  const hostile = Buffer.alloc(mostLength, Buffer.from([12, 1, 65]));
  encode(sample, { maximum: 300, overload: false })
    .bytes.slice(0, 240)
    .forEach((byte, at) => {
      hostile[at] = byte;
    });
  assert.equal(parsed(hostile).options.get(12)?.length, 2992);
  const least = leastTime(() => void parse(hostile));
  assert.ok(least < 20, `${least.toFixed(2)} ms for one packet`);
});
