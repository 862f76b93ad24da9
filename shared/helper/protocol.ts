/**
 * What the desktop app and the privileged helper say to one another: lines of JSON in UTF-8 on the helper's standard
 * input and output. The helper greets, is given one job, tells how it goes, and exits; when its standard input
 * ends, it cancels and exits. Unknown fields, kinds and versions are refused, and end the job.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { Check, Errors } from 'typebox/value';

/** Raised with every change after which one side would refuse the other. */
export const protocolVersion = 2;

/** Most bytes of a line to the helper, its end not counted. */
export const requestBytes = 64 * 1024;
/** Most bytes of a line from the helper. */
export const replyBytes = 1024 * 1024;
/** Most disks of a job, those added later included. */
export const mostTargets = 32;

const strict = { additionalProperties: false } as const;
/** Text that may stand in a system call: no NUL. */
const noNul = '^[^\\u0000]+$';
const text = (maxLength: number) => Type.String({ minLength: 1, maxLength, pattern: noNul });
const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
const bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** From the root, for the helper does not stand where the app stands. */
const absolutePath = Type.String({
  minLength: 2,
  maxLength: 4096,
  pattern: '^(/|[A-Za-z]:[\\\\/]|\\\\\\\\)[^\\u0000]+$',
});
const httpAddress = Type.String({
  maxLength: 8192,
  pattern: '^[hH][tT][tT][pP][sS]?://[^/\\u0000][^\\u0000]*$',
});
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

/**
 * Where the image comes from. `sha256`: what the stored bytes must have, lower case; null where the description
 * (.bri, catalog) or nobody says it. A file may be a descriptor.
 */
export const HelperImage = Type.Union([
  Type.Object({ kind: Type.Literal('file'), path: absolutePath, sha256: nullable(sha256) }, strict),
  Type.Object({ kind: Type.Literal('url'), url: httpAddress, sha256: nullable(sha256) }, strict),
  Type.Object(
    {
      kind: Type.Literal('catalog'),
      /** The manifest: an absolute path or an address. */
      catalog: Type.Union([absolutePath, httpAddress]),
      /** Of the image in it. */
      name: text(1024),
      sha256: nullable(sha256),
    },
    strict,
  ),
]);
export type HelperImage = Static<typeof HelperImage>;

/** A disk as it was listed (`bty list disks --json`): the helper refuses another one. */
export const HelperTarget = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('disk'),
      path: absolutePath,
      /** Bytes. */
      size: bytes,
      /** Null: it was listed without one. */
      serial: nullable(text(1024)),
      /** Null only where the system has none (Linux before 5.15): the helper refuses it elsewhere. */
      diskseq: nullable(bytes),
      /** `tran` of the list: usb, sata, nvme ... */
      transport: nullable(text(64)),
      /** Whether a loop device is meant to be a disk. */
      allowLoop: Type.Boolean(),
      /** The person saw that the system runs from this disk, and wants it overwritten. */
      allowSystemDisk: Type.Boolean(),
    },
    strict,
  ),
  /** A regular file that stands for a disk; opened with the rights of the asking user. */
  Type.Object({ kind: Type.Literal('virtual'), path: absolutePath, size: bytes }, strict),
]);
export type HelperTarget = Static<typeof HelperTarget>;

export const HelperJob = Type.Object(
  {
    kind: Type.Literal('job'),
    version: Type.Literal(protocolVersion),
    /** As the helper's greeting said it: a job that was recorded is good for nothing. */
    nonce: Type.String({ pattern: '^[0-9a-f]{32}$' }),
    image: HelperImage,
    targets: Type.Array(HelperTarget, { minItems: 1, maxItems: mostTargets }),
    verify: Type.Union([Type.Literal('full'), Type.Literal('written'), Type.Literal('none')]),
    /** A block map: its path, "auto" to look beside the image, null for none. */
    bmap: nullable(Type.Union([Type.Literal('auto'), absolutePath])),
    /** Do not transfer zeros to ranges that the disk was first made to read as zeros. */
    sparse: Type.Boolean(),
    /** Write an image that ends before its own partitions do. */
    allowCut: Type.Boolean(),
    /** Unmount what is mounted from the disks; without it a mounted disk is refused. */
    unmount: Type.Boolean(),
    /** Whether disks may be added while the job runs. */
    mayAddTargets: Type.Boolean(),
  },
  strict,
);
export type HelperJob = Static<typeof HelperJob>;

/** What may follow the job. */
export const HelperCommand = Type.Union([
  /** Ends the job; its disks look blank afterwards unless they were not touched. */
  Type.Object({ kind: Type.Literal('cancel') }, strict),
  /** Ends the read-back of all disks, which then are "written, not verified". */
  Type.Object({ kind: Type.Literal('skip-verification') }, strict),
  Type.Object({ kind: Type.Literal('add-target'), target: HelperTarget }, strict),
]);
export type HelperCommand = Static<typeof HelperCommand>;

export type HelperRequest = HelperJob | HelperCommand;

export type Parsed<Value> =
  | { readonly kind: 'valid'; readonly value: Value }
  /** `problem` completes "was sent something that it does not take: ...". */
  | { readonly kind: 'invalid'; readonly problem: string };

/** The first line to the helper whose greeting had `nonce`. */
export function parseJob(line: string, nonce: string): Parsed<HelperJob> {
  const read = readObject(line);
  if (read.kind === 'invalid') return read;
  const { value } = read;
  if (value.kind !== 'job') return invalid('the first line is not a job');
  if (value.version !== protocolVersion)
    return invalid(`a job of version ${shown(value.version)}, this is version ${protocolVersion}`);
  const job = fitting<HelperJob>(HelperJob, value);
  if (job.kind === 'invalid') return job;
  if (job.value.nonce !== nonce) return invalid('a job that answers another greeting');
  return job;
}

/** A line after the job. */
export function parseCommand(line: string): Parsed<HelperCommand> {
  const read = readObject(line);
  if (read.kind === 'invalid') return read;
  const { value } = read;
  if (value.kind === 'job') return invalid('a second job');
  const known = HelperCommand.anyOf.find((schema) => schema.properties.kind.const === value.kind);
  if (!known) return invalid(`an unknown command ${shown(value.kind)}`);
  return fitting<HelperCommand>(known, value);
}

/** The line for `request`, with its end. */
export function requestLine(request: HelperRequest): string {
  return `${JSON.stringify(request)}\n`;
}

/** The JSON object on `line`. */
export function readObject(line: string): Parsed<Readonly<Record<string, unknown>>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return invalid('a line that is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return invalid('a line that is no JSON object');
  return { kind: 'valid', value: value as Record<string, unknown> };
}

/** `value` as what `schema` describes; the problem names where it differs first. */
export function fitting<Value>(schema: TSchema, value: unknown): Parsed<Value> {
  if (Check(schema, value)) return { kind: 'valid', value: value as Value };
  const [first] = Errors(schema, value);
  // What `additionalProperties: false` refuses, the library tells as "schema is false".
  const message = first?.keyword === 'boolean' ? 'is not known here' : (first?.message ?? 'does not fit');
  return invalid(`"${shownText(first?.instancePath ?? '')}" ${message}`);
}

function invalid(problem: string): { readonly kind: 'invalid'; readonly problem: string } {
  return { kind: 'invalid', problem };
}

/** `value` in a few printable characters. What holds other values is not looked into: it may be nested without end. */
export function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return shownText(JSON.stringify(value) ?? 'nothing');
}

/** Short, and without what could move a terminal's cursor. */
function shownText(value: string): string {
  return value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?').slice(0, 100);
}
