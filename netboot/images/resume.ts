/** Uploads that go on where they broke off: PUT with Content-Range (RFC 9110, 14.4 and 14.5). */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { basename, join } from 'node:path';
import { failure } from '../../shared/failure.ts';
import { makeFolder } from './folders.ts';
import { hashFile } from './hash.ts';
import {
  admit,
  announcedBytes,
  type Limits,
  putInPlace,
  type Received,
  receiveInto,
  refuseFolder,
} from './receive.ts';

/** Partial files of uploads that may go on. */
export const resumeLeftover = /^\.resume-[0-9a-f]{32}-\d+\.partial$/;

export type ContentRange =
  | { readonly kind: 'bytes'; readonly first: number; readonly last: number; readonly total: number }
  /** How much is here? */
  | { readonly kind: 'asked'; readonly total: number };

/** Throws UPLOAD_RANGE. */
export function parseContentRange(header: string): ContentRange {
  const found = /^\s*bytes\s+(?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15})\s*$/i.exec(header);
  if (found === null) throw failure('UPLOAD_RANGE', { problem: 'it is none of the two forms' });
  const total = Number(found[3]);
  if (total === 0) throw failure('UPLOAD_RANGE', { problem: 'a file of no bytes has no pieces' });
  if (found[1] === undefined || found[2] === undefined) return { kind: 'asked', total };
  const [first, last] = [Number(found[1]), Number(found[2])];
  if (first > last || last >= total) {
    throw failure('UPLOAD_RANGE', { problem: `bytes ${first} to ${last} do not lie in a file of ${total}` });
  }
  return { kind: 'bytes', first, last, total };
}

export type Resumed =
  | { readonly kind: 'whole'; readonly received: Received }
  | { readonly kind: 'part'; readonly offset: number; readonly total: number };

export class ResumableUploads {
  readonly #folder: string;
  readonly #open = new Map<string, IncomingMessage>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Takes a piece of `name`. What came stays when the sender vanishes; the last piece puts the whole in place. A newer
   * request for the same file ends an older one, whose connection may be long dead.
   */
  async receive(
    request: IncomingMessage,
    name: string,
    range: ContentRange,
    limits: Limits,
    expected: string | null,
  ): Promise<Resumed> {
    await makeFolder(this.#folder);
    const partial = this.#partial(name, range.total);
    const present = await stat(partial).then(
      ({ size }) => size,
      () => 0,
    );
    if (range.kind === 'asked') {
      request.resume();
      if (present < range.total) return { kind: 'part', offset: present, total: range.total };
      // The appliance ended between the last byte and the name.
      const whole = await open(partial, 'r+');
      try {
        return await this.#finish(request, whole, partial, name, range.total, expected);
      } finally {
        await whole.close();
      }
    }
    await refuseFolder(this.#folder, name);
    const asked = (bytes: number, here: number) =>
      admit({ folder: this.#folder, bytes, present: here, replaces: [name, basename(partial)], limits });
    await asked(range.total, present);
    this.#open.get(partial)?.destroy(new Error('a newer upload of the same file began'));
    this.#open.set(partial, request);
    const handle = await open(partial, present === 0 ? 'w+' : 'r+', 0o644);
    try {
      const { size } = await handle.stat();
      if (range.first !== size) {
        throw failure('UPLOAD_OFFSET', { name, offset: range.first, expected: size });
      }
      // Now that its name tells others how long it becomes, the room is looked at once more.
      if (present === 0) await asked(range.total, 0);
      return await this.#append(request, handle, partial, { name, range, limits, expected, asked });
    } finally {
      if (this.#open.get(partial) === request) {
        // What holds nothing yet keeps no room for the rest.
        if ((await handle.stat()).size === 0) await rm(partial, { force: true });
        this.#open.delete(partial);
      }
      await handle.close();
    }
  }

  #partial(name: string, total: number): string {
    const key = createHash('sha256').update(name).digest('hex').slice(0, 32);
    return join(this.#folder, `.resume-${key}-${total}.partial`);
  }

  async #append(
    request: IncomingMessage,
    handle: FileHandle,
    partial: string,
    asked: {
      readonly name: string;
      readonly range: Extract<ContentRange, { kind: 'bytes' }>;
      readonly limits: Limits;
      readonly expected: string | null;
      readonly asked: (bytes: number, present: number) => Promise<number>;
    },
  ): Promise<Resumed> {
    const { name, range, limits, expected } = asked;
    const length = range.last - range.first + 1;
    const announced = announcedBytes(request);
    if (announced !== null && announced !== length) {
      throw failure('UPLOAD_RANGE', { problem: `it speaks of ${length} bytes, the body holds ${announced}` });
    }
    const capped = { ...limits, maxBytes: Math.min(limits.maxBytes, range.last + 1) };
    const received = await receiveInto(request, handle, {
      name,
      folder: this.#folder,
      at: range.first,
      announced: length,
      limits: capped,
      asked: asked.asked,
    }).finally(() => handle.datasync());
    const offset = range.first + received;
    if (offset < range.total) return { kind: 'part', offset, total: range.total };
    return this.#finish(request, handle, partial, name, range.total, expected);
  }

  async #finish(
    request: IncomingMessage,
    handle: FileHandle,
    partial: string,
    name: string,
    total: number,
    expected: string | null,
  ): Promise<Resumed> {
    // Reading all of it takes minutes when it is large, and nothing is sent meanwhile.
    request.socket.setTimeout(0);
    const tools = { signal: new AbortController().signal, progress: () => {} };
    const { sha256 } = await hashFile(partial, name, tools);
    if (expected !== null && expected !== sha256) {
      await rm(partial, { force: true });
      throw failure('DIGEST_MISMATCH', { image: name, expected, actual: sha256 });
    }
    const placed = await putInPlace(handle, partial, this.#folder, name);
    return { kind: 'whole', received: { ...placed, size: total, sha256 } };
  }
}
