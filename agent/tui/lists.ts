/** Images and disks as the panes show them. */
import { checkImageList, imageListBytes } from '../../shared/contract/imagelist.ts';
import { asFailure, Failure, failure } from '../../shared/failure.ts';
import { type LocalImage, listImages, type RemoteImage } from '../cli/images.ts';
import type { Disk } from '../disk/disk.ts';
import { listDisks } from '../disk/list.ts';
import { fill } from '../source/head.ts';
import { httpSource } from '../source/http.ts';
import type { DiskRow, ImageRow, Listing, Source } from './state.ts';
import { imageAddress } from './where.ts';

/** Milliseconds that a server may take for its list (bty-contract section 2). */
const listPatience = 30_000;

/** The images of `source`. Never rejects: what is wrong is told with the list. */
export async function imagesOf(source: Source, signal: AbortSignal): Promise<Listing<ImageRow>> {
  try {
    if (source.kind === 'server') return await imagesOfServer(source.address, source.shown, signal);
    const { images, warnings } = await listImages(source.path);
    return { kind: 'there', rows: images.map(localRow), notes: warnings };
  } catch (error) {
    return { kind: 'failed', rows: [], notes: [sentenceOf(asFailure(error))] };
  }
}

const sentenceOf = ({ message, advice }: Failure): string => `${message} ${advice}`;

function localRow(image: LocalImage | RemoteImage): ImageRow {
  const { name, format, path, sha256 } = image;
  const isRaw = image.source === 'local' && format === 'img';
  const imageBytes = isRaw ? image.size_bytes : null;
  return { name, format, storedBytes: image.size_bytes, imageBytes, location: path, sha256 };
}

async function imagesOfServer(
  address: string,
  shown: string,
  signal: AbortSignal,
): Promise<Listing<ImageRow>> {
  const catalog = `${shown}/images`;
  const invalid = (problem: string) => failure('CATALOG_INVALID', { catalog, problem });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(listPatience)]);
  let value: unknown;
  try {
    const text = await download(`${address}/images`, limit);
    if (text === null) throw invalid(`it is larger than ${imageListBytes} bytes`);
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (limit.aborted && !signal.aborted) {
      const problem = `no answer within ${listPatience / 1000} seconds`;
      throw failure('SOURCE_UNREACHABLE', { url: catalog, problem }, error);
    }
    if (error instanceof SyntaxError) throw invalid('it is no JSON');
    throw error;
  }
  const checked = checkImageList(value);
  if (checked.kind === 'invalid') throw invalid(checked.problem);
  const rows = checked.value.flatMap(({ name, url, format, storedBytes, virtualBytes, sha256 }) => {
    const location = imageAddress(url, address);
    return location === null
      ? []
      : [{ name, format, storedBytes, imageBytes: virtualBytes, location, sha256 }];
  });
  return { kind: 'there', rows, notes: [] };
}

/** The text at `address`, null when it is too long. */
async function download(address: string, signal: AbortSignal): Promise<string | null> {
  const source = await httpSource(address, { signal, attempts: 1 });
  try {
    const stream = await source.open(signal);
    const pieces: Buffer[] = [];
    for (let bytes = 0; bytes <= imageListBytes; ) {
      const into = new Uint8Array(64 * 1024);
      const count = await fill((room) => stream.read(room), into);
      pieces.push(Buffer.from(into.buffer, 0, count));
      bytes += count;
      if (count < into.length) return bytes > imageListBytes ? null : Buffer.concat(pieces).toString('utf8');
    }
    return null;
  } finally {
    await source.close();
  }
}

/** The disks of this machine. Never rejects. */
export async function disksOf(loops: boolean, signal: AbortSignal): Promise<Listing<DiskRow>> {
  try {
    return { kind: 'there', rows: (await listDisks({ loops, signal })).map(diskRow), notes: [] };
  } catch (error) {
    return { kind: 'failed', rows: [], notes: [sentenceOf(asFailure(error))] };
  }
}

function diskRow(disk: Disk): DiskRow {
  const { path, size, serial, diskseq, refusals } = disk;
  const name = disk.backingFile ?? [disk.vendor, disk.model].filter(Boolean).join(' ');
  return {
    path,
    size,
    name,
    bus: disk.tran ?? (disk.kind === 'loop' ? 'loop' : ''),
    serial,
    diskseq,
    refusals,
  };
}
