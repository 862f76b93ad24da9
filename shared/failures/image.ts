import { ExitCode, entry, type None } from './entry.ts';

const { failed, misuse } = ExitCode;

/** The image, and where it comes from. */
export const imageFailures = {
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
} as const;
