/** The event log: what happened, by whom, in an order that cannot be changed afterwards. */
import { type Static, Type } from 'typebox';
import { operations } from './operation.ts';

const text = Type.Union([Type.String(), Type.Null()]);

export const Event = Type.Object({
  id: Type.Integer(),
  /** `2026-11-23T04:11:00.123000+00:00` */
  ts: Type.String(),
  /** `machine.created`, `image.uploaded`, `auth.login.failed` ... */
  kind: Type.String(),
  subject_kind: text,
  subject_id: text,
  actor: text,
  source_ip: text,
  /** One sentence. */
  summary: Type.String(),
  details: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]),
  /** SHA-256 of the event before and of this one: what `bty-web audit verify` proves. */
  hash: Type.String(),
});
export type Event = Static<typeof Event>;

export const EventFilter = Type.Object({
  kind: Type.Optional(Type.String()),
  subject_kind: Type.Optional(Type.String()),
  subject_id: Type.Optional(Type.String()),
  actor: Type.Optional(Type.String()),
  source_ip: Type.Optional(Type.String()),
  /** Anything but nothing: only events whose kind ends in `failed`. */
  failed: Type.Optional(Type.String()),
  /** Only events older than this id. */
  before_id: Type.Optional(Type.Integer()),
  /** From 1 to 500; others are brought into that range. */
  limit: Type.Optional(Type.Integer()),
});
export type EventFilter = Static<typeof EventFilter>;

export const eventOperations = operations({
  list: {
    name: 'event.list',
    method: 'GET',
    path: '/events',
    access: 'read',
    summary: 'Events, newest first.',
    description: 'The next page is asked for with `before_id` set to the last id of this one.',
    query: EventFilter,
    replies: { 200: { sentence: 'A page.', schema: Type.Object({ events: Type.Array(Event) }) } },
  },
  machines: {
    name: 'event.machines',
    method: 'GET',
    path: '/events/machines',
    access: 'read',
    summary: 'Server-sent events `machines-update` and `dashboard-counts`: plain HTML rows.',
    replies: { 200: { sentence: 'A stream that does not end.', type: 'text/event-stream' } },
  },
  stream: {
    name: 'event.stream',
    method: 'GET',
    path: '/events/stream',
    access: 'read',
    summary: 'What happens, as server-sent events with JSON.',
    description:
      '`event: event` carries an Event and its id; with `Last-Event-ID` the stream goes on where it broke. ' +
      '`event: machine` carries a Machine (or `{mac, deleted: true}`), `job`, `images`, `lease`, `boot-step` and ' +
      '`notice` their latest state; these are not repeated. A comment comes every 15 seconds.',
    query: Type.Object({ last_event_id: Type.Optional(Type.Integer()) }),
    replies: { 200: { sentence: 'A stream that does not end.', type: 'text/event-stream' } },
  },
});
