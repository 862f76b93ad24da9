/** What the helper says: one of these a line. */
import { type Static, Type } from 'typebox';
import type { FailureReport } from '../failure.ts';
import type { FlashEvent } from '../flash/event.ts';
import { fitting, mostTargets, type Parsed, protocolVersion, readObject, shown } from './protocol.ts';

const strict = { additionalProperties: false } as const;
const one = <const Words extends readonly string[]>(...words: Words) => Type.Enum(words);
const bytes = Type.Number({ minimum: 0 });
const unknownBytes = Type.Union([bytes, Type.Null()]);
const at = Type.Number();
const target = Type.String();
const phase = one('clearing', 'writing', 'flushing', 'verifying', 'settling');
const outcome = one('done', 'failed', 'cancelled');
/** Details of a failure are flat: whoever shows or passes them on need not fear how deep they go. */
const plain = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]);
const detail = Type.Union([plain, Type.Array(plain)]);
const sized = Type.Object({ target, size: bytes }, strict);

export const report = Type.Object(
  {
    code: Type.String({ pattern: '^[A-Z][A-Z0-9_]*$', maxLength: 64 }),
    message: Type.String(),
    advice: Type.String(),
    details: Type.Unsafe<Readonly<Record<string, unknown>>>(Type.Record(Type.String(), detail)),
  },
  strict,
);

/** `FlashEvent` of shared/flash/event.ts as it crosses the pipe. */
const event = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('started'),
      at,
      image: Type.String(),
      format: Type.String(),
      storedBytes: unknownBytes,
      imageBytes: unknownBytes,
      targets: Type.Array(sized, { maxItems: mostTargets }),
    },
    strict,
  ),
  Type.Object({ kind: Type.Literal('target-added'), at, target, size: bytes }, strict),
  Type.Object({ kind: Type.Literal('phase'), at, target, phase }, strict),
  Type.Object({ kind: Type.Literal('progress'), at, target, phase, bytes, total: unknownBytes }, strict),
  Type.Object(
    {
      kind: Type.Literal('source'),
      at,
      storedBytes: bytes,
      imageBytes: bytes,
      bottleneck: one('source', 'decompress', 'hash', 'disk'),
    },
    strict,
  ),
  Type.Object(
    { kind: Type.Literal('notice'), at, target: Type.Union([target, Type.Null()]), text: Type.String() },
    strict,
  ),
  Type.Object(
    {
      kind: Type.Literal('target-finished'),
      at,
      target,
      outcome,
      verified: Type.Boolean(),
      account: Type.Object({ written: bytes, zeroed: bytes, skipped: bytes }, strict),
      partitionsRead: Type.Boolean(),
      seconds: Type.Object(
        {
          clearing: Type.Optional(bytes),
          writing: Type.Optional(bytes),
          flushing: Type.Optional(bytes),
          verifying: Type.Optional(bytes),
          settling: Type.Optional(bytes),
        },
        strict,
      ),
      failure: Type.Union([report, Type.Null()]),
    },
    strict,
  ),
  Type.Object(
    {
      kind: Type.Literal('finished'),
      at,
      outcome,
      sha256: Type.Union([Type.String(), Type.Null()]),
      storedBytes: bytes,
      imageBytes: bytes,
    },
    strict,
  ),
]);

const replies = {
  /** The first line. The job must carry the nonce. */
  hello: Type.Object(
    {
      kind: Type.Literal('hello'),
      version: Type.Integer(),
      /** Version of bty. */
      program: Type.String(),
      nonce: Type.String({ pattern: '^[0-9a-f]{32}$' }),
    },
    strict,
  ),
  /** What is done before the flash begins; `target` where it is about one disk. */
  step: Type.Object(
    {
      kind: Type.Literal('step'),
      step: one('checking', 'unmounting', 'opening', 'reading'),
      target: Type.Union([target, Type.Null()]),
    },
    strict,
  ),
  /** All disks of the job are opened for it alone; the image is opened next, with the rights of user `uid`. */
  accepted: Type.Object(
    {
      kind: Type.Literal('accepted'),
      targets: Type.Array(sized, { maxItems: mostTargets }),
      uid: Type.Integer({ minimum: 0 }),
    },
    strict,
  ),
  event: Type.Object({ kind: Type.Literal('event'), event }, strict),
  /**
   * `job`: the job ends before anything was written; one line for each reason. `target`: a disk that was to be
   * added is not, and the job goes on.
   */
  refused: Type.Object(
    {
      kind: Type.Literal('refused'),
      scope: one('job', 'target'),
      target: Type.Union([target, Type.Null()]),
      failure: report,
    },
    strict,
  ),
  /** The last line; the worst that happened to any disk. */
  finished: Type.Object(
    { kind: Type.Literal('finished'), outcome: one('done', 'failed', 'cancelled', 'refused') },
    strict,
  ),
} as const;

type Wire = { [Kind in keyof typeof replies]: Static<(typeof replies)[Kind]> };

/** A reply with its parts as the rest of the program knows them. */
export type HelperReply =
  | Wire['hello']
  | Wire['step']
  | Wire['accepted']
  | { readonly kind: 'event'; readonly event: FlashEvent }
  | (Omit<Wire['refused'], 'failure'> & { readonly failure: FailureReport })
  | Wire['finished'];
export type HelperOutcome = Wire['finished']['outcome'];

/** A line of the helper. */
export function parseReply(line: string): Parsed<HelperReply> {
  const read = readObject(line);
  if (read.kind === 'invalid') return read;
  const { kind, version } = read.value;
  if (kind === 'hello' && version !== protocolVersion) {
    const problem = `the helper speaks version ${shown(version)}, this is version ${protocolVersion}`;
    return { kind: 'invalid', problem };
  }
  if (typeof kind !== 'string' || !Object.hasOwn(replies, kind))
    return { kind: 'invalid', problem: 'a reply of an unknown kind' };
  return fitting<HelperReply>(replies[kind as keyof typeof replies], read.value);
}

/** The line for `reply`, with its end. */
export function replyLine(reply: HelperReply): string {
  return `${JSON.stringify(reply)}\n`;
}
