/** Mutated packets through the codec of TFTP, its options and its transfers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { leastTime } from '../testing/time.ts';
import { fileName } from './name.ts';
import { negotiate } from './options.ts';
import { encode, parse, type TftpPacket } from './packet.ts';
import {
  type Advance,
  acknowledge,
  askedAgain,
  begin,
  broken,
  bytesAcknowledged,
  defaultRules,
  tick,
} from './transfer.ts';

/** Mutated packets per run; the long run is `npm run fuzz -- packets`. */
const mutations = Number(process.env.BTY_FUZZ_PACKETS ?? '40000');
const limits = { blockSize: 65464, windowSize: 64, windowBytes: 128 << 10 };

const read = (options: readonly (readonly [string, string])[]): TftpPacket => ({
  kind: 'read',
  file: 'arm64/snponly.efi',
  mode: 'octet',
  options,
});
const originals = [
  read([]),
  read([
    ['tsize', '0'],
    ['blksize', '1468'],
    ['windowsize', '16'],
    ['timeout', '3'],
    ['rollover', '1'],
  ]),
  read([['blksize', '65464']]),
  { kind: 'write', file: 'a', mode: 'netascii', options: [] },
  { kind: 'ack', block: 1 },
  { kind: 'ack', block: 65535 },
  { kind: 'error', code: 8, message: 'User aborted the transfer' },
  { kind: 'data', block: 7, payload: new Uint8Array(512) },
  { kind: 'options', options: [['blksize', '1024']] },
] as const satisfies readonly TftpPacket[];

test('mutated packets are read, agreed on and answered without a throw, each in a bounded time', () => {
  const bytesOf = originals.map((packet) => encode(packet));
  const [seed = 1] = fc.sample(fc.integer({ min: 1, max: 2 ** 31 - 1 }), 1);
  let state = seed;
  const random = (below: number) => {
    // xorshift32: fast, and the seed that is told repeats it.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  let now = 0;
  let transfer = begin(
    3_000_000,
    negotiate([['blksize', '512']], 3_000_000, limits),
    defaultRules,
    now,
  ).transfer;
  const take = ({ transfer: next, send }: Advance) => {
    transfer = next;
    assert.ok(next.acknowledged <= next.sent && next.sent <= next.blocks, `seed ${seed}`);
    assert.ok(bytesAcknowledged(next) <= next.size, `seed ${seed}`);
    if (send.kind !== 'blocks') return;
    assert.ok(send.first >= 1 && send.first <= send.last && send.last <= next.blocks, `seed ${seed}`);
    const window = send.last - send.first + 1;
    assert.ok(window <= next.agreement.windowSize, `seed ${seed}`);
  };
  let whole = 0;
  const answer = (bytes: Uint8Array, size: number, chance: number) => {
    const packet = parse(bytes);
    switch (packet.kind) {
      case 'read':
      case 'write': {
        const name = fileName(packet.file);
        assert.ok(name === null || !/(^|\/)\.\.(\/|$)|^\/|\\|\0/.test(name), `seed ${seed}: ${name}`);
        const agreement = negotiate(packet.options, size, limits);
        assert.ok(agreement.blockSize >= 8 && agreement.blockSize <= limits.blockSize, `seed ${seed}`);
        assert.ok(agreement.windowSize >= 1 && agreement.windowSize <= limits.windowSize, `seed ${seed}`);
        if (chance < 2 || transfer.phase === 'ended') take(begin(size, agreement, defaultRules, now));
        else take(askedAgain(transfer, now));
        break;
      }
      case 'ack':
        // Half of them are answers to what was really sent.
        take(acknowledge(transfer, chance < 50 ? packet.block : transfer.sent & 0xffff, now));
        break;
      case 'error':
        if (chance < 5) take(broken(transfer, packet.code, packet.message));
        break;
      case 'data':
      case 'options':
      case 'malformed':
        take(tick(transfer, now));
        break;
    }
    if (packet.kind === 'malformed') return;
    whole++;
    assert.notEqual(parse(encode(packet)).kind, 'malformed', `seed ${seed}: ${JSON.stringify(packet)}`);
  };
  for (let count = 0; count < mutations; count++) {
    const original = bytesOf[random(bytesOf.length)] ?? new Uint8Array(4);
    const bytes = Uint8Array.from(
      original.subarray(0, random(6) === 0 ? random(original.length + 1) : original.length),
    );
    for (let change = random(5); change > 0; change--) bytes[random(bytes.length)] = random(256);
    const size = random(2) === 0 ? random(1 << 20) : random(2 ** 31 - 1);
    const chance = random(100);
    now += random(40);
    const least = leastTime(() => answer(bytes, size, chance));
    assert.ok(least < 1, `${least.toFixed(2)} ms for one packet, seed ${seed}`);
  }
  assert.ok(whole > mutations / 4, `${whole} packets were whole`);
});
