/**
 * Sends files: whole, in part, or their headers. Large positional reads go into a shared ring of reused buffers and
 * from there to the socket, which costs a third of what a stream pipe does; what lies in memory already is read
 * without a second thread, which costs less again.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { setImmediate as immediate } from 'node:timers/promises';
import { Pace } from './pace.ts';
import { type Answer, answerFor } from './range.ts';
import { pieceBytes, Slots } from './slots.ts';
import { neighbourhood, Tally } from './tally.ts';

/** Bytes that can be sent: a file, or one that is still being fetched. */
export interface Content {
  /** Bytes, null while nobody knows. */
  readonly size: number | null;
  readonly modified: Date | null;
  /** Strong entity tags with their quotes; the first one is sent, each of them is accepted. */
  readonly etags: readonly string[];
  /** SHA-256 of the whole in hexadecimal digits, null when it is not known. */
  readonly sha256: string | null;
  /**
   * Fills `into` from byte `position` on, at least partly; 0 is the end. Rejects when the bytes cannot be had, or
   * are no longer those that the tags speak of.
   */
  read(into: Buffer, position: number, signal: AbortSignal): Promise<number>;
  /** The same for bytes that lie in memory, at once; null when `read` has to find out. Throws as `read` rejects. */
  readNow?(into: Buffer, position: number): number | null;
  close(): Promise<void>;
}

/** How a file is presented. */
export interface Presented {
  /** File name for the one who saves it. */
  readonly name: string;
  readonly type: string;
}

/** How a transfer ended; `bytes` of the body were handed to the system. */
export interface Sent {
  readonly status: number;
  readonly bytes: number;
  /** Null when everything asked for was sent. */
  readonly problem: string | null;
}

export interface FileSenderOptions {
  /** A client that takes nothing for so long is disconnected. */
  readonly stallMilliseconds?: number;
  /** Bytes a second that a client has to take in the long run; a slower one is disconnected. */
  readonly leastRate?: number;
  /** More bodies than that at once are answered with 503. */
  readonly mostTransfers?: number;
  /** More bodies than that at once to one address (IPv6: one /64) are answered with 503; half of all by default. */
  readonly mostPerAddress?: number;
}

/** Sends contents to clients; one for the whole process, since they share its memory. */
export class FileSender {
  readonly #slots = new Slots();
  readonly #stallMilliseconds: number;
  readonly #leastRate: number;
  readonly #mostTransfers: number;
  readonly #mostPerAddress: number;
  readonly #byAddress = new Tally();
  #transfers = 0;

  constructor(options: FileSenderOptions = {}) {
    this.#stallMilliseconds = options.stallMilliseconds ?? 60_000;
    this.#leastRate = options.leastRate ?? 1024;
    this.#mostTransfers = options.mostTransfers ?? 1000;
    this.#mostPerAddress = options.mostPerAddress ?? Math.ceil(this.#mostTransfers / 2);
  }

  /** Bodies that are being sent. */
  get transfers(): number {
    return this.#transfers;
  }

  /** Bytes of memory that they hold. */
  get lentBytes(): number {
    return this.#slots.lentBytes;
  }

  /**
   * Answers `request` with `content`, and closes it. Resolves when the last byte was handed over or the client is
   * gone; never rejects: whoever cannot be given everything is disconnected, so that nobody takes a part for the whole.
   */
  async send(
    request: IncomingMessage,
    response: ServerResponse,
    content: Content,
    presented: Presented,
  ): Promise<Sent> {
    try {
      const answer = answerFor(request.headers, content);
      const headers = headersOf(content, presented);
      switch (answer.kind) {
        case 'not-modified':
          return empty(response, 304, headers);
        case 'precondition-failed':
          return empty(response, 412, { ...headers, 'content-length': 0 });
        case 'unsatisfiable':
          return empty(response, 416, {
            ...headers,
            'content-length': 0,
            'content-range': `bytes */${content.size}`,
          });
        case 'whole':
        case 'part':
        case 'parts':
          break;
      }
      const layout = layoutOf(answer, content.size, presented.type);
      const status = answer.kind === 'whole' ? 200 : 206;
      Object.assign(headers, layout.headers);
      if (request.method === 'HEAD') return empty(response, status, headers);
      const address = neighbourhood(request.socket.remoteAddress);
      const crowded = this.#byAddress.of(address) >= this.#mostPerAddress;
      if (crowded || this.#transfers >= this.#mostTransfers) {
        return empty(response, 503, { 'retry-after': '5', 'content-length': 0 });
      }
      response.writeHead(status, headers);
      this.#byAddress.add(address);
      try {
        return await this.#body(response, content, layout, status);
      } finally {
        this.#byAddress.remove(address);
      }
    } finally {
      await content.close().catch(() => {});
    }
  }

  async #body(response: ServerResponse, content: Content, layout: Layout, status: number): Promise<Sent> {
    const gone = new AbortController();
    const pace = new Pace(this.#stallMilliseconds, this.#leastRate, (problem) => {
      response.destroy();
      gone.abort(new Error(problem));
    });
    const onClose = (): void => gone.abort(new Error('the client closed the connection'));
    const onStall = (): void => {
      // Without a pending write it is the content that is late, not the client.
      if (!pace.waits) response.setTimeout(this.#stallMilliseconds);
      else pace.stalled();
    };
    response.once('close', onClose).on('timeout', onStall).setTimeout(this.#stallMilliseconds);
    this.#transfers++;
    const told = { bytes: 0 };
    const outlet = new Outlet(response, gone.signal);
    try {
      for (const { before, span } of layout.sections) {
        if (before.length > 0) await pace.during(before.length, outlet.write(before));
        await this.#span(outlet, content, span, { pace, told, gone: gone.signal });
      }
      const { end } = layout;
      if (end.length > 0) await pace.during(end.length, outlet.write(end));
      response.end();
      return { status, bytes: told.bytes, problem: null };
    } catch (error) {
      response.destroy();
      return { status, bytes: told.bytes, problem: wordsOf(error) };
    } finally {
      this.#transfers--;
      pace.end();
      response.off('close', onClose).off('timeout', onStall);
    }
  }

  async #span(
    outlet: Outlet,
    content: Content,
    span: OpenSpan,
    {
      pace,
      told,
      gone,
    }: { readonly pace: Pace; readonly told: { bytes: number }; readonly gone: AbortSignal },
  ): Promise<void> {
    let position = span.first;
    let hot = false;
    let writing: Promise<void> = Promise.resolve();
    while (span.last === null || position <= span.last) {
      if (hot) {
        // What lies in memory needs no reading ahead, and the buffer that was just sent is still in the cache.
        await writing;
        // One piece of each client, then everybody else: a script must not wait for megabytes.
        await immediate();
      }
      const slot = this.#slots.take(pieceBytes(this.#transfers, pace.lastMilliseconds));
      let count: number;
      try {
        const room = span.last === null ? slot.length : Math.min(slot.length, span.last - position + 1);
        const view = slot.subarray(0, room);
        gone.throwIfAborted();
        const now = content.readNow?.(view, position) ?? null;
        hot = now !== null;
        count = now ?? (await content.read(view, position, gone));
        await writing;
        gone.throwIfAborted();
        if (count === 0 && span.last !== null) {
          throw new Error(`the content ends at byte ${position} of ${span.last + 1}`);
        }
      } catch (error) {
        this.#slots.give(slot);
        throw error;
      }
      if (count === 0) {
        this.#slots.give(slot);
        break;
      }
      const written = outlet.write(slot.subarray(0, count)).finally(() => this.#slots.give(slot));
      writing = pace.during(count, written);
      // Its failure is met in the next round.
      writing.catch(() => {});
      position += count;
      told.bytes += count;
    }
    await writing;
  }
}

interface OpenSpan {
  readonly first: number;
  /** Inclusive; null when the end is where the content ends. */
  readonly last: number | null;
}

/** What a body consists of, with the headers that speak of it. */
interface Layout {
  readonly headers: OutgoingHttpHeaders;
  readonly sections: readonly { readonly before: Buffer; readonly span: OpenSpan }[];
  readonly end: Buffer;
}

const none = Buffer.alloc(0);

function layoutOf(
  answer: Extract<Answer, { kind: 'whole' | 'part' | 'parts' }>,
  size: number | null,
  type: string,
): Layout {
  if (size === null || answer.kind === 'whole') {
    const span = { first: 0, last: size === null ? null : size - 1 };
    const headers = size === null ? {} : { 'content-length': size, 'accept-ranges': 'bytes' };
    return { headers, sections: [{ before: none, span }], end: none };
  }
  const rangeText = (first: number, last: number) => `bytes ${first}-${last}/${size}`;
  if (answer.kind === 'part') {
    const { first, last } = answer;
    const headers = {
      'content-length': last - first + 1,
      'accept-ranges': 'bytes',
      'content-range': rangeText(first, last),
    };
    return { headers, sections: [{ before: none, span: { first, last } }], end: none };
  }
  // RFC 9110, 14.6; nobody can have put a boundary of random digits into the file.
  const boundary = randomBytes(18).toString('hex');
  const sections = answer.parts.map((span) => {
    const range = rangeText(span.first, span.last);
    const text = `\r\n--${boundary}\r\ncontent-type: ${type}\r\ncontent-range: ${range}\r\n\r\n`;
    return { before: Buffer.from(text), span };
  });
  const end = Buffer.from(`\r\n--${boundary}--\r\n`);
  const bytes = sections.reduce(
    (sum, { before, span }) => sum + before.length + span.last - span.first + 1,
    end.length,
  );
  const headers = {
    'content-length': bytes,
    'accept-ranges': 'bytes',
    'content-type': `multipart/byteranges; boundary=${boundary}`,
  };
  return { headers, sections, end };
}

/** Where the pieces of one body go, one after the other. */
class Outlet {
  readonly #response: ServerResponse;
  #fail: (reason: unknown) => void = () => {};

  constructor(response: ServerResponse, gone: AbortSignal) {
    this.#response = response;
    // One for all pieces: a listener that is added and removed for each is dear.
    gone.addEventListener('abort', () => this.#fail(gone.reason), { once: true });
  }

  /** Resolves when the system took all of `piece`; rejects when the client is gone, and `piece` is free then too. */
  write(piece: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#response.write(piece, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }
}

function empty(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): Sent {
  response.writeHead(status, headers);
  response.end();
  return { status, bytes: 0, problem: null };
}

function headersOf(content: Content, presented: Presented): OutgoingHttpHeaders {
  const [etag] = content.etags;
  return {
    'content-type': presented.type,
    'content-disposition': dispositionOf(presented.name),
    'x-content-type-options': 'nosniff',
    ...(etag === undefined ? {} : { etag }),
    ...(content.modified === null ? {} : { 'last-modified': content.modified.toUTCString() }),
    // RFC 9530; of the whole, also when a part is sent.
    ...(content.sha256 === null
      ? {}
      : { 'repr-digest': `sha-256=:${Buffer.from(content.sha256, 'hex').toString('base64')}:` }),
  };
}

/** RFC 6266: a name of plain characters, and the true one percent-encoded beside it where they differ. */
export function dispositionOf(name: string): string {
  const plain = name.replace(/[^\x20-\x7e]/g, '_').replace(/["\\%]/g, '_');
  if (plain === name) return `attachment; filename="${name}"`;
  const encoded = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
