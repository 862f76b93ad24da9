/**
 * Every failure a person can meet: its code, the sentence that states both sides, the advice, and how it is
 * told by a process (exit code, `bty-contract` section 1) and by HTTP (status).
 */

/** Exit codes of the `bty` command line. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  misuse: 2,
  needsRoot: 3,
  toolMissing: 4,
  targetRaced: 5,
  cancelled: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

interface Entry<Details> {
  readonly exit: ExitCode;
  readonly http: number;
  readonly sentence: (details: Details) => string;
  readonly advice: string;
}

function entry<Details>(
  exit: ExitCode,
  http: number,
  sentence: (details: Details) => string,
  advice: string,
): Entry<Details> {
  return { exit, http, sentence, advice };
}

type None = Record<never, never>;
interface Where {
  /** The disk, as the person named it. */
  readonly target: string;
}
interface Range extends Where {
  /** First byte and length of the range, in bytes from the start of the disk. */
  readonly offset: number;
  readonly length: number;
}

const { failed, misuse, needsRoot, toolMissing, targetRaced, cancelled } = ExitCode;

const table = {
  // What was asked for
  USAGE: entry<{ problem: string }>(misuse, 400, (d) => d.problem, 'Run bty --help to see what it takes.'),
  INTERNAL: entry<{ problem: string }>(
    failed,
    500,
    (d) => `bty met a fault of its own: ${d.problem}`,
    'Please report this with the command you ran.',
  ),
  CANCELLED: entry<{ untouched?: boolean }>(
    cancelled,
    499,
    (d) =>
      d.untouched
        ? 'The flash was cancelled before anything was written; the disk is as it was.'
        : 'The flash was cancelled; the disk has no valid start and does not boot.',
    'Flash it again to use it.',
  ),
  NEEDS_ROOT: entry<Where>(
    needsRoot,
    403,
    (d) => `Writing to ${d.target} needs root; this process may not open it for writing.`,
    'Run the same command with sudo.',
  ),
  TOOL_MISSING: entry<{ tool: string; purpose: string }>(
    toolMissing,
    500,
    (d) => `"${d.tool}" is needed to ${d.purpose}, and it is not on this machine's PATH.`,
    'Install the package that holds it and run the command again.',
  ),
  TOOL_FAILED: entry<{ tool: string; purpose: string; problem: string }>(
    misuse,
    500,
    (d) => `"${d.tool}" could not ${d.purpose}: ${d.problem}`,
    'Run the tool by hand to see what it says.',
  ),

  // The image
  IMAGE_NOT_FOUND: entry<{ image: string; catalog?: string }>(
    misuse,
    404,
    (d) =>
      `There is no image at ${d.image}${d.catalog === undefined ? '' : `, and the catalog ${d.catalog} names none like it`}.`,
    'Check the path or the URL.',
  ),
  IMAGE_UNREADABLE: entry<{ image: string; problem: string }>(
    misuse,
    422,
    (d) => `${d.image} cannot be read: ${d.problem}.`,
    'Check that it is a file you may read.',
  ),
  IMAGE_EMPTY: entry<{ image: string }>(
    failed,
    422,
    (d) => `${d.image} is empty: there is nothing to write.`,
    'Download or build the image again.',
  ),
  IMAGE_REFUSED: entry<{ image: string; what: string; remedy: string }>(
    failed,
    422,
    (d) => `${d.image} is ${d.what}, not a disk image. ${d.remedy}`,
    'bty writes raw images, optionally packed with gz, bz2, xz, zst, lz4 or zip, and qcow2.',
  ),
  FORMAT_UNKNOWN: entry<{ image: string }>(
    failed,
    422,
    (d) => `The format of ${d.image} is not recognised, neither by its content nor by its name.`,
    'Name raw images .img, .raw, .bin, .iso, .wic or .dd.',
  ),
  IMAGE_CORRUPT: entry<{ image: string; format: string; problem: string; offset?: number }>(
    failed,
    422,
    (d) =>
      `${d.image} is damaged: its ${d.format} stream fails${d.offset === undefined ? '' : ` near stored byte ${d.offset}`} (${d.problem}).`,
    'Download or copy the image again; compare its SHA-256 with the publisher\u2019s.',
  ),
  IMAGE_TRUNCATED: entry<{ image: string; format: string; offset?: number }>(
    failed,
    422,
    (d) =>
      `${d.image} ends too early: the ${d.format} stream is not complete${d.offset === undefined ? '' : ` after ${d.offset} stored bytes`}.`,
    'Download or copy the image again.',
  ),
  IMAGE_UNSUPPORTED: entry<{ image: string; format: string; feature: string }>(
    failed,
    422,
    (d) => `${d.image} is a ${d.format} image with ${d.feature}, which bty does not read.`,
    'Convert it to a raw image first, for example with qemu-img convert -O raw.',
  ),
  IMAGE_NOT_STREAMABLE: entry<{ image: string; format: string; reason: string }>(
    failed,
    422,
    (d) => `${d.image} cannot be read as a ${d.format} stream because ${d.reason}.`,
    'Save the image to a file first and flash that file.',
  ),
  DIGEST_MISMATCH: entry<{ image: string; expected: string; actual: string }>(
    failed,
    422,
    (d) => `${d.image} is not the expected image: its SHA-256 is ${d.actual}, expected ${d.expected}.`,
    'Download the image again, or correct the expected digest.',
  ),
  BMAP_INVALID: entry<{ bmap: string; problem: string }>(
    failed,
    422,
    (d) => `The block map ${d.bmap} cannot be used: ${d.problem}.`,
    'Create it again with bty bmap create, or flash without --bmap.',
  ),
  BMAP_MISMATCH: entry<{ bmap: string; image: string; problem: string }>(
    failed,
    422,
    (d) => `The block map ${d.bmap} does not belong to ${d.image}: ${d.problem}.`,
    'Use the block map that was published with this image.',
  ),

  OUTPUT_FAILED: entry<{ file: string; problem: string }>(
    failed,
    500,
    (d) => `${d.file} cannot be written: ${d.problem}.`,
    'Name a file in a directory that you may write to.',
  ),

  // Where the image comes from
  SOURCE_UNREACHABLE: entry<{ url: string; problem: string }>(
    misuse,
    502,
    (d) => `${d.url} cannot be reached: ${d.problem}.`,
    'Check the address, the network and the server.',
  ),
  SOURCE_HTTP_STATUS: entry<{ url: string; status: number }>(
    misuse,
    502,
    (d) => `${d.url} answered with HTTP status ${d.status} instead of the image.`,
    'Check the address; open it in a browser.',
  ),
  SOURCE_DROPPED: entry<{ url: string; offset: number; problem: string }>(
    failed,
    502,
    (d) => `The transfer of ${d.url} broke off at byte ${d.offset} and could not be resumed: ${d.problem}.`,
    'Try again; a server that supports Range requests lets bty resume.',
  ),
  SOURCE_CHANGED: entry<{ url: string; offset: number }>(
    failed,
    502,
    (d) => `${d.url} changed on the server while it was read (at byte ${d.offset}).`,
    'Start again to read the new version as a whole.',
  ),
  SOURCE_LENGTH: entry<{ url: string; expected: number; actual: number }>(
    failed,
    502,
    (d) => `${d.url} promised ${d.expected} bytes and delivered ${d.actual}.`,
    'Try again; if it persists, the server or a proxy is at fault.',
  ),
  IMAGE_CHANGED: entry<{ image: string; what: string; expected: string; actual: string }>(
    failed,
    409,
    (d) => `${d.image} changed while it was read: its ${d.what} was ${d.expected} and is now ${d.actual}.`,
    'Wait until nothing writes to the image any more, then start again.',
  ),
  SOURCE_READ_FAILED: entry<{ image: string; offset: number; problem: string }>(
    failed,
    500,
    (d) => `Reading ${d.image} failed at byte ${d.offset}: ${d.problem}.`,
    'The medium that holds the image may be failing; copy the image elsewhere.',
  ),
  DESCRIPTOR_INVALID: entry<{ file: string; problem: string }>(
    misuse,
    422,
    (d) => `${d.file} is not a usable image descriptor: ${d.problem}.`,
    'See docs/cli.md for the .bri format.',
  ),
  CATALOG_INVALID: entry<{ catalog: string; problem: string }>(
    failed,
    422,
    (d) => `The catalog ${d.catalog} is not valid: ${d.problem}.`,
    'Correct the manifest; bty catalog validate names the first fault.',
  ),
  CATALOG_MISSING: entry<None>(
    failed,
    404,
    () => 'No catalog is configured.',
    'Name one, or set BTY_CATALOG_FILE, or put catalog.toml in the state directory.',
  ),
  CACHE_FAILED: entry<{ cache: string; problem: string }>(
    failed,
    507,
    (d) => `The image cache ${d.cache} cannot store the image: ${d.problem}.`,
    'Free space there, or set BTY_CATALOG_CACHE_DIR to another directory.',
  ),
  CATALOG_ENTRY_UNKNOWN: entry<{ catalog: string; name: string }>(
    failed,
    404,
    (d) => `The catalog ${d.catalog} has no image named "${d.name}".`,
    'Run bty catalog list to see the names.',
  ),

  // The disk, when it is opened
  TARGET_NOT_FOUND: entry<Where>(
    failed,
    404,
    (d) => `There is no disk at ${d.target}.`,
    'Run bty list disks.',
  ),
  TARGET_NOT_BLOCK: entry<Where>(
    failed,
    422,
    (d) => `${d.target} is not a block device.`,
    'Name a whole disk such as /dev/sdb; for a file use --virtual-disk.',
  ),
  TARGET_NOT_FILE: entry<Where>(
    failed,
    422,
    (d) => `${d.target} is not a regular file, so it cannot be a virtual disk.`,
    'Create one with truncate -s 8G FILE; name real disks with --target.',
  ),
  TARGET_IS_PARTITION: entry<Where & { disk: string }>(
    failed,
    422,
    (d) => `${d.target} is a partition of ${d.disk}, not a whole disk.`,
    'Name the whole disk.',
  ),
  TARGET_IS_LOOP: entry<Where & { backing: string }>(
    failed,
    422,
    (d) => `${d.target} is a loop device over ${d.backing}, not a real disk.`,
    'Add --allow-loop if that is what you mean.',
  ),
  TARGET_IS_VIRTUAL: entry<Where & { what: string }>(
    failed,
    422,
    (d) => `${d.target} is ${d.what}, which is not a disk that can be flashed.`,
    'Name a whole physical disk.',
  ),
  TARGET_READ_ONLY: entry<Where>(
    failed,
    409,
    (d) => `${d.target} is read-only.`,
    'Slide the write-protect switch of the card or stick, or choose another disk.',
  ),
  TARGET_TOO_SMALL: entry<
    Where & { image: string; imageBytes: number; atLeast?: boolean; targetBytes: number }
  >(
    failed,
    409,
    (d) =>
      `${d.image} needs ${d.atLeast ? 'at least ' : ''}${amount(d.imageBytes)}, and ${d.target} holds ${amount(d.targetBytes)}.`,
    'Choose a larger disk or a smaller image.',
  ),
  TARGET_SIZE_INVALID: entry<Where & { targetBytes: number }>(
    failed,
    422,
    (d) =>
      `${d.target} holds ${d.targetBytes} bytes; a virtual disk holds a whole number of 512-byte blocks, at least one.`,
    'Set its size, for example with truncate -s 8G FILE.',
  ),
  TARGET_NO_MEDIUM: entry<Where>(
    failed,
    409,
    (d) => `${d.target} has no medium in it (its size is zero).`,
    'Insert the card or disk.',
  ),
  TARGET_MOUNTED: entry<Where & { mounts: readonly string[] }>(
    failed,
    409,
    (d) => `${d.target} is in use: mounted at ${d.mounts.join(', ')}.`,
    'Unmount it first.',
  ),
  TARGET_SWAP: entry<Where & { device: string }>(
    failed,
    409,
    (d) => `${d.target} is in use: ${d.device} is swap space.`,
    'Switch it off with swapoff first.',
  ),
  TARGET_HELD: entry<Where & { device: string; holders: readonly string[] }>(
    failed,
    409,
    (d) => `${d.target} is in use: ${d.device} belongs to ${d.holders.join(', ')}.`,
    'Stop the volume, array or loop device first.',
  ),
  TARGET_IS_SYSTEM: entry<Where & { mounts: readonly string[] }>(
    failed,
    409,
    (d) => `${d.target} is the disk this system runs from (${d.mounts.join(', ')}).`,
    'Choose another disk.',
  ),
  TARGET_HOLDS_SOURCE: entry<Where & { image: string }>(
    failed,
    409,
    (d) => `${d.target} holds the image ${d.image} itself.`,
    'Copy the image to another disk first.',
  ),
  TARGET_BUSY: entry<Where & { problem?: string }>(
    targetRaced,
    409,
    (d) => `${d.target} is opened exclusively by another program${d.problem ? ` (${d.problem})` : ''}.`,
    'Close the program that uses it and try again.',
  ),
  TARGET_CHANGED: entry<Where & { what: string; expected: string; actual: string }>(
    targetRaced,
    409,
    (d) =>
      `${d.target} is no longer the disk that was chosen: its ${d.what} is ${d.actual}, it was ${d.expected}.`,
    'List the disks again and choose anew.',
  ),
  TARGET_UNEXPECTED: entry<Where & { what: string; expected: string; actual: string }>(
    failed,
    409,
    (d) => `${d.target} is not the expected disk: its ${d.what} is ${d.actual}, expected ${d.expected}.`,
    'Check which disk is meant; nothing was written.',
  ),
  TARGET_TWICE: entry<Where & { other: string }>(
    misuse,
    400,
    (d) => `${d.target} and ${d.other} are the same disk.`,
    'Name each disk once.',
  ),
  TARGET_OPEN_FAILED: entry<Where & { problem: string }>(
    failed,
    500,
    (d) => `${d.target} cannot be opened for writing: ${d.problem}.`,
    'Check the disk and its connection.',
  ),

  // The disk, while it is written
  WRITE_FAILED: entry<Range & { problem: string }>(
    failed,
    500,
    (d) => `${d.target} refused to store ${d.length} bytes at byte ${d.offset}: ${d.problem}.`,
    'The disk is failing or counterfeit; use another one.',
  ),
  WRITE_SHORT: entry<Range & { written: number }>(
    failed,
    500,
    (d) => `${d.target} stored only ${d.written} of ${d.length} bytes at byte ${d.offset}.`,
    'The disk is failing or counterfeit; use another one.',
  ),
  FLUSH_FAILED: entry<Where & { problem: string }>(
    failed,
    500,
    (d) => `${d.target} accepted the data but could not store all of it: flushing failed with ${d.problem}.`,
    'The disk is failing or was unplugged; use another one.',
  ),
  DISK_FULL: entry<Range>(
    failed,
    507,
    (d) => `${d.target} has no room for ${d.length} bytes at byte ${d.offset}, though its size says so.`,
    'For a virtual disk, free space on the file system that holds it; a real disk is counterfeit.',
  ),
  DISK_VANISHED: entry<Range>(
    failed,
    410,
    (d) =>
      `${d.target} disappeared while byte ${d.offset} was being written: it was unplugged or lost its power.`,
    'Plug it in again, avoid hubs, and flash it anew.',
  ),
  DISK_STALLED: entry<Range & { seconds: number }>(
    failed,
    504,
    (d) => `${d.target} has not answered for ${d.seconds} seconds (at byte ${d.offset}).`,
    'Unplug it, try another port or another disk.',
  ),
  READ_BACK_FAILED: entry<Range & { problem: string }>(
    failed,
    500,
    (d) => `${d.target} could not give back ${d.length} bytes at byte ${d.offset}: ${d.problem}.`,
    'The disk is failing or counterfeit; use another one.',
  ),
  VERIFY_MISMATCH: entry<Range>(
    failed,
    500,
    (d) =>
      `${d.target} gave back other bytes than were written, first within ${d.length} bytes at byte ${d.offset}.`,
    'The disk is failing or counterfeit; use another one.',
  ),
} as const;

export type FailureCode = keyof typeof table;
export type FailureDetails<Code extends FailureCode> =
  (typeof table)[Code] extends Entry<infer Details> ? Details : never;

/** Failure in the form that crosses a wire or a log. */
export interface FailureReport {
  readonly code: FailureCode;
  readonly message: string;
  readonly advice: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A failure that a person can meet; everything else that is thrown is a fault of bty. */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly advice: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly exitCode: ExitCode;
  readonly httpStatus: number;

  constructor(code: FailureCode, details: object, cause?: unknown) {
    const found = table[code] as unknown as Entry<object>;
    super(found.sentence(details), cause === undefined ? undefined : { cause });
    this.name = 'Failure';
    this.code = code;
    this.advice = found.advice;
    this.details = details as Readonly<Record<string, unknown>>;
    this.exitCode = found.exit;
    this.httpStatus = found.http;
  }

  report(): FailureReport {
    return { code: this.code, message: this.message, advice: this.advice, details: this.details };
  }
}

/** Makes the failure `code`; `details` is checked against the table by the compiler. */
export function failure<Code extends FailureCode>(
  code: Code,
  details: FailureDetails<Code>,
  cause?: unknown,
): Failure {
  return new Failure(code, details as object, cause);
}

/** The failure in `error`, or INTERNAL when it is none. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const problem = error instanceof Error ? error.message : String(error);
  return failure('INTERNAL', { problem }, error);
}

/** Rebuilds a failure that crossed a thread or a wire. */
export function fromReport(report: FailureReport): Failure {
  return new Failure(report.code, report.details);
}

/** Exit code that belongs to `code`. */
export function exitCodeOf(code: FailureCode): ExitCode {
  return table[code].exit;
}

/** All codes, for documentation and tests. */
export const failureCodes = Object.keys(table) as readonly FailureCode[];

function amount(bytes: number): string {
  const short =
    bytes >= 1e9
      ? ` (${(bytes / 1e9).toFixed(1)} GB)`
      : bytes >= 1e6
        ? ` (${(bytes / 1e6).toFixed(1)} MB)`
        : '';
  return `${bytes} bytes${short}`;
}
