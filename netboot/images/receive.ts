/**
 * Takes a file that is uploaded: into a hidden partial file beside its place, flushed to the disk, renamed as a whole.
 * Nothing else ever sees a part of it, and whatever breaks off leaves nothing behind.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { failure } from '../../shared/failure.ts';
import { type FileState, stateOf } from '../http/content.ts';
import { FollowedDigest } from './digest.ts';
import { makeFolder, syncFolder } from './folders.ts';
import { checkFree, freeBytes, Watch } from './room.ts';
import { codeOf, problemOf } from './words.ts';

/** What is kept of uploads that were killed. */
export const uploadLeftover = /^\.(upload|sidecar)-[0-9a-f-]{36}\.partial$/;

export interface Limits {
  readonly maxBytes: number;
  /**
   * Bytes that are used, without the files called `except`, and that may be; null without a quota. Asked before and
   * while bytes come.
   */
  readonly quota: (
    except: ReadonlySet<string>,
  ) => Promise<{ readonly used: number; readonly quota: number } | null>;
  /** A sender that is silent for so long is given up. */
  readonly idleMilliseconds: number;
}

export interface Received {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  /** Of the file under its name. */
  readonly state: FileState;
}

export interface Admission {
  readonly folder: string;
  /** Bytes of the whole file. */
  readonly bytes: number;
  /** Those of them that are on the disk already. */
  readonly present: number;
  /** Names in the folder that the file takes the place of: the older one, and its own partial file. */
  readonly replaces: readonly string[];
  readonly limits: Limits;
}

/** Refuses a file that does not fit, before (the rest of) its bytes are read. Answers how many more would fit. */
export async function admit({ folder, bytes, present, replaces, limits }: Admission): Promise<number> {
  if (bytes > limits.maxBytes) throw failure('UPLOAD_TOO_LARGE', { limit: limits.maxBytes });
  const room = await limits.quota(new Set(replaces));
  if (room && room.used + bytes > room.quota) throw failure('STORE_QUOTA', { ...room, needed: bytes });
  const left = await checkFree(folder, Math.max(0, bytes - present));
  return room ? Math.min(left, room.quota - room.used - bytes) : left;
}

/** Bytes that the sender announced; null when it did not. */
export function announcedBytes(request: IncomingMessage): number | null {
  const length = request.headers['content-length'];
  return length === undefined ? null : Number(length);
}

/**
 * Receives the body of `request` as `folder`/`name`. `expected` is its digest when the sender told it. Rejects with
 * UPLOAD_TOO_LARGE, UPLOAD_BROKEN, DIGEST_MISMATCH, STORE_FULL, STORE_QUOTA or a system error.
 */
export async function receiveFile(
  request: IncomingMessage,
  folder: string,
  name: string,
  limits: Limits,
  expected: string | null,
): Promise<Received> {
  await makeFolder(folder);
  await refuseFolder(folder, name);
  const announced = announcedBytes(request);
  if (announced !== null && announced > limits.maxBytes) {
    throw failure('UPLOAD_TOO_LARGE', { limit: limits.maxBytes });
  }
  const own = `.upload-${randomUUID()}.partial`;
  const partial = join(folder, own);
  const asked = (bytes: number, present: number) =>
    admit({ folder, bytes, present, replaces: [name, own], limits });
  await checkFree(folder, announced ?? 0);
  const handle = await open(partial, 'wx+', 0o644);
  const digest = new FollowedDigest(handle.fd);
  try {
    // Two that come at once see each other's announced length, and not both fit where one does.
    await handle.truncate(announced ?? 0);
    await asked(announced ?? 0, 0);
    const size = await receiveInto(request, handle, {
      name,
      folder,
      at: 0,
      announced,
      limits,
      digest,
      asked,
    });
    if (announced === null) await asked(size, size);
    const sha256 = await digest.digest();
    if (expected !== null && expected !== sha256) {
      throw failure('DIGEST_MISMATCH', { image: name, expected, actual: sha256 });
    }
    return { size, sha256, ...(await putInPlace(handle, partial, folder, name)) };
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {});
    throw error;
  } finally {
    await digest.close();
    await handle.close();
  }
}

/** Rejects with STORED_NAME_FOLDER where a folder has the name that a file is to get. */
export async function refuseFolder(folder: string, name: string): Promise<void> {
  const found = await lstat(join(folder, name)).catch(() => null);
  if (found?.isDirectory()) throw failure('STORED_NAME_FOLDER', { name });
}

/** Flushes a partial file and gives it its name. */
export async function putInPlace(
  handle: FileHandle,
  partial: string,
  folder: string,
  name: string,
): Promise<{ readonly path: string; readonly state: FileState }> {
  await handle.sync();
  const path = join(folder, name);
  await rename(partial, path).catch(async (error: unknown) => {
    await refuseFolder(folder, name);
    throw error;
  });
  await syncFolder(folder);
  return { path, state: stateOf(await handle.stat({ bigint: true })) };
}

export interface Receiving {
  readonly name: string;
  readonly folder: string;
  /** Where in the file the body goes. */
  readonly at: number;
  readonly announced: number | null;
  readonly limits: Limits;
  /** Rejects when a file of so many bytes, of which `present` are here, is too much. */
  readonly asked: (bytes: number, present: number) => Promise<number>;
  readonly digest?: FollowedDigest;
}

/** Bytes a second that a sender has to send in the long run: whoever sends a byte now and then is given up. */
const leastRate = 1024;

/** Writes the body of `request` into `handle` and answers how many bytes that were. */
export async function receiveInto(
  request: IncomingMessage,
  handle: FileHandle,
  { name, folder, at, announced, limits, digest, asked }: Receiving,
): Promise<number> {
  let received = 0;
  const watch = announced === null ? new Watch((bytes) => asked(received + bytes, received)) : null;
  const idle = (): void => {
    request.destroy(new Error(`nothing came for ${limits.idleMilliseconds / 1000} seconds`));
  };
  let slow = { since: performance.now(), bytes: 0 };
  const pace = (bytes: number): void => {
    slow.bytes += bytes;
    const seconds = (performance.now() - slow.since) / 1000;
    if (seconds * 1000 < limits.idleMilliseconds) return;
    if (slow.bytes < seconds * leastRate)
      request.destroy(new Error(`only ${slow.bytes} bytes came in ${Math.round(seconds)} seconds`));
    slow = { since: performance.now(), bytes: 0 };
  };
  let timer = setTimeout(idle, limits.idleMilliseconds);
  const broken = (problem: string, cause?: unknown) =>
    failure('UPLOAD_BROKEN', { name, received: at + received, problem }, cause);
  try {
    // The connection must outlive a refusal, which is told over it.
    const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    for await (const piece of pieces) {
      clearTimeout(timer);
      if (at + received + piece.length > limits.maxBytes) {
        throw failure('UPLOAD_TOO_LARGE', { limit: limits.maxBytes });
      }
      await watch?.take(piece.length);
      for (let done = 0; done < piece.length; ) {
        const { bytesWritten } = await handle.write(piece, done, piece.length - done, at + received + done);
        done += bytesWritten;
      }
      received += piece.length;
      digest?.wrote(piece);
      pace(piece.length);
      timer = setTimeout(idle, limits.idleMilliseconds);
    }
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      const free = await freeBytes(folder).catch(() => 0);
      throw failure('STORE_FULL', { folder, needed: announced ?? received, free }, error);
    }
    // What the sender did; anything else is a failure of its own.
    if (request.destroyed && (code === 'ECONNRESET' || request.errored === error)) {
      throw broken(problemOf(error), error);
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
  if (!request.complete) throw broken('the sender closed the connection');
  if (announced !== null && received !== announced) throw broken(`${announced} bytes were announced`);
  return received;
}
