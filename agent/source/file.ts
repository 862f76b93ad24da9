import { type BigIntStats, constants, open } from 'node:fs';
import { basename } from 'node:path';
import { failure } from '../../shared/failure.ts';
import { deviceSize } from '../system/native.ts';
import { orAborted } from './abort.ts';
import { closeDescriptor, readDescriptor, statusOf } from './file-descriptor.ts';
import { streamSource } from './file-stream.ts';
import { fill, headBytes } from './head.ts';
import { codeOf, problemOf } from './problem.ts';
import { type ImageSource, type RandomReader, type SourceStream, titleOf } from './source.ts';

/** An image in a regular file or on a block device. */
export interface FileSource extends ImageSource {
  readonly kind: 'file';
  readonly size: number;
  readonly random: RandomReader;
  readonly reopenable: true;
  /** Descriptor for positional reads by others (pread(2)); valid until `close`. */
  readonly fd: number;
  /**
   * Rejects with IMAGE_CHANGED when the file is not as it was when it was opened. Streams do so by themselves
   * at their end; whoever reads from `fd` does it after the last read.
   */
  checkUnchanged(): Promise<void>;
}

export interface FileOptions {
  /** Base name where the path does not have the right one, as in a cache that names files by digest. */
  readonly name?: string;
}

/**
 * Opens the image at `path` once, read-only. FIFOs give a source that can be read once; directories and other
 * things are refused. Rejects with IMAGE_NOT_FOUND or IMAGE_UNREADABLE.
 */
export async function fileSource(path: string, options: FileOptions = {}): Promise<ImageSource> {
  const name = options.name ?? basename(path);
  const descriptor = await openForReading(path);
  try {
    const stats = await statusOf(descriptor);
    // Also /dev/stdin and the /dev/fd/63 of a shell's <(command).
    if (stats.isFIFO()) return streamSource(descriptor, { location: path, name, owned: true });
    return openedFile(descriptor, stats, { location: path, name, owned: true });
  } catch (error) {
    await closeDescriptor(descriptor);
    throw error;
  }
}

export interface OpenedFile {
  readonly location: string;
  readonly name: string;
  /** Whether closing the source closes the descriptor. */
  readonly owned: boolean;
}

/** The source that an opened descriptor of a regular file or block device is. */
export function openedFile(
  fd: number,
  stats: BigIntStats,
  { location, name, owned }: OpenedFile,
): FileSource {
  const unreadable = (problem: string) => failure('IMAGE_UNREADABLE', { image: titleOf(location), problem });
  if (stats.isDirectory()) throw unreadable('it is a directory');
  if (!stats.isFile() && !stats.isBlockDevice()) throw unreadable('it is neither a file nor a block device');
  let size = Number(stats.size);
  if (stats.isBlockDevice()) {
    try {
      size = deviceSize(fd);
    } catch (error) {
      throw unreadable(`its size cannot be learned: ${problemOf(error)}`);
    }
  }

  let pending = 0;
  let closing: (() => void) | null = null;
  const readAt = async (into: Uint8Array, position: number): Promise<number> => {
    const wanted = Math.min(into.length, size - position);
    if (wanted <= 0) return 0;
    pending++;
    let count: number;
    try {
      count = await readDescriptor(fd, into, wanted, position);
    } catch (error) {
      throw failure(
        'SOURCE_READ_FAILED',
        { image: titleOf(location), offset: position, problem: problemOf(error) },
        error,
      );
    } finally {
      pending--;
      if (pending === 0) closing?.();
    }
    if (count > 0) return count;
    await checkUnchanged();
    const problem = `it ends there, though it has ${size} bytes`;
    throw failure('SOURCE_READ_FAILED', { image: titleOf(location), offset: position, problem });
  };

  const checkUnchanged = async (): Promise<void> => {
    // A block device's node says nothing about what the device holds.
    if (stats.isBlockDevice()) return;
    const now = await statusOf(fd);
    const changed = (what: string, expected: string, actual: string) =>
      failure('IMAGE_CHANGED', { image: titleOf(location), what, expected, actual });
    if (now.size !== stats.size) throw changed('size', `${stats.size} bytes`, `${now.size} bytes`);
    if (now.mtimeNs !== stats.mtimeNs) {
      throw changed('time of change', instant(stats), instant(now));
    }
  };

  const openStream = async (signal: AbortSignal): Promise<SourceStream> => {
    let position = 0;
    return {
      async read(into) {
        signal.throwIfAborted();
        if (into.length === 0) return 0;
        const count = await orAborted(readAt(into, position), signal);
        if (count === 0) await checkUnchanged();
        position += count;
        return count;
      },
      close: async () => {},
    };
  };

  return {
    kind: 'file',
    location,
    name,
    size,
    fd,
    random: { size, read: readAt },
    reopenable: true,
    checkUnchanged,
    async head() {
      const into = new Uint8Array(Math.min(size, headBytes));
      return into.subarray(0, await fill(readAt, into));
    },
    open: openStream,
    async close() {
      if (!owned || closing) return;
      // An aborted read may still be under way, and its descriptor must not name another file meanwhile.
      await new Promise<void>((resolve) => {
        closing = resolve;
        if (pending === 0) resolve();
      });
      await closeDescriptor(fd);
    },
  };
}

function instant(stats: BigIntStats): string {
  return `${stats.mtime.toISOString().slice(0, 19)}.${String(stats.mtimeNs % 1_000_000_000n).padStart(9, '0')}Z`;
}

function openForReading(path: string): Promise<number> {
  // Without O_NONBLOCK, opening a FIFO blocks a pool thread until a writer comes, and the process cannot exit.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
  return new Promise((resolve, reject) => {
    const refuse = (error: unknown): void => {
      const missing = ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '');
      reject(
        missing
          ? failure('IMAGE_NOT_FOUND', { image: path }, error)
          : failure('IMAGE_UNREADABLE', { image: path, problem: problemOf(error) }, error),
      );
    };
    try {
      open(path, flags, (error, descriptor) => (error ? refuse(error) : resolve(descriptor)));
    } catch (error) {
      refuse(error); // a NUL byte in the path
    }
  });
}
