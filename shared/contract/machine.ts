/** Machines: what each is to boot, and where it is in its life (bty-contract 3.4; our additions are additive). */
import { type Static, type TSchema, Type } from 'typebox';
import { type Phase, phases } from '../machine/life.ts';
import { DiskRule, FailureMessage, Inventory, Step } from './agent.ts';
import { operations } from './operation.ts';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
const time = Type.String();
const digest = Type.String({ pattern: '^[0-9a-f]{64}$' });

export const bootPolicies = ['local', 'flash', 'flash-once', 'tui', 'inventory'] as const;
export type BootPolicy = (typeof bootPolicies)[number];
const BootPolicySchema = Type.Union([
  /** The disk. */
  Type.Literal('local'),
  /** Flash; after it the disk once; then flash again. */
  Type.Literal('flash'),
  /** Flash, and then `local`. */
  Type.Literal('flash-once'),
  /** The live system, and a person at its console. */
  Type.Literal('tui'),
  /** The live system tells what the machine is made of; then the disk once. */
  Type.Literal('inventory'),
]);
const Provisioning = Type.Union([Type.Literal('none'), Type.Literal('cijoe-task')]);
const label = '^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$';
const Labels = Type.Record(
  Type.String({ pattern: label }),
  Type.String({ maxLength: 255, pattern: '^[^\\u0000-\\u001f]*$' }),
  { maxProperties: 64, additionalProperties: false },
);
const hostLabel = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const Hostname = Type.String({
  minLength: 1,
  maxLength: 253,
  pattern: `^${hostLabel}(?:\\.${hostLabel})*$`,
});
const TaskRef = Type.String({ minLength: 1, maxLength: 4096, pattern: '^[^\\u0000\\r\\n]*$' });
const DiskSerial = Type.String({ minLength: 1, maxLength: 256, pattern: '\\S' });
const Notes = Type.String({ maxLength: 10_000 });

/** Where a machine is in its life. */
export const MachineState = Type.Object({
  phase: Type.Unsafe<Phase>({ type: 'string', enum: [...phases] }),
  since: time,
  /** Step, try, bytes and rate of a flash that runs; null when none does. */
  step: nullable(Step),
  attempt: Type.Integer(),
  bytes: nullable(Type.Integer()),
  total: nullable(Type.Integer()),
  /** Bytes per second. */
  rate: nullable(Type.Number()),
  disk: nullable(Type.Object({ path: Type.String(), serial: nullable(Type.String()) })),
  /** Why it failed or was stopped. */
  failure: nullable(FailureMessage),
  /** What the next netboot does: `flash`, `disk`, `interactive`, `inventory`, `nothing` or `stopped`. */
  next: Type.String(),
});
export type MachineState = Static<typeof MachineState>;

export const Machine = Type.Object({
  mac: Type.String(),
  image_sha256: nullable(Type.String()),
  provisioning_mode: Provisioning,
  hostname: nullable(Type.String()),
  cijoe_task_ref: nullable(Type.String()),
  discovered_at: nullable(time),
  last_seen_at: nullable(time),
  last_seen_ip: nullable(Type.String()),
  boot_policy: BootPolicySchema,
  last_flashed_at: nullable(time),
  last_task_run_at: nullable(time),
  last_task_status: nullable(Type.String()),
  last_task_output_path: nullable(Type.String()),
  created_at: time,
  updated_at: time,
  /** Ours, from here on. */
  target_disk_serial: nullable(Type.String()),
  target_disk: nullable(DiskRule),
  labels: Type.Record(Type.String(), Type.String()),
  notes: nullable(Type.String()),
  smbios_uuid: nullable(Type.String()),
  smbios_serial: nullable(Type.String()),
  etag: Type.String(),
  state: MachineState,
});
export type Machine = Static<typeof Machine>;

const ours = {
  /** The disk with this serial number; the short form of `target_disk`. */
  target_disk_serial: Type.Optional(nullable(DiskSerial)),
  target_disk: Type.Optional(nullable(DiskRule)),
  labels: Type.Optional(Labels),
  notes: Type.Optional(nullable(Notes)),
  /** Null forgets which board the machine is; the next inventory says it anew. */
  smbios_uuid: Type.Optional(Type.Null()),
  smbios_serial: Type.Optional(Type.Null()),
};

/** Replaces all that the contract names; what is ours and left out stays as it is. */
export const MachineUpsert = Type.Object(
  {
    image_sha256: Type.Optional(nullable(digest)),
    provisioning_mode: Type.Optional(Provisioning),
    hostname: Type.Optional(nullable(Hostname)),
    cijoe_task_ref: Type.Optional(nullable(TaskRef)),
    boot_policy: Type.Optional(BootPolicySchema),
    ...ours,
  },
  { additionalProperties: false },
);
export type MachineUpsert = Static<typeof MachineUpsert>;

/** Changes what it names. */
export const MachinePatch = MachineUpsert;

export const MachineQuery = Type.Object({
  /** Rows of one page; without it all of them. */
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  /** Only machines after this MAC. */
  after: Type.Optional(Type.String()),
  /** Part of MAC, host name, label, note or address. */
  q: Type.Optional(Type.String({ maxLength: 200 })),
  boot_policy: Type.Optional(BootPolicySchema),
  phase: Type.Optional(Type.String()),
  /** `running`, `completed`, `cancelled` or `failed`. */
  task_status: Type.Optional(Type.String({ maxLength: 20 })),
  image_sha256: Type.Optional(Type.String()),
  /** `name` or `name=value`. */
  label: Type.Optional(Type.String({ maxLength: 400 })),
});
export type MachineQuery = Static<typeof MachineQuery>;

export const MachineAction = Type.Object(
  {
    action: Type.Union([
      /** The next netboot flashes (policy `flash-once` where it was none of the flashing ones). */
      Type.Literal('arm'),
      /** Policy `local`. */
      Type.Literal('disarm'),
      Type.Literal('set-policy'),
      Type.Literal('set-image'),
      Type.Literal('delete'),
    ]),
    boot_policy: Type.Optional(BootPolicySchema),
    /** For `set-image`, and for `arm` to set it in the same step; null takes the image away. */
    image_sha256: Type.Optional(nullable(digest)),
    /** These machines ... */
    macs: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 100_000 })),
    /** ... that have all of these labels. One of both must be given. */
    labels: Type.Optional(
      Type.Record(Type.String({ maxLength: 63 }), Type.String({ maxLength: 255 }), { maxProperties: 64 }),
    ),
    /** Most machines that may be meant; more change nothing. */
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    /** Only say which machines are meant. */
    dry_run: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type MachineAction = Static<typeof MachineAction>;

export const ActionResult = Type.Object({
  matched: Type.Integer(),
  changed: Type.Array(Type.String()),
  /** MACs that were left alone, each with its reason. */
  skipped: Type.Array(Type.Object({ mac: Type.String(), reason: Type.String() })),
});
export type ActionResult = Static<typeof ActionResult>;

const conflict = { 412: { sentence: 'It has changed since that `etag`.' } } as const;

export const machineOperations = operations({
  list: {
    name: 'machine.list',
    method: 'GET',
    path: '/machines',
    access: 'read',
    summary: 'Machines in the order of their MACs.',
    description:
      'With `limit` one page; the header `Link` with `rel="next"` has the address of the next one, and ' +
      '`X-Total-Count` says how many there are in all.',
    query: MachineQuery,
    replies: { 200: { sentence: 'The machines.', schema: Type.Array(Machine) } },
  },
  get: {
    name: 'machine.get',
    method: 'GET',
    path: '/machines/{mac}',
    access: 'read',
    summary: 'One machine.',
    replies: { 200: { sentence: 'The machine; its `etag` is also the header `ETag`.', schema: Machine } },
  },
  put: {
    name: 'machine.put',
    method: 'PUT',
    path: '/machines/{mac}',
    access: 'operate',
    summary: 'Say what a machine is to boot; makes it when it is new.',
    description:
      'Replaces what the predecessor knew: an omitted field gets its default. `target_disk_serial`, `target_disk`, ' +
      '`labels` and `notes` stay when omitted. With `flash` and `flash-once` the next netboot flashes. The inventory ' +
      'of a live system binds the machine to its board, and another board with its MAC is not flashed; null as ' +
      '`smbios_uuid` and `smbios_serial` accepts another one. `If-None-Match: *` makes a machine and changes none.',
    body: { kind: 'json', schema: MachineUpsert },
    replies: { 200: { sentence: 'The machine as it is now.', schema: Machine }, ...conflict },
  },
  patch: {
    name: 'machine.patch',
    method: 'PATCH',
    path: '/machines/{mac}',
    access: 'operate',
    summary: 'Change some of what a machine is to boot.',
    body: { kind: 'json', schema: MachinePatch },
    replies: { 200: { sentence: 'The machine as it is now.', schema: Machine }, ...conflict },
  },
  delete: {
    name: 'machine.delete',
    method: 'DELETE',
    path: '/machines/{mac}',
    access: 'operate',
    summary: 'Forget a machine; when it netboots again it is discovered again.',
    replies: { 204: { sentence: 'Forgotten.' }, ...conflict },
  },
  inventory: {
    name: 'machine.inventory',
    method: 'GET',
    path: '/machines/{mac}/inventory',
    access: 'read',
    summary: 'What the machine is made of, as it last told.',
    replies: {
      200: {
        sentence: 'The inventory.',
        schema: Type.Object({ taken_at: time, inventory: Inventory }),
      },
    },
  },
  act: {
    name: 'machine.act',
    method: 'POST',
    path: '/machines/actions',
    access: 'operate',
    summary: 'Do one thing to many machines.',
    description:
      'More machines than `limit` (or the setting `bulk_limit`) are a 409, and nothing is changed.',
    body: { kind: 'json', schema: MachineAction },
    replies: {
      200: { sentence: 'What was done.', schema: ActionResult },
      409: { sentence: 'Too many machines are meant.' },
    },
  },
  uiSave: {
    name: 'machine.ui-save',
    method: 'POST',
    path: '/ui/machines/{mac}',
    access: 'open',
    summary: 'Save the form of a machine.',
    body: { kind: 'form', schema: Type.Object({}) },
    replies: { 303: { sentence: 'To the machines, or back to the form with `?error=`.' } },
  },
  uiDelete: {
    name: 'machine.ui-delete',
    method: 'POST',
    path: '/ui/machines/{mac}/delete',
    access: 'open',
    summary: 'Forget a machine, from a form.',
    body: { kind: 'ignored' },
    replies: { 303: { sentence: 'To the machines.' } },
  },
});
