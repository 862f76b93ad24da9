import { amount, ExitCode, entry, type None } from './entry.ts';

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
  IMAGE_CUT: entry<{ image: string; imageBytes: number; needed: number }>(
    failed,
    422,
    (d) =>
      `${d.image} was cut short: it has ${amount(d.imageBytes)}, and its own partition table describes ${amount(d.needed)}.`,
    'Download or copy the image again. If it is meant to be so, flash it with --allow-cut.',
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
  BMAP_NOT_FOUND: entry<{ bmap: string }>(
    misuse,
    404,
    (d) => `There is no block map at ${d.bmap}.`,
    'Check the path; --bmap auto takes the block map beside the image.',
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

  // The image store of the appliance; the first words of some are those of the contract's error bodies
  NAME_INVALID: entry<{ name: string }>(
    misuse,
    400,
    () => 'bad name',
    'Use one file name: without slashes, control characters or a leading dot, and at most 255 bytes.',
  ),
  STORED_IMAGE_UNKNOWN: entry<{ key: string }>(
    failed,
    404,
    (d) => `no such image: ${d.key}`,
    'GET /images lists what is here, by name and by digest.',
  ),
  STORED_IMAGE_EXISTS: entry<{ name: string }>(
    failed,
    409,
    (d) => `there is an image named ${d.name} already`,
    'Choose another name, or delete that image first.',
  ),
  STORED_IMAGE_BOUND: entry<{ name: string; machines: readonly string[]; count: number }>(
    failed,
    409,
    (d) =>
      `${d.name} is the image of ${d.machines.join(', ')}${d.count > d.machines.length ? ` and ${d.count - d.machines.length} more` : ''}`,
    'Give these machines another image first, or delete it all the same with ?force=1.',
  ),
  STORED_NAME_FOLDER: entry<{ name: string }>(
    failed,
    409,
    (d) => `${d.name} is the name of a folder there`,
    'Choose another name.',
  ),
  BOOT_FILE_UNKNOWN: entry<{ name: string }>(
    failed,
    404,
    (d) => `no such file: ${d.name}`,
    'Fetch a release with POST /boot/releases, or upload the file with PUT /boot/NAME.',
  ),
  HASH_FILE_UNKNOWN: entry<{ path: string }>(
    failed,
    404,
    (d) => `no image file at ${d.path}`,
    'GET /catalog/images lists the files that are there.',
  ),
  JOB_UNKNOWN: entry<{ sentence: string }>(
    failed,
    404,
    (d) => d.sentence,
    'List the jobs of that kind to see their names.',
  ),
  CATALOG_ROW_EXISTS: entry<{ src: string }>(
    failed,
    409,
    (d) => `catalog entry already exists: src='${d.src}'`,
    'Delete that entry first to add it anew.',
  ),
  CATALOG_ROW_UNKNOWN: entry<{ src: string }>(
    failed,
    404,
    (d) => `no catalog entry with src='${d.src}'`,
    'GET /catalog/entries lists them.',
  ),
  DIGEST_UNRESOLVED: entry<{ problem: string }>(
    failed,
    400,
    (d) => `could not resolve sha256: ${d.problem}`,
    'Check the address of the digests; it must name the image in a line of its own, as sha256sum writes it.',
  ),
  DOWNLOAD_UNKNOWN: entry<{ name: string }>(
    failed,
    404,
    (d) => `no catalog entry named '${d.name}'`,
    'GET /catalog/images lists the entries of the manifest and of the operator.',
  ),
  STORED_IMAGE_UNFETCHED: entry<{ key: string; problem: string }>(
    failed,
    502,
    (d) => `The image ${d.key} is not here yet and could not be fetched: ${d.problem}`,
    'Check its address in the catalog; GET /catalog/downloads tells more.',
  ),
  UPLOAD_TOO_LARGE: entry<{ limit: number }>(
    failed,
    413,
    (d) => `The file is larger than the ${amount(d.limit)} that are taken by upload.`,
    'Raise --max-upload-bytes, or copy the file into the image directory by other means.',
  ),
  UPLOAD_BROKEN: entry<{ name: string; received: number; problem: string }>(
    failed,
    400,
    (d) => `The upload of ${d.name} broke off after ${amount(d.received)}: ${d.problem}.`,
    'Send it again; with Content-Range it goes on where it broke off.',
  ),
  UPLOAD_OFFSET: entry<{ name: string; offset: number; expected: number }>(
    failed,
    409,
    (d) => `${d.expected} bytes of ${d.name} are here; what was sent begins at byte ${d.offset}.`,
    'Go on at the byte that the header upload-offset names.',
  ),
  UPLOAD_RANGE: entry<{ problem: string }>(
    misuse,
    400,
    (d) => `The Content-Range of the upload cannot be used: ${d.problem}.`,
    'Send "bytes FIRST-LAST/TOTAL", or "bytes */TOTAL" without a body to ask how much is here.',
  ),
  STORE_FULL: entry<{ folder: string; needed: number; free: number }>(
    failed,
    507,
    (d) => `${d.folder} has ${amount(d.free)} free, and ${amount(d.needed)} are needed.`,
    'Delete images that nobody needs, or give the directory more space.',
  ),
  STORE_QUOTA: entry<{ needed: number; used: number; quota: number }>(
    failed,
    507,
    (d) =>
      `Images use ${amount(d.used)} of the allowed ${amount(d.quota)}; ${amount(d.needed)} more do not fit.`,
    'Delete images that nobody needs, or raise --image-quota-bytes.',
  ),
  RELEASE_SOURCE_MISSING: entry<None>(
    failed,
    409,
    () => 'It is not known where releases of the live system come from.',
    'Set BTY_BOOT_RELEASE_REPO to OWNER/NAME or to an http(s) address, or name it as "source" in the request.',
  ),
  RELEASE_INVALID: entry<{ tag: string; problem: string }>(
    failed,
    502,
    (d) => `The release ${d.tag} cannot be used: ${d.problem}.`,
    'Check the tag and the place that releases are fetched from.',
  ),
} as const;
