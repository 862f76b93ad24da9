/**
 * The agent's side of the contract: what a live system on a bare machine and its appliance say to one another.
 *
 * | call | body | answer |
 * |---|---|---|
 * | `GET /pxe/{mac}/plan` | | 200 `Plan` |
 * | `POST /pxe/{mac}/inventory` | `Inventory` | 204 |
 * | `POST /pxe/{mac}/progress` | `Progress` | 204 go on, 409 the plan was withdrawn: stop |
 * | `POST /pxe/{mac}/status` | `Status` | 204 |
 *
 * Every call carries `Authorization: Bearer <token>`. The token is minted when the boot script is rendered and
 * travels in a second initrd (`shared/archive/cpio.ts` makes it) as the file `ticketPath`, never on the kernel command
 * line. 401 or 403 means that the token is not (any longer) good: the agent stops and says so. 404, 408, 429 and
 * every 5xx are asked again with back-off. Bodies are JSON, at most `bodyBytes` long; keys that a schema does not name
 * are ignored by both sides, so either may be the newer one.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { Check, Errors } from 'typebox/value';
import type { Checked } from '../descriptor.ts';

/** Most bytes of a body in either direction. */
export const bodyBytes = 256 * 1024;

/** Where the token lies in the live system's root, without the leading slash: the name inside the second initrd. */
export const ticketPath = 'etc/bty/ticket.json';

/** Names on the kernel command line. `server` and `mac` are all that our live system needs. */
export const commandLine = {
  /** Address of the appliance without a path, as `http://10.0.0.1:8080`. */
  server: 'bty.server',
  /** MAC address under which the appliance knows the machine, lower case with colons. */
  mac: 'bty.mac',
  /** `interactive` or `flash`: accepted for compatibility, the plan decides. */
  mode: 'bty.mode',
  /** Accepted for compatibility, the plan decides. */
  imageUrl: 'bty.image_url',
  /** `1`: a failure ends in a shell on the console. Only the operator's setting puts it there. */
  shell: 'bty.shell',
  /** `01-52-54-00-...`, as PXELINUX and `BOOTIF=01-${netX/mac:hexhyp}` of iPXE say it. */
  bootInterface: 'BOOTIF',
} as const;

const text = (most: number) => Type.String({ maxLength: most });
const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const seconds = Type.Number({ minimum: 0, maximum: 7 * 86_400 });
const digest = Type.String({ pattern: '^[0-9a-f]{64}$' });

/** Content of the file `ticketPath`. */
export const Ticket = Type.Object({
  /** Bearer token for this boot. */
  token: Type.String({ pattern: '^[A-Za-z0-9._~+/=-]{16,512}$' }),
  /** SHA-256 of the appliance's CA certificate (DER) in lower-case hex; null without TLS. */
  ca_fingerprint: nullable(digest),
});
export type Ticket = Static<typeof Ticket>;

/** Which disk is meant. Zero or two disks that fit are a refusal, never a guess. */
export const DiskRule = Type.Union([
  /** The disk with this serial number (white space around it does not count), or this WWN. */
  Type.Object({ kind: Type.Literal('serial'), serial: Type.String({ minLength: 1, maxLength: 256 }) }),
  /** The one disk that fits all that is given. */
  Type.Object({
    kind: Type.Literal('match'),
    /** Part of the model's name, in any case. */
    model: Type.Optional(text(256)),
    transport: Type.Optional(text(32)),
    rotational: Type.Optional(Type.Boolean()),
    min_bytes: Type.Optional(count),
    max_bytes: Type.Optional(count),
  }),
  /** The machine's only disk that is neither removable nor read-only. */
  Type.Object({ kind: Type.Literal('only') }),
]);
export type DiskRule = Static<typeof DiskRule>;

/** How often a step is tried again and with what pauses: they double from `first_seconds` up to `most_seconds`. */
export const RetryPolicy = Type.Object({
  /** Tries of the whole flash in this boot, 1 for no second one. */
  attempts: Type.Integer({ minimum: 1, maximum: 1000 }),
  first_seconds: seconds,
  most_seconds: seconds,
});
export type RetryPolicy = Static<typeof RetryPolicy>;

/** What the UEFI firmware is told after a flash. */
export const BootEntry = Type.Union([
  Type.Object({ kind: Type.Literal('none') }),
  /** The next boot, and only that one, goes to the flashed disk (BootNext). BootOrder stays as it is. */
  Type.Object({ kind: Type.Literal('next') }),
  /** As `next`, and the entry stays at the end of BootOrder. */
  Type.Object({ kind: Type.Literal('keep') }),
]);
export type BootEntry = Static<typeof BootEntry>;

/** What follows a finished plan. `kexec` starts the kernel of the flashed disk where it is found, else reboots. */
export const After = Type.Union([Type.Literal('reboot'), Type.Literal('poweroff'), Type.Literal('kexec')]);
export type After = Static<typeof After>;

export const PlanImage = Type.Object({
  /** http(s) address with Range; may be relative to the appliance (`/images/<sha256>/<name>`). */
  url: Type.String({ minLength: 1, maxLength: 4096 }),
  name: Type.String({ minLength: 1, maxLength: 255 }),
  /** SHA-256 of the stored bytes: the image's identity, checked on the wire. */
  sha256: digest,
  /** Wire name of the format as in `shared/image.ts`, null to recognise it from the content. */
  format: nullable(text(32)),
  /** Stored bytes, null when unknown. */
  size_bytes: nullable(count),
});
export type PlanImage = Static<typeof PlanImage>;

const common = {
  /** Names this plan in every later message; a new one whenever the machine's plan changes. */
  id: Type.String({ minLength: 1, maxLength: 128 }),
  /** The machine's labels or host name for the console, null for none. */
  title: nullable(text(256)),
};

export const FlashPlanMessage = Type.Object({
  ...common,
  kind: Type.Literal('flash'),
  image: PlanImage,
  disk: DiskRule,
  verify: Type.Union([Type.Literal('full'), Type.Literal('written'), Type.Literal('none')]),
  /** Enlarge the last partition to the end of the disk (and its file system where that is possible). */
  grow: Type.Boolean(),
  boot_entry: BootEntry,
  after: After,
  retry: RetryPolicy,
  /** A message at least this often, progress or none. */
  heartbeat_seconds: seconds,
});
export type FlashPlanMessage = Static<typeof FlashPlanMessage>;

export const Plan = Type.Union([
  FlashPlanMessage,
  /** Status screen; asks again every `poll_seconds` and does what it is then told. */
  Type.Object({ ...common, kind: Type.Literal('interactive'), poll_seconds: seconds }),
  /** Post the inventory, then `after`. */
  Type.Object({ ...common, kind: Type.Literal('inventory'), after: After }),
  /** Nothing to do: reboot into what the appliance serves next. `reason` is for the console. */
  Type.Object({ ...common, kind: Type.Literal('exit'), after: After, reason: nullable(text(1000)) }),
]);
export type Plan = Static<typeof Plan>;

export const InventoryDisk = Type.Object({
  path: text(256),
  size_bytes: count,
  vendor: nullable(text(256)),
  model: nullable(text(256)),
  serial: nullable(text(256)),
  wwn: nullable(text(256)),
  /** `usb`, `sata`, `nvme`, `mmc`, `virtio`, `sas` ..., null when unknown. */
  transport: nullable(text(32)),
  rotational: nullable(Type.Boolean()),
  removable: Type.Boolean(),
  readonly: Type.Boolean(),
  logical_block_size: nullable(count),
});
export type InventoryDisk = Static<typeof InventoryDisk>;

export const InventoryNic = Type.Object({
  name: text(32),
  mac: text(64),
  driver: nullable(text(64)),
  /** Megabits per second, null without a link or where the driver does not say. */
  speed: nullable(count),
  link: Type.Boolean(),
  /** Addresses as `10.0.0.5/24`. */
  addresses: Type.Array(text(64), { maxItems: 64 }),
  /** True for the one that the machine was booted from. */
  booted: Type.Boolean(),
});
export type InventoryNic = Static<typeof InventoryNic>;

export const Inventory = Type.Object({
  schema_version: Type.Literal(1),
  agent_version: text(64),
  kernel: text(128),
  /** `x64` or `arm64`, as Node.js says it. */
  architecture: text(32),
  firmware: Type.Object({
    kind: Type.Union([Type.Literal('bios'), Type.Literal('uefi')]),
    /** null where the firmware does not say, always on BIOS. */
    secure_boot: nullable(Type.Boolean()),
  }),
  /** SMBIOS, each null where empty or a maker's filler. */
  dmi: Type.Object({
    vendor: nullable(text(256)),
    product: nullable(text(256)),
    version: nullable(text(256)),
    serial: nullable(text(256)),
    /** Lower case. All-zero and all-F UUIDs are told as null. */
    uuid: nullable(text(64)),
    board_vendor: nullable(text(256)),
    board_name: nullable(text(256)),
    board_serial: nullable(text(256)),
    bios_vendor: nullable(text(256)),
    bios_version: nullable(text(256)),
    bios_date: nullable(text(64)),
  }),
  cpu: Type.Object({ model: nullable(text(256)), sockets: count, cores: count, threads: count }),
  memory_bytes: count,
  disks: Type.Array(InventoryDisk, { maxItems: 1024 }),
  nics: Type.Array(InventoryNic, { maxItems: 256 }),
  /** Whole sentences for a person: firmware that a NIC lacks, a controller without a driver. */
  problems: Type.Array(text(1000), { maxItems: 64 }),
});
export type Inventory = Static<typeof Inventory>;

/** Steps of a flash in their order. The middle five are the engine's (`shared/flash/event.ts`). */
export const Step = Type.Union([
  /** The plan is read, the disk chosen, the image opened. */
  Type.Literal('preparing'),
  Type.Literal('clearing'),
  Type.Literal('writing'),
  Type.Literal('flushing'),
  Type.Literal('verifying'),
  Type.Literal('settling'),
  /** Backup table moved, last partition grown, boot entry made. */
  Type.Literal('finishing'),
]);
export type Step = Static<typeof Step>;

/** Where a flash is: at most once a second, and as the heartbeat. */
export const Progress = Type.Object({
  plan: Type.String({ minLength: 1, maxLength: 128 }),
  /** Which try of the plan this is, from 1. */
  attempt: Type.Integer({ minimum: 1, maximum: 1000 }),
  step: Step,
  /** Image bytes done in this step and their total, null where unknown. */
  bytes: count,
  total: nullable(count),
  /** Bytes per second, null before it is known. */
  rate: nullable(Type.Number({ minimum: 0 })),
  /** Path and serial of the chosen disk, null before it is chosen. */
  disk: nullable(Type.Object({ path: text(256), serial: nullable(text(256)) })),
});
export type Progress = Static<typeof Progress>;

/** `FailureReport` of `shared/failure.ts` as it crosses this wire. */
export const FailureMessage = Type.Object({
  code: text(64),
  message: text(4000),
  advice: text(4000),
  details: Type.Record(Type.String(), Type.Unknown()),
});
export type FailureMessage = Static<typeof FailureMessage>;

/** The end of a plan or of one try. It is repeated until the appliance has answered it. */
export const Status = Type.Union([
  Type.Object({
    status: Type.Literal('done'),
    plan: Type.String({ minLength: 1, maxLength: 128 }),
    attempt: Type.Integer({ minimum: 1, maximum: 1000 }),
    /** SHA-256 of the stored bytes as they came over the wire. */
    image_sha256: digest,
    /** Bytes of the image on the disk. */
    image_bytes: count,
    /** True when every byte that was to be verified was read back and matched. */
    verified: Type.Boolean(),
    disk: Type.Object({ path: text(256), serial: nullable(text(256)), size_bytes: count }),
    /** Seconds in each step that was reached. */
    seconds: Type.Record(Type.String(), seconds),
    /** What the agent does next. */
    after: After,
    /** Sentences for a person about what did not work though the flash did: a boot entry that was refused. */
    notices: Type.Array(text(1000), { maxItems: 64 }),
  }),
  Type.Object({
    status: Type.Literal('failed'),
    /** null when there was no plan to fail. */
    plan: nullable(Type.String({ minLength: 1, maxLength: 128 })),
    attempt: Type.Integer({ minimum: 1, maximum: 1000 }),
    step: Step,
    failure: FailureMessage,
    /** Seconds until the agent tries again, null when it gives up. */
    again_in: nullable(seconds),
  }),
]);
export type Status = Static<typeof Status>;

/** `value` when it is a `schema`, else what is wrong with it and where. */
export function checkMessage<Schema extends TSchema>(
  schema: Schema,
  value: unknown,
): Checked<Static<Schema>> {
  if (Check(schema, value)) return { kind: 'valid', value };
  const [first] = Errors(schema, value);
  const where =
    first?.instancePath === undefined || first.instancePath === '' ? '' : `${first.instancePath}: `;
  return { kind: 'invalid', problem: `${where}${first?.message ?? 'it does not fit'}` };
}
