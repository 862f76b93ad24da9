/** What the start and the end of an image file tell: its format and the size of the disk inside. */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { formatName, guessByName, type Layout, type Packing } from '../../shared/image.ts';
import { walkFrames } from './zstwalk.ts';

/** What is told of an image besides its digest. */
export interface ImageFacts {
  /** Wire name of the format, empty when neither name nor content tell. */
  readonly format: string;
  /** Bytes of the disk that the image fills, null when only unpacking it would tell. */
  readonly virtualBytes: number | null;
  /** What is wrong with the file as far as it was looked at, null when nothing is. */
  readonly problem: string | null;
  /** The packing, if any, was followed to the end of the file and is whole. */
  readonly checked: boolean;
  /** How it is packed, by its content. */
  readonly packing: Packing;
}

/** Bytes of a file: at most `length` from `position` on. */
export type Reader = (position: number, length: number) => Promise<Buffer>;

export function readerOf(handle: FileHandle): Reader {
  return async (position, length) => {
    const into = Buffer.alloc(length);
    const { bytesRead } = await handle.read(into, 0, length, position);
    return into.subarray(0, bytesRead);
  };
}

const starts: ReadonlyArray<readonly [string, Packing]> = [
  ['1f8b08', 'gz'],
  ['425a68', 'bz2'],
  ['fd377a585a00', 'xz'],
  ['28b52ffd', 'zst'],
  ['04224d18', 'lz4'],
  ['504b0304', 'zip'],
];
const qcow2Magic = '514649fb';

/** Looks at the image called `name` of `size` bytes: what the name says, corrected by what the bytes say. */
export async function lookAt(name: string, size: number, read: Reader): Promise<ImageFacts> {
  const guess = guessByName(name);
  const head = await read(0, 512);
  const start = head.toString('hex');
  const packing = starts.find(([magic]) => start.startsWith(magic))?.[1] ?? 'raw';
  const named = guess?.kind === 'image' ? guess : null;
  const layout: Layout =
    packing === 'raw' && start.startsWith(qcow2Magic) ? 'qcow2' : (named?.layout ?? 'raw');
  // Raw bytes have no mark of their own, and a raw disk may begin with any.
  const announced = named === null ? '' : formatName(named.packing, named.layout ?? 'raw');
  const found = packing === 'raw' && layout === 'raw' ? null : formatName(packing, layout);
  let problem: string | null = null;
  if (size === 0) problem = 'the file is empty';
  else if (named !== null && named.packing !== 'raw' && packing !== named.packing)
    problem = `its name says ${announced}, its content does not`;
  else if (named?.layout === 'qcow2' && named.packing === 'raw' && layout === 'qcow2' && found !== 'qcow2')
    problem = 'its name says qcow2, its content does not';
  else if (named?.layout === 'qcow2' && named.packing === 'raw' && !start.startsWith(qcow2Magic))
    problem = 'its name says qcow2, its content does not';
  const format = problem === null && found !== null && announced === '' ? found : announced || (found ?? '');
  if (problem !== null) return { format, virtualBytes: null, problem, checked: false, packing };
  if (packing === 'zst') return { format, packing, ...(await zstFacts(layout, size, read)) };
  const virtualBytes = await diskBytes(packing, layout, head, size, read);
  return { format, virtualBytes, problem, checked: packing === 'raw', packing };
}

async function zstFacts(
  layout: Layout,
  size: number,
  read: Reader,
): Promise<Pick<ImageFacts, 'virtualBytes' | 'problem' | 'checked'>> {
  const walk = await walkFrames(size, read);
  switch (walk.kind) {
    case 'whole':
      // Of a packed qcow2 only the packed bytes are told.
      return { virtualBytes: layout === 'raw' ? walk.bytes : null, problem: null, checked: true };
    case 'unfinished':
      return { virtualBytes: null, problem: null, checked: false };
    case 'damaged':
      return { virtualBytes: null, problem: walk.problem, checked: false };
  }
}

async function diskBytes(
  packing: Packing,
  layout: Layout,
  head: Buffer,
  size: number,
  read: Reader,
): Promise<number | null> {
  // Of a packed qcow2 only the packed bytes are told.
  if (layout === 'qcow2')
    return packing === 'raw' ? safe(head.length >= 32 ? head.readBigUInt64BE(24) : null) : null;
  if (packing === 'raw') return size;
  if (packing === 'xz') return xzBytes(size, read);
  return null;
}

const mostIndexBytes = 4 * 1024 * 1024;

/** Sum of the block sizes in the index of the last stream (.xz format 1.2.1, 2.1.2 and 4); null for several streams. */
async function xzBytes(size: number, read: Reader): Promise<number | null> {
  const footer = await read(size - 12, 12);
  if (footer.length < 12 || footer.toString('latin1', 10) !== 'YZ') return null;
  if (crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0)) return null;
  const indexBytes = (footer.readUInt32LE(4) + 1) * 4;
  if (indexBytes > mostIndexBytes || indexBytes + 24 > size) return null;
  const index = await read(size - 12 - indexBytes, indexBytes);
  if (index.length < indexBytes || index[0] !== 0) return null;
  if (crc32(index.subarray(0, -4)) !== index.readUInt32LE(indexBytes - 4)) return null;
  const numbers = variableNumbers(index.subarray(1, -4));
  const count = numbers.next().value;
  let stored = 0;
  let unpacked = 0;
  for (let record = 0; record < (count ?? 0); record++) {
    stored += Math.ceil((numbers.next().value ?? Number.NaN) / 4) * 4;
    unpacked += numbers.next().value ?? Number.NaN;
  }
  return stored + indexBytes + 24 === size && Number.isSafeInteger(unpacked) ? unpacked : null;
}

/** Multibyte integers (.xz format, 1.2). */
function* variableNumbers(bytes: Buffer): Generator<number, undefined> {
  let value = 0;
  let place = 0;
  for (const byte of bytes) {
    value += (byte & 0x7f) * 2 ** (7 * place++);
    if ((byte & 0x80) !== 0) continue;
    yield value;
    value = 0;
    place = 0;
  }
  return undefined;
}

function safe(value: bigint | null): number | null {
  return value !== null && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null;
}
