/** Unpacks one compressed cluster: raw deflate ("zlib" in qcow2's words, without its header) or one zstd frame. */
import { constants, inflateRaw, type ZstdOptions, zstdDecompress } from 'node:zlib';
import { failure } from '../../shared/failure.ts';
import { corrupt, format, type Qcow2Header } from './header.ts';

/** With room for more than a cluster the library does not allocate once more to learn that nothing follows. */
const spare = 64;
/** Decoders must accept 8 MiB windows (RFC 8878 section 3.1.1.1.2); more would let a tiny frame claim 128 MiB. */
const windowBits = 23;

/**
 * The unpacked cluster, always `header.clusterSize` bytes, which belong to the caller (`letGo`). `stored` starts with the packed cluster and may go on
 * with unrelated bytes up to the end of a sector. `offset` is its place in the file; `cut` says that the file
 * ended within `stored`. Rejects with IMAGE_CORRUPT or IMAGE_TRUNCATED.
 */
export async function decompressCluster(
  stored: Uint8Array,
  header: Qcow2Header,
  image: string,
  offset: number,
  cut: boolean,
): Promise<Uint8Array> {
  const ended = (problem: string) =>
    cut ? failure('IMAGE_TRUNCATED', { image, format, offset }) : corrupt(image, problem, offset);
  let frame = stored;
  if (header.compression === 'zstd') {
    const length = zstdFrameLength(stored);
    if (length === null) throw corrupt(image, 'a compressed cluster holds no zstd frame', offset);
    if (length > stored.length) throw ended('a compressed cluster ends early');
    frame = stored.subarray(0, length);
  }
  let unpacked: Uint8Array;
  try {
    unpacked = await unpack(frame, header);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'Z_BUF_ERROR') throw ended('a compressed cluster ends early');
    if (code === 'ERR_BUFFER_TOO_LARGE')
      throw corrupt(image, `a compressed cluster holds more than ${header.clusterSize} bytes`, offset);
    throw corrupt(image, `a compressed cluster cannot be unpacked: ${problem}`, offset);
  }
  if (unpacked.length !== header.clusterSize)
    throw corrupt(
      image,
      `a compressed cluster holds ${unpacked.length} bytes instead of ${header.clusterSize}`,
      offset,
    );
  return unpacked;
}

function unpack(packed: Uint8Array, header: Qcow2Header): Promise<Uint8Array> {
  const limits = { maxOutputLength: header.clusterSize, chunkSize: header.clusterSize + spare };
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, result: Uint8Array) => (error ? reject(error) : resolve(result));
    if (header.compression === 'zlib') {
      inflateRaw(packed, limits, done);
    } else {
      const options: ZstdOptions = { ...limits, params: { [constants.ZSTD_d_windowLogMax]: windowBits } };
      zstdDecompress(packed, options, done);
    }
  });
}

const zstdMagic = 0xfd2fb528;
const dictionaryBytes = [0, 1, 2, 4] as const;
const contentSizeBytes = [0, 2, 4, 8] as const;

/**
 * Bytes of the zstd frame at the start of `bytes` (RFC 8878 section 3.1.1), by its block headers: the table only
 * knows whole sectors, and a decoder takes what follows the frame for another one. More than `bytes.length` when
 * the frame is not complete, null when there is none.
 */
export function zstdFrameLength(bytes: Uint8Array): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const incomplete = bytes.length + 1;
  if (bytes.length < 5) return incomplete;
  if (view.getUint32(0, true) !== zstdMagic) return null;
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor >> 5) & 1;
  const contentFlag = descriptor >> 6;
  const contentSize = contentFlag === 0 ? singleSegment : (contentSizeBytes[contentFlag] ?? 0);
  const dictionary = dictionaryBytes[descriptor & 3] ?? 0;
  let at = 5 + (singleSegment ? 0 : 1) + dictionary + contentSize;
  for (;;) {
    if (at + 3 > bytes.length) return incomplete;
    const block = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const runLength = ((block >> 1) & 3) === 1;
    at += 3 + (runLength ? 1 : block >> 3);
    if ((block & 1) !== 0) return at + ((descriptor >> 2) & 1) * 4;
  }
}
