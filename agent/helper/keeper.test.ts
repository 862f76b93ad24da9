import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { Lines } from '../../shared/helper/lines.ts';
import { protocolVersion } from '../../shared/helper/protocol.ts';
import { closeEnd } from '../system/native.ts';
import { socketPair } from '../system/privilege.ts';
import { innerBytes, type ToWorker, verbs } from './inner.ts';
import { Keeper } from './keeper.ts';

const skip = process.platform !== 'linux' && 'is built for Linux';

interface Played {
  /** All that the keeper said to its worker. */
  readonly said: readonly ToWorker[];
  readonly nonce: string;
}

/** A keeper whose app says `says` (given its nonce) and whose worker says `answers`, then goes when all is over. */
async function play(
  says: (nonce: string) => readonly (string | Uint8Array)[],
  answers: Uint8Array = new Uint8Array(0),
  jobWithin = 120_000,
): Promise<Played> {
  const [ours, theirs] = socketPair('stream');
  const disks = socketPair('messages');
  const app = new PassThrough();
  const worker = new Socket({ fd: ours, readable: true, writable: true });
  const other = new Socket({ fd: theirs, readable: true, writable: true });
  const lines = new Lines(innerBytes);
  const said: ToWorker[] = [];
  let nonce = '';
  const { signal } = new AbortController();
  const run = new Keeper({ app, worker, disks: disks[0], signal, limits: { jobWithin } }).run();
  other
    .on('error', () => {})
    .on('data', (bytes: Buffer) => {
      for (const line of lines.push(bytes)) {
        const message = JSON.parse(line) as ToWorker;
        said.push(message);
        if (message.kind === 'end' || message.kind === 'begin') other.destroy();
        if (message.kind !== 'reply' || message.reply.kind !== 'hello') continue;
        nonce = message.reply.nonce;
        if (answers.length > 0) other.write(answers);
        for (const text of says(nonce)) app.write(text);
      }
    });
  await Promise.all([run, once(other, 'close')]);
  for (const each of disks) closeEnd(each);
  return { said, nonce };
}

const endOf = ({ said }: Played): string | undefined => {
  const last = said.at(-1);
  return last?.kind === 'end' ? last.outcome : undefined;
};

test('whatever the app says that is no job ends in a refusal, and nothing is begun', { skip }, async () => {
  const line = fc.oneof(
    fc.json().map((text) => `${text}\n`),
    fc.string({ unit: 'binary', minLength: 1 }).map((text) => `${text}\n`),
    fc.constantFrom(
      '{"kind":"cancel"}\n',
      '{"kind":"skip-verification"}\n',
      '{"kind":"job","version":1}\n',
      '\n',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 5 }), async (says) => {
      const played = await play(() => says);
      assert.equal(endOf(played), 'refused');
      assert.ok(!played.said.some(({ kind }) => kind === 'begin' || kind === 'add'));
    }),
    { numRuns: 60 },
  );
});

test('an app that says nothing is not waited for', { skip }, async () => {
  const played = await play(() => [], new Uint8Array(0), 50);
  assert.equal(endOf(played), 'refused');
});

test('a worker that says what no worker says is left', { skip }, async () => {
  for (const bytes of [
    [verbs.reread, 0],
    [verbs.closed, 9],
    [0, 0],
    [255, 255, 255],
  ]) {
    const { said } = await play(() => [], Uint8Array.from(bytes));
    assert.deepEqual(
      said.map(({ kind }) => kind),
      ['reply'],
      'only the greeting was said',
    );
  }
});

test('a job whose disk is none is refused by name', { skip }, async () => {
  const target = {
    kind: 'disk',
    path: '/dev/no-such-disk',
    size: 1,
    serial: null,
    diskseq: null,
    transport: null,
    allowLoop: false,
    allowSystemDisk: false,
  };
  const image = { kind: 'url', url: 'http://127.0.0.1:9/', sha256: null };
  const rest = {
    verify: 'full',
    bmap: null,
    sparse: false,
    allowCut: false,
    unmount: true,
    mayAddTargets: true,
  };
  const played = await play((nonce) => [
    `${JSON.stringify({ kind: 'job', version: protocolVersion, nonce, image, targets: [target], ...rest })}\n`,
  ]);
  assert.equal(endOf(played), 'refused');
  const refused = played.said.flatMap((each) =>
    each.kind === 'reply' && each.reply.kind === 'refused' ? [each.reply.failure.code] : [],
  );
  assert.deepEqual(refused, ['TARGET_NOT_FOUND']);
});
