/** Canary roll-outs: an image for one machine, a tenth, all; the appliance goes on by itself, and stops by itself. */
import { type Static, Type } from 'typebox';
import { operations } from './operation.ts';

const Id = Type.Integer({ minimum: 1 });

export const RolloutRow = Type.Object({
  id: Id,
  image_sha256: Type.String(),
  image_name: Type.String(),
  state: Type.Union([
    Type.Literal('running'),
    /** More failed than was allowed. */
    Type.Literal('stopped'),
    Type.Literal('cancelled'),
    Type.Literal('finished'),
  ]),
  machines: Type.Integer(),
  /** How many machines have had their turn after each wave. */
  waves: Type.Array(Type.Integer()),
  /** Wave that runs or ran last, from 0. */
  wave: Type.Integer(),
  /** Share of failures, from 0 to 1, above which it stops. */
  allowed: Type.Number(),
  /** Machines of the waves so far, how many of them were flashed, and how many failed. */
  tried: Type.Integer(),
  done: Type.Integer(),
  failed: Type.Integer(),
  /** Machines that have not had their turn. */
  left: Type.Integer(),
  begun_at: Type.String(),
  begun_by: Type.String(),
  ended_at: Type.Union([Type.String(), Type.Null()]),
});
export type RolloutRow = Static<typeof RolloutRow>;

export const RolloutOrder = Type.Object(
  {
    image_sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    /** In the order in which they have their turn. */
    macs: Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 100_000 }),
    allowed: Type.Number({ minimum: 0, maximum: 1 }),
    /** Most machines that may be meant; more begin nothing. */
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  },
  { additionalProperties: false },
);
export type RolloutOrder = Static<typeof RolloutOrder>;

const one = { 200: { sentence: 'The roll-out.', schema: RolloutRow } } as const;

export const rolloutOperations = operations({
  list: {
    name: 'rollout.list',
    method: 'GET',
    path: '/rollouts',
    access: 'read',
    summary: 'Roll-outs, newest first: those that run, and the last fifty that ended.',
    replies: { 200: { sentence: 'The roll-outs.', schema: Type.Array(RolloutRow) } },
  },
  get: {
    name: 'rollout.get',
    method: 'GET',
    path: '/rollouts/{id}',
    access: 'read',
    summary: 'One roll-out.',
    replies: one,
  },
  begin: {
    name: 'rollout.begin',
    method: 'POST',
    path: '/rollouts',
    access: 'operate',
    summary: 'Begins a roll-out: arms the first machine, a tenth once it is flashed, all after them.',
    description:
      'A machine counts as flashed when it says so, and as failed when it fails, is stopped or is forgotten. What ' +
      'stops it disarms what has not begun.',
    body: { kind: 'json', schema: RolloutOrder, bytes: 8 << 20 },
    replies: {
      201: { sentence: 'It runs.', schema: RolloutRow },
      409: { sentence: 'One of the machines is in another roll-out, is unknown, or too many are meant.' },
    },
  },
  cancel: {
    name: 'rollout.cancel',
    method: 'POST',
    path: '/rollouts/{id}/cancel',
    access: 'operate',
    summary: 'Ends a roll-out; machines that are being flashed are let finish, the others are disarmed.',
    replies: one,
  },
});
