/** Files as contents that can be sent. */
import { constants, fstatSync, read } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { readCached } from '../system/cached.ts';
import type { Content } from './file.ts';

/** What tells one state of a file from another; nanoseconds and numbers of the file system as decimal text. */
export interface FileState {
  readonly device: string;
  readonly inode: string;
  readonly size: number;
  readonly modified: string;
  readonly changed: string;
}

/** What `fs.stat` with `bigint` tells. */
export interface BigStatus {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export function stateOf(status: BigStatus): FileState {
  return {
    device: String(status.dev),
    inode: String(status.ino),
    size: Number(status.size),
    modified: String(status.mtimeNs),
    changed: String(status.ctimeNs),
  };
}

export function sameState(one: FileState, other: FileState): boolean {
  return (
    one.inode === other.inode &&
    one.device === other.device &&
    one.size === other.size &&
    one.modified === other.modified &&
    one.changed === other.changed
  );
}

export interface OpenedFile {
  readonly handle: FileHandle;
  readonly state: FileState;
}

/**
 * Opens a regular file for reading and never follows a symbolic link in its last step. Null when there is no such
 * file, or it is something else.
 */
export async function openRegular(path: string): Promise<OpenedFile | null> {
  let handle: FileHandle;
  try {
    // O_NONBLOCK: opening a named pipe would wait for its writer.
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && absent.has(code)) return null;
    throw error;
  }
  try {
    const status = await handle.stat({ bigint: true });
    if (status.isFile()) return { handle, state: stateOf(status) };
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return null;
}

const absent = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'ENAMETOOLONG', 'EISDIR']);

/** The content of an open file, which is closed with it. `sha256` only when it belongs to exactly this state. */
export function fileContent({ handle, state }: OpenedFile, sha256: string | null): Content {
  const stateTag = `"${BigInt(state.inode).toString(36)}-${state.size.toString(36)}-${BigInt(state.modified).toString(36)}"`;
  // Written in place meanwhile: what follows belongs to another content.
  const same = (): void => {
    const now = fstatSync(handle.fd, { bigint: true });
    if (String(now.mtimeNs) !== state.modified || Number(now.size) !== state.size) {
      throw new Error('the file was changed while it was sent');
    }
  };
  return {
    size: state.size,
    modified: new Date(Number(BigInt(state.modified) / 1_000_000n)),
    etags: sha256 === null ? [stateTag] : [`"${sha256}"`, stateTag],
    sha256,
    read: (into, position) =>
      new Promise((resolve, reject) => {
        read(handle.fd, into, 0, into.length, position, (error, count) => {
          try {
            if (error) throw error;
            same();
            resolve(count);
          } catch (problem) {
            reject(problem);
          }
        });
      }),
    readNow: (into, position) => {
      const count = readCached(handle.fd, into, position);
      if (count !== null) same();
      return count;
    },
    close: () => handle.close(),
  };
}

const types: ReadonlyArray<readonly [string, string]> = [
  ['.gz', 'application/gzip'],
  ['.xz', 'application/x-xz'],
  ['.bz2', 'application/x-bzip2'],
  ['.zst', 'application/zstd'],
  ['.zip', 'application/zip'],
  ['.iso', 'application/x-iso9660-image'],
  ['.efi', 'application/efi'],
  ['.ipxe', 'text/plain; charset=utf-8'],
  ['.txt', 'text/plain; charset=utf-8'],
  ['.sha256', 'text/plain; charset=utf-8'],
  ['.json', 'application/json'],
];

/** Media type that the end of `name` announces. */
export function typeOf(name: string): string {
  const lower = name.toLowerCase();
  return types.find(([suffix]) => lower.endsWith(suffix))?.[1] ?? 'application/octet-stream';
}
