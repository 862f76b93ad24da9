import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FailureCode, type FailureDetails, failure } from '../failure.ts';
import { Conversation, type JobWish } from './client.ts';
import { pkexecFailure } from './elevation.ts';
import { parseJob } from './protocol.ts';
import { type HelperReply, parseReply, replyLine } from './reply.ts';

const nonce = 'ab'.repeat(16);
const wish: JobWish = {
  image: { kind: 'file', path: '/a.img', sha256: null },
  targets: [{ kind: 'virtual', path: '/tmp/disk', size: 512 }],
  verify: 'none',
  bmap: null,
  sparse: false,
  unmount: false,
  allowCut: false,
  mayAddTargets: true,
};
const hello: HelperReply = { kind: 'hello', version: 2, program: '0.1.0', nonce };
const accepted: HelperReply = { kind: 'accepted', targets: [{ target: '/tmp/disk', size: 512 }], uid: 1000 };
const finished: HelperReply = { kind: 'finished', outcome: 'done' };
const notice: HelperReply = { kind: 'event', event: { kind: 'notice', at: 1, target: null, text: 'x' } };
const bytes = (...replies: readonly HelperReply[]): Uint8Array =>
  new TextEncoder().encode(replies.map(replyLine).join(''));

test('the job is sent in answer to the greeting, and the pipe closed after the last word', () => {
  const conversation = new Conversation(wish);
  assert.equal(conversation.say({ kind: 'cancel' }), null, 'nothing can be said before the greeting');
  const greeted = conversation.receive(bytes(hello));
  const job = parseJob(greeted.send ?? '', nonce);
  assert.ok(job.kind === 'valid');
  assert.deepEqual(job.value.targets, wish.targets);
  assert.equal(conversation.say({ kind: 'cancel' }), '{"kind":"cancel"}\n');
  assert.deepEqual(conversation.receive(bytes(accepted, notice)), {
    replies: [accepted, notice],
    send: null,
    close: false,
  });
  assert.equal(conversation.stage, 'running');
  assert.deepEqual(conversation.receive(bytes(finished)), { replies: [finished], send: null, close: true });
  assert.deepEqual([conversation.stage, conversation.outcome], ['finished', 'done']);
  assert.equal(conversation.ended('whatever'), null);
});

test('a helper that ends too early, talks nonsense or out of order is told as that', () => {
  const early = new Conversation(wish);
  early.receive(bytes(hello, accepted));
  const ended = early.ended('first\nlast words\n');
  assert.equal(ended?.code, 'HELPER_ENDED');
  assert.match(ended?.message ?? '', /last words/);
  const wrong: readonly (readonly HelperReply[])[] = [
    [accepted],
    [finished],
    [hello, hello],
    [hello, notice],
    [hello, accepted, accepted],
  ];
  for (const replies of wrong) {
    const conversation = new Conversation(wish);
    assert.equal(conversation.receive(bytes(...replies)).close, true);
    assert.equal(conversation.ended('')?.code, 'HELPER_NONSENSE');
    assert.deepEqual(conversation.receive(bytes(hello)).replies, [], 'nothing is believed after that');
  }
  const other = new Conversation(wish);
  other.receive(bytes({ ...hello, version: 1 } as HelperReply));
  assert.match(other.ended('')?.message ?? '', /speaks version 1, this is version 2/);
});

test('what is nested without end, or said without end, is nonsense and nothing worse', () => {
  const deep = `${'['.repeat(400_000)}${']'.repeat(400_000)}`;
  const lines = [
    `{"kind":"hello","version":${deep}}`,
    `{"kind":${deep}}`,
    `{"kind":"refused","scope":"job","target":null,"failure":{"code":"INTERNAL","message":"","advice":"","details":{"problem":${deep}}}}`,
  ];
  for (const line of lines) assert.equal(parseReply(line).kind, 'invalid', line.slice(0, 80));
  const conversation = new Conversation(wish);
  conversation.receive(bytes(hello, accepted));
  const flood = bytes(...Array.from({ length: 100 }, () => notice));
  for (let round = 0; round < 40; round++) conversation.receive(flood);
  assert.equal(conversation.stage, 'broken');
  assert.match(conversation.ended('')?.message ?? '', /more than it could have to say/);
});

/** What a detail of a failure may be: see `detail` of reply.ts. */
type Flat = string | number | boolean | null | undefined | readonly (string | number)[];
/** Failures with a detail that a reply would not carry. */
type Odd = {
  [Code in FailureCode]: {
    [Key in keyof FailureDetails<Code>]-?: FailureDetails<Code>[Key] extends Flat ? never : Code;
  }[keyof FailureDetails<Code>];
}[FailureCode];

test('every failure of the table crosses the pipe', () => {
  // Checked by the compiler: it finds the codes that do not.
  const odd: [Odd] extends [never] ? 'none' : Odd = 'none';
  assert.equal(odd, 'none');
});

test('no bytes make the conversation throw', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => new TextEncoder().encode(`${text}\n`)),
        ),
      ),
      (all) => {
        const conversation = new Conversation(wish);
        for (const each of all) conversation.receive(each);
        assert.notEqual(conversation.stage, 'finished');
      },
    ),
  );
});

test('every kind of event crosses the pipe unchanged, and one with a field too many does not', () => {
  const report = failure('TARGET_NOT_FOUND', { target: '/dev/sdb' }).report();
  const account = { written: 1, zeroed: 2, skipped: 3 };
  const result = {
    outcome: 'failed',
    verified: false,
    account,
    partitionsRead: true,
    seconds: { writing: 1.5 },
    failure: report,
  } as const;
  const targets = [{ target: '/dev/sdb', size: 1 }];
  const events = [
    { kind: 'started', at: 1, image: 'a', format: 'img', storedBytes: null, imageBytes: 2, targets },
    { kind: 'target-added', at: 1, target: '/dev/sdb', size: 1 },
    { kind: 'phase', at: 1, target: '/dev/sdb', phase: 'clearing' },
    { kind: 'progress', at: 1, target: '/dev/sdb', phase: 'writing', bytes: 1, total: null },
    { kind: 'source', at: 1, storedBytes: 1, imageBytes: 2, bottleneck: 'hash' },
    { kind: 'notice', at: 1, target: '/dev/sdb', text: 'x' },
    { kind: 'target-finished', at: 1, target: '/dev/sdb', ...result },
    { kind: 'finished', at: 1, outcome: 'cancelled', sha256: null, storedBytes: 1, imageBytes: 2 },
  ] as const;
  for (const event of events) {
    const reply: HelperReply = { kind: 'event', event };
    assert.deepEqual(parseReply(replyLine(reply)), { kind: 'valid', value: reply });
    assert.equal(parseReply(JSON.stringify({ kind: 'event', event: { ...event, more: 1 } })).kind, 'invalid');
  }
  const refused: HelperReply = { kind: 'refused', scope: 'job', target: null, failure: report };
  assert.deepEqual(parseReply(replyLine(refused)), { kind: 'valid', value: refused });
});

test('what pkexec says becomes the failure that a person can act on', () => {
  const of = (code: number | null, stderr: string, pkcheck: number | null = null): string =>
    pkexecFailure({ code, signal: null, stderr }, pkcheck).code;
  const said = 'Error executing command as another user: ';
  assert.equal(of(126, `${said}Request dismissed\n`), 'ELEVATION_DISMISSED');
  assert.equal(
    of(127, `${said}Not authorized\n\nThis incident has been reported.\n`, 2),
    'ELEVATION_WRONG_PASSWORD',
  );
  assert.equal(of(127, `${said}Not authorized\n\nThis incident has been reported.\n`, 1), 'ELEVATION_DENIED');
  assert.equal(of(127, `${said}No authentication agent found.\n`), 'ELEVATION_NO_AGENT');
  assert.equal(of(127, 'Error getting authority: ...\n'), 'ELEVATION_UNAVAILABLE');
  assert.equal(of(1, 'bty: The helper could not give up its rights\n'), 'HELPER_ENDED');
});
