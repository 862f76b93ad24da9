/** How the appliance is. */
import { type Static, type TSchema, Type } from 'typebox';
import { NetworkInterface } from '../desktop/interface.ts';
import { Machine } from './machine.ts';
import { operations } from './operation.ts';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

export const Health = Type.Object({ status: Type.Literal('ok') });
export const Version = Type.Object({ version: Type.String() });
export const Ready = Type.Object({
  status: Type.Union([Type.Literal('ready'), Type.Literal('not ready')]),
  checks: Type.Array(
    Type.Object({
      name: Type.String(),
      ok: Type.Boolean(),
      /** A sentence, when it is not. */
      reason: Type.Union([Type.String(), Type.Null()]),
    }),
  ),
});

/** The state of everything in few numbers. */
export const Overview = Type.Object({
  started_at: Type.String(),
  /** How many machines there are in each phase that has any. */
  phases: Type.Record(Type.String(), Type.Integer()),
  machines: Type.Integer(),
  /** Images that a machine can be given. */
  images: Type.Integer(),
  /** Machines that are being flashed, and those that failed or were stopped; of each the first fifty. */
  flashing: Type.Array(Machine),
  failing: Type.Array(Machine),
});
export type Overview = Static<typeof Overview>;

/** A setting as it is in force. */
export const SettingRow = Type.Object({
  /** Key in bty.toml. */
  name: Type.String(),
  variable: Type.String(),
  flag: Type.String(),
  /** As text; null where it is not set, or never told. */
  value: nullable(Type.String()),
  secret: Type.Boolean(),
  /** It is what it would be without having been set. */
  usual: Type.Boolean(),
  sentence: Type.String(),
});
export type SettingRow = Static<typeof SettingRow>;

/** What came of following the chain of events. */
export const AuditVerdict = Type.Object({
  state: Type.Union([Type.Literal('intact'), Type.Literal('broken'), Type.Literal('unchecked')]),
  events: Type.Integer(),
  /** Hash of the last event, when it is intact. */
  last_hash: nullable(Type.String()),
  /** The event at which it is broken, and how. */
  broken_at: nullable(Type.Integer()),
  problem: nullable(Type.String()),
  checked_at: Type.String(),
});
export type AuditVerdict = Static<typeof AuditVerdict>;

/** How long events are kept. */
export const Retention = Type.Object({
  /** Days; 0 keeps them for ever. */
  days: Type.Integer(),
  /** What flags, the environment and bty.toml say. */
  configured_days: Type.Integer(),
  /** Somebody said otherwise while the appliance ran. */
  changed: Type.Boolean(),
  /** Time of the oldest event, null when there is none. */
  oldest_at: nullable(Type.String()),
});
export type Retention = Static<typeof Retention>;

/** A backup that was sent and waits to be restored. */
export const RestoreOffer = Type.Object({
  sha256: Type.String(),
  /** What made it, as `bty-web 0.1.0`. */
  program: Type.String(),
  made_at: Type.String(),
  /** Of its schema. */
  version: Type.Integer(),
  machines: Type.Integer(),
  events: Type.Integer(),
});
export type RestoreOffer = Static<typeof RestoreOffer>;

/** A live system for one architecture, as it lies in the boot directory. */
export const LiveSystemRow = Type.Object({
  architecture: Type.String(),
  /** Kernel and initrd are there. */
  installed: Type.Boolean(),
  files: Type.Array(
    Type.Object({
      name: Type.String(),
      size_bytes: nullable(Type.Integer()),
      modified_at: nullable(Type.String()),
      /** Nothing boots without it. */
      needed: Type.Boolean(),
    }),
  ),
});
export type LiveSystemRow = Static<typeof LiveSystemRow>;

export const systemOperations = operations({
  health: {
    name: 'system.health',
    method: 'GET',
    path: '/healthz',
    access: 'open',
    boot: true,
    summary: 'The appliance is alive.',
    replies: { 200: { sentence: 'It is.', schema: Health } },
  },
  ready: {
    name: 'system.ready',
    method: 'GET',
    path: '/readyz',
    access: 'open',
    summary: 'The appliance can do its work: database, disk, boot files, each with its reason.',
    replies: {
      200: { sentence: 'Everything is there.', schema: Ready },
      503: { sentence: 'Something is missing.', schema: Ready },
    },
  },
  version: {
    name: 'system.version',
    method: 'GET',
    path: '/version',
    access: 'open',
    boot: true,
    summary: 'Version of the appliance.',
    replies: { 200: { sentence: 'The version.', schema: Version } },
  },
  metrics: {
    name: 'system.metrics',
    method: 'GET',
    path: '/metrics',
    access: 'open',
    summary: 'Measurements in the form of Prometheus.',
    replies: { 200: { sentence: 'The measurements.', type: 'text/plain; version=0.0.4; charset=utf-8' } },
  },
  openapi: {
    name: 'system.openapi',
    method: 'GET',
    path: '/openapi.json',
    access: 'open',
    summary: 'This interface as an OpenAPI 3.1 document.',
    replies: { 200: { sentence: 'The document.', type: 'application/json' } },
  },
  overview: {
    name: 'system.overview',
    method: 'GET',
    path: '/overview',
    access: 'read',
    summary: 'How many machines are in which state, which are being flashed, which failed.',
    replies: { 200: { sentence: 'The overview.', schema: Overview } },
  },
  settings: {
    name: 'system.settings',
    method: 'GET',
    path: '/settings',
    access: 'admin',
    summary: 'The settings in force, without secrets.',
    replies: { 200: { sentence: 'All of them.', schema: Type.Array(SettingRow) } },
  },
  interfaces: {
    name: 'system.interfaces',
    method: 'GET',
    path: '/network/interfaces',
    access: 'read',
    summary: 'Network interfaces of the machine that the appliance runs on.',
    description:
      'With `search` set to the name of one, other DHCP servers are looked for there; that takes seconds.',
    query: Type.Object({ search: Type.Optional(Type.String({ maxLength: 15 })) }),
    replies: { 200: { sentence: 'The interfaces.', schema: Type.Array(NetworkInterface) } },
  },
  audit: {
    name: 'system.audit',
    method: 'GET',
    path: '/audit',
    access: 'read',
    summary: 'Whether the chain of events is unbroken.',
    description: 'A very long log is left to `bty-web audit verify`, which machines do not wait for.',
    replies: { 200: { sentence: 'The verdict.', schema: AuditVerdict } },
  },
  live: {
    name: 'system.live',
    method: 'GET',
    path: '/live-systems',
    access: 'read',
    summary: 'The live systems in the boot directory, file by file.',
    replies: { 200: { sentence: 'Per architecture.', schema: Type.Array(LiveSystemRow) } },
  },
  backup: {
    name: 'system.backup',
    method: 'GET',
    path: '/backup',
    access: 'admin',
    summary: 'The whole state in one file, for `bty-web restore`. It holds secrets: keep it safe.',
    replies: { 200: { sentence: 'The file.', type: 'application/vnd.sqlite3' } },
  },
  retention: {
    name: 'system.retention',
    method: 'GET',
    path: '/settings/retention',
    access: 'admin',
    summary: 'How long events are kept.',
    replies: { 200: { sentence: 'How long.', schema: Retention } },
  },
  retain: {
    name: 'system.retain',
    method: 'PUT',
    path: '/settings/retention',
    access: 'admin',
    summary: 'Changes how long events are kept, and removes those that are older.',
    description: '`days: null` goes back to what flags, the environment and bty.toml say.',
    body: {
      kind: 'json',
      schema: Type.Object(
        { days: nullable(Type.Integer({ minimum: 0, maximum: 36_500 })) },
        { additionalProperties: false },
      ),
    },
    replies: { 200: { sentence: 'As it is now.', schema: Retention } },
  },
  offer: {
    name: 'system.offer',
    method: 'PUT',
    path: '/restore',
    access: 'admin',
    summary: 'Takes a backup, and tells what it holds. Nothing is restored yet.',
    description: 'It waits until it is restored or withdrawn, another one is sent, or the appliance ends.',
    body: { kind: 'raw' },
    replies: { 200: { sentence: 'What it holds.', schema: RestoreOffer } },
  },
  restore: {
    name: 'system.restore',
    method: 'POST',
    path: '/restore',
    access: 'admin',
    summary: 'Puts the backup that waits in the place of the whole state, and starts the appliance anew.',
    description:
      'Sessions end, and passwords and tokens are those of the backup. The old state is kept in `backups/`.',
    body: {
      kind: 'json',
      schema: Type.Object(
        { sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) },
        { additionalProperties: false },
      ),
    },
    replies: {
      202: { sentence: 'The appliance ends and starts anew.' },
      409: { sentence: 'Another backup waits, or none.' },
    },
  },
  withdraw: {
    name: 'system.withdraw',
    method: 'DELETE',
    path: '/restore',
    access: 'admin',
    summary: 'Forgets the backup that waits.',
    replies: { 204: { sentence: 'None waits.' } },
  },
});
