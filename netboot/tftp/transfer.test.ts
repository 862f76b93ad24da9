import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { TftpClient, type Wish } from '../tests/tftp-client.ts';
import { negotiate, type OptionLimits } from './options.ts';
import { encode, type Options, parse } from './packet.ts';
import {
  type Advance,
  acknowledge,
  askedAgain,
  begin,
  broken,
  bytesAcknowledged,
  defaultRules,
  type Send,
  type Transfer,
  type TransferRules,
  tick,
  wireNumber,
} from './transfer.ts';

const limits: OptionLimits = { blockSize: 65464, windowSize: 64, windowBytes: 1 << 20 };

/** The ills of a path: chances from 0 to 1, delay in milliseconds. */
interface Path {
  readonly loss: number;
  readonly double: number;
  readonly delay: number;
  /** Chance that a packet takes five times as long, so that others overtake it. */
  readonly late: number;
}
const clean: Path = { loss: 0, double: 0, delay: 1, late: 0 };

function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 0x100000000;
  };
}

function contentOf(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 1) bytes[at] = (at * 31 + (at >> 9)) & 255;
  return bytes;
}

interface Run {
  readonly client: TftpClient;
  readonly transfer: Transfer | null;
  /** Packets of the server, and simulated milliseconds. */
  readonly packets: number;
  readonly time: number;
}

interface Flight {
  readonly at: number;
  readonly toServer: boolean;
  readonly bytes: Uint8Array;
}

/** Runs one client against one transfer over a path, in simulated time. */
function run(
  wish: Wish,
  content: Uint8Array,
  path: Path,
  seed: number,
  rules: TransferRules = defaultRules,
): Run {
  const next = random(seed);
  const flights: Flight[] = [];
  let now = 0;
  let packets = 0;
  // Assigned in closures, which the compiler does not follow.
  let transfer = null as Transfer | null;
  const client = new TftpClient(wish, now);
  const fly = (bytes: Uint8Array, toServer: boolean) => {
    for (let copies = next() < path.double ? 2 : 1; copies > 0; copies -= 1) {
      if (next() < path.loss) continue;
      const slow = next() < path.late ? 5 : 1;
      flights.push({ at: now + path.delay * slow, toServer, bytes });
    }
  };
  const emit = (send: Send, current: Transfer) => {
    if (send.kind === 'options') fly(encode({ kind: 'options', options: current.agreement.accepted }), false);
    if (send.kind !== 'blocks') return;
    const { blockSize, rollover } = current.agreement;
    for (let block = send.first; block <= send.last; block += 1) {
      packets += 1;
      const payload = content.subarray((block - 1) * blockSize, block * blockSize);
      fly(encode({ kind: 'data', block: wireNumber(block, rollover), payload }), false);
    }
  };
  const take = (advance: Advance) => {
    transfer = advance.transfer;
    emit(advance.send, advance.transfer);
  };
  const serve = (bytes: Uint8Array) => {
    const packet = parse(bytes);
    const current = transfer;
    if (packet.kind === 'read') {
      if (current === null)
        take(begin(content.length, negotiate(packet.options, content.length, limits), rules, now));
      else take(askedAgain(current, now));
    } else if (current !== null && packet.kind === 'ack') take(acknowledge(current, packet.block, now));
    else if (current !== null && packet.kind === 'error') take(broken(current, packet.code, packet.message));
  };
  fly(client.request(), true);
  const over = () => client.finished && (transfer === null || transfer.phase === 'ended');
  while (!over() && now < 3_600_000) {
    const arrival = flights.length === 0 ? null : flights.reduce((a, b) => (b.at < a.at ? b : a));
    const current: Transfer | null = transfer;
    const serverDue = current === null || current.phase === 'ended' ? Infinity : current.deadline;
    const clientDue = client.finished ? Infinity : client.deadline;
    const due = Math.min(arrival?.at ?? Infinity, serverDue, clientDue);
    if (due === Infinity) break;
    now = Math.max(now, due);
    if (arrival !== null && arrival.at <= now) {
      flights.splice(flights.indexOf(arrival), 1);
      if (arrival.toServer) serve(arrival.bytes);
      else {
        const packet = parse(arrival.bytes);
        assert.notEqual(packet.kind, 'malformed');
        if (packet.kind !== 'malformed') for (const bytes of client.receive(packet, now)) fly(bytes, true);
      }
    } else {
      if (current !== null && serverDue <= now) take(tick(current, now));
      for (const bytes of client.tick(now)) fly(bytes, true);
    }
  }
  return { client, transfer, packets, time: now };
}

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function same(result: Run, content: Uint8Array): void {
  assert.equal(result.client.state, 'done', result.client.problem);
  assert.equal(hash(result.client.content), hash(content));
}

const asked = (blockSize: number, windowSize: number): Options => [
  ['blksize', String(blockSize)],
  ['windowsize', String(windowSize)],
  ['tsize', '0'],
];

test('a client without options gets every block once, an empty last one when the size is a multiple', () => {
  for (const size of [0, 1, 511, 512, 513, 5120]) {
    const content = contentOf(size);
    const result = run({ file: 'x' }, content, clean, 1);
    same(result, content);
    assert.equal(result.packets, Math.floor(size / 512) + 1);
    assert.deepEqual(result.transfer?.outcome, { kind: 'done' });
  }
});

test('block and window of every size arrive whole, with the size told', () => {
  const content = contentOf(100_000);
  for (const blockSize of [8, 512, 1432, 1468, 8192, 65464]) {
    for (const windowSize of [1, 2, 7, 16, 64]) {
      const result = run({ file: 'x', options: asked(blockSize, windowSize) }, content, clean, blockSize);
      same(result, content);
      assert.equal(result.client.size, content.length);
      assert.equal(result.packets, Math.floor(content.length / blockSize) + 1);
    }
  }
});

test('a path with up to 30 % loss, doubling, overtaking and delay delivers the same bytes', () => {
  fc.assert(
    fc.property(
      fc.record({
        loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
        double: fc.double({ min: 0, max: 0.3, noNaN: true }),
        delay: fc.integer({ min: 1, max: 200 }),
        late: fc.double({ min: 0, max: 0.3, noNaN: true }),
      }),
      fc.constantFrom(8, 512, 1468, 9000),
      fc.constantFrom(0, 1, 4, 16, 64),
      fc.integer({ min: 0, max: 200 }),
      fc.boolean(),
      fc.integer(),
      (path, blockSize, windowSize, blocks, acknowledgesOld, seed) => {
        const content = contentOf(Math.max(0, blocks * blockSize - (seed & 7)));
        const wish: Wish = {
          file: 'x',
          acknowledgesOld,
          retries: 60,
          ...(windowSize === 0 ? {} : { options: asked(blockSize, windowSize) }),
        };
        const patient = { ...defaultRules, retries: 60, patience: 3_600_000 };
        same(
          run(wish, windowSize === 0 ? contentOf(blocks * 50) : content, path, seed, patient),
          windowSize === 0 ? contentOf(blocks * 50) : content,
        );
      },
    ),
    { numRuns: 300 },
  );
});

test('with the rules of the product a lossy path of 10 % is no obstacle', () => {
  const content = contentOf(300_000);
  for (let seed = 1; seed < 20; seed += 1)
    same(
      run(
        { file: 'x', options: asked(1468, 8) },
        content,
        { loss: 0.1, double: 0.02, delay: 5, late: 0.05 },
        seed,
      ),
      content,
    );
});

test('doubled packets do not double the rest of the transfer', () => {
  const content = contentOf(512 * 400);
  const result = run({ file: 'x' }, content, { ...clean, double: 0.3 }, 5);
  same(result, content);
  // Only the request, when it is doubled, is answered twice.
  assert.ok(result.packets <= 402, `${result.packets} packets`);
});

test('one lost block of a window costs one window, not a timeout', () => {
  const content = contentOf(1468 * 160);
  const result = run({ file: 'x', options: asked(1468, 16) }, content, { ...clean, loss: 0.01 }, 9);
  same(result, content);
  assert.ok(result.packets < 161 + 16 * 8, `${result.packets} packets`);
  assert.ok(result.time < 3000, `${result.time} ms`);
});

test('block numbers go on after 65535, with 0 or with 1', () => {
  const content = contentOf(8 * 66_000 + 3);
  for (const rollover of [0, 1] as const) {
    const options: Options = [...asked(8, 64), ['rollover', String(rollover)]];
    const result = run({ file: 'x', options, rollover }, content, clean, 3);
    same(result, content);
  }
  same(run({ file: 'x', options: asked(8, 16) }, content, { ...clean, loss: 0.001 }, 4), content);
});

test('a size probe that is broken off is no failure', () => {
  const result = run({ file: 'x', options: [['tsize', '0']], probe: true }, contentOf(5000), clean, 1);
  assert.equal(result.client.state, 'probed');
  assert.deepEqual(result.transfer?.outcome, { kind: 'probe' });
});

test('a client that breaks off in the middle is told apart from a probe', () => {
  const begun = begin(5000, negotiate([['tsize', '0']], 5000, limits), defaultRules, 0).transfer;
  const sending = acknowledge(acknowledge(begun, 0, 1).transfer, 1, 2).transfer;
  const ended = broken(sending, 0, 'disk full').transfer;
  assert.deepEqual(ended.outcome, { kind: 'aborted', code: 0, message: 'disk full' });
  assert.equal(bytesAcknowledged(ended), 512);
});

test('silence is answered with the same blocks, more and more seldom, and then given up', () => {
  let { transfer } = begin(5000, negotiate([], 5000, limits), defaultRules, 0);
  const times: number[] = [];
  while (transfer.phase !== 'ended') {
    const now = transfer.deadline;
    const step = tick(transfer, now);
    transfer = step.transfer;
    if (step.send.kind !== 'nothing') {
      assert.deepEqual(step.send, { kind: 'blocks', first: 1, last: 1 });
      times.push(now);
    }
  }
  assert.deepEqual(times, [1000, 3000, 7000, 12000, 17000, 22000]);
  assert.deepEqual(transfer.outcome, { kind: 'timeout' });
});

test('the time that the client names is used, and a long one still gets a second try', () => {
  const { transfer } = begin(10, negotiate([['timeout', '255']], 10, limits), defaultRules, 0);
  assert.equal(transfer.deadline, 255_000);
  assert.equal(tick(transfer, 255_000).send.kind, 'options');
});

test('a lost last acknowledgement is asked for again, and late packets do no harm', () => {
  let { transfer } = begin(10, negotiate([], 10, limits), defaultRules, 0);
  let step = tick(transfer, transfer.deadline);
  assert.deepEqual(step.send, { kind: 'blocks', first: 1, last: 1 });
  step = acknowledge(step.transfer, 1, 1500);
  assert.equal(step.transfer.phase, 'dallying');
  step = acknowledge(step.transfer, 1, 1600);
  assert.equal(step.send.kind, 'nothing');
  assert.equal(step.transfer.phase, 'dallying');
  transfer = tick(step.transfer, step.transfer.deadline).transfer;
  assert.equal(transfer.phase, 'ended');
  assert.deepEqual(transfer.outcome, { kind: 'done' });
});

test('a client that acknowledges for ever is given up', () => {
  let { transfer } = begin(1 << 20, negotiate([], 1 << 20, limits), { ...defaultRules, strays: 100 }, 0);
  for (let at = 0; at < 200; at += 1) transfer = acknowledge(transfer, 0, at).transfer;
  assert.equal(transfer.outcome?.kind, 'refused');
  let slow = begin(1 << 30, negotiate([], 1 << 30, limits), defaultRules, 0).transfer;
  for (let block = 1; slow.phase !== 'ended'; block += 1) {
    assert.ok(block <= 2000);
    slow = acknowledge(slow, block & 0xffff, block * 900).transfer;
  }
  assert.equal(slow.outcome?.kind, 'refused');
});

test('any sequence of numbers and times keeps a transfer within its file and comes to an end', () => {
  const event = fc.record({
    number: fc.integer({ min: 0, max: 0xffff }),
    near: fc.boolean(),
    wait: fc.nat(9000),
    what: fc.nat(9),
  });
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 200 }),
      fc.nat(4_000_000),
      fc.constantFrom(1, 4, 64),
      (events, size, windowSize) => {
        let now = 0;
        let { transfer } = begin(size, negotiate(asked(8, windowSize), size, limits), defaultRules, now);
        for (const { number, near, wait, what } of events) {
          now += wait;
          const number16 = near ? (transfer.acknowledged + (number % 70)) & 0xffff : number;
          const { transfer: after, send } =
            what === 0
              ? tick(transfer, now)
              : what === 1
                ? askedAgain(transfer, now)
                : acknowledge(transfer, number16, now);
          assert.ok(after.acknowledged >= transfer.acknowledged && after.acknowledged <= after.sent);
          assert.ok(after.sent <= after.blocks);
          if (send.kind === 'blocks') {
            assert.ok(send.first >= 1 && send.last <= after.blocks && send.last - send.first < windowSize);
            assert.ok(after.deadline > now);
          }
          transfer = after;
        }
        let left = 40;
        while (transfer.phase !== 'ended') {
          assert.ok(left-- > 0);
          transfer = tick(transfer, transfer.deadline).transfer;
        }
      },
    ),
  );
});
