import type { IncomingHttpHeaders } from 'node:http';
import { redacted } from '../../shared/address.ts';
import { failure } from '../../shared/failure.ts';
import { type Body, ConnectionLost } from './http-body.ts';
import {
  contentLength,
  parseContentRange,
  retryAfter,
  sameVersion,
  type Version,
  versionOf,
} from './http-headers.ts';
import { type Client, type Reply, request } from './http-request.ts';

/** How a transfer deals with time and trouble. */
export interface Patience {
  /** How long a waiting reader waits for the next byte, in milliseconds. */
  readonly idleMilliseconds: number;
  /** Attempts to connect again without a byte gained, before the transfer fails. */
  readonly attempts: number;
  /** Milliseconds before attempt 1, 2, 3 ... */
  backOffMilliseconds(attempt: number): number;
  /** Longest wait that a server may ask for (Retry-After), in milliseconds. */
  readonly longestWaitMilliseconds: number;
}

/** A stretch of the image that one reply delivers. */
export type Part =
  | {
      readonly kind: 'part';
      readonly body: Body;
      readonly start: number;
      /** Exclusive; null where the reply does not tell its length. */
      readonly end: number | null;
      /** What marks the end of the body. */
      readonly framing: 'length' | 'chunked' | 'close';
    }
  /** The image has no byte at the asked position: it ends there. */
  | { readonly kind: 'nothing' };

/** An image on a server: what is known of it, guarded against becoming another one. */
export class Origin {
  /** As shown to people, without credentials. */
  readonly shown: string;
  readonly patience: Patience;
  readonly notice: (text: string) => void;
  readonly #client: Client;
  readonly #start: URL;
  #answered: URL;
  /** What the next request asks. */
  #address: URL;
  #known: { readonly version: Version; readonly size: number | null; readonly ranges: boolean } | null = null;
  #announced = false;

  constructor(client: Client, url: URL, patience: Patience, notice: (text: string) => void) {
    this.#client = client;
    this.#start = url;
    this.#answered = url;
    this.#address = url;
    this.shown = redacted(url.href);
    this.patience = patience;
    this.notice = notice;
  }

  /** Stored bytes, null while unknown. */
  get size(): number | null {
    return this.#known?.size ?? null;
  }

  /** True when the server has proven that it serves Range requests. */
  get ranges(): boolean {
    return this.#known?.ranges ?? false;
  }

  /** True when the server says that it serves Range requests. */
  get announcesRanges(): boolean {
    return this.#announced;
  }

  /** True when the server names no version, so that only the size tells a changed file. */
  get unversioned(): boolean {
    const version = this.#known?.version;
    return version !== undefined && version.etag === null && version.lastModified === null;
  }

  /** The address that answered, after redirects. */
  get answered(): URL {
    return this.#answered;
  }

  /**
   * Asks for the bytes from `start` to `end` (exclusive, null for the rest). A server without Range support
   * answers with the whole image: the part then starts at 0. Rejects with ConnectionLost where asking again may
   * help, else with a Failure.
   */
  async part(start: number, end: number | null, signal: AbortSignal): Promise<Part> {
    const ifRange = this.#known?.version.ifRange ?? null;
    const range = `bytes=${start}-${end === null ? '' : end - 1}`;
    const fields = { Range: range, ...(ifRange === null ? {} : { 'If-Range': ifRange }) };
    // Parts with an end are short, and their connection serves the next one.
    const reply = await this.#request(fields, signal, end === null);
    try {
      return this.#judge(reply, start, end, ifRange !== null);
    } catch (error) {
      reply.answer.discard();
      throw error;
    }
  }

  async #request(
    fields: Readonly<Record<string, string>>,
    signal: AbortSignal,
    long: boolean,
  ): Promise<Reply> {
    const reply = await request(this.#client, this.#address, this.shown, fields, signal, long);
    this.#answered = reply.url;
    // Within one host the redirect is followed again, for its credentials. The address on another host names the
    // same copy of the image as before, while the original one may choose another.
    this.#address = reply.url.origin === this.#start.origin ? this.#start : reply.url;
    return reply;
  }

  #judge(reply: Reply, start: number, end: number | null, conditional: boolean): Part {
    const { status } = reply.answer;
    switch (status) {
      case 206:
        return this.#partial(reply, start, end, conditional);
      case 200:
      case 203:
        return this.#whole(reply, start);
      case 416:
        return this.#unsatisfied(reply, start);
      default:
        throw this.#refused(reply, status, start);
    }
  }

  #partial(reply: Reply, start: number, end: number | null, conditional: boolean): Part {
    const { headers } = reply.answer;
    const range = parseContentRange(headers['content-range']);
    if (range?.kind !== 'part') throw this.#broken(start, 'the server does not say which bytes it sends');
    if (range.start !== start || (end !== null && range.end > end)) {
      const sent = `bytes ${range.start} to ${range.end - 1}`;
      throw this.#broken(start, `the server sent ${sent} when asked for byte ${start} onwards`);
    }
    this.#learn(headers, range.total, start, conditional, true);
    const length = contentLength(headers);
    if (length !== null && length !== range.end - range.start) {
      throw this.lengthFailure(range.end - range.start, length);
    }
    return this.#begin(reply, range.start, range.end);
  }

  #whole(reply: Reply, start: number): Part {
    const { headers } = reply.answer;
    const length = contentLength(headers);
    this.#learn(headers, length, start, false, false);
    return this.#begin(reply, 0, length);
  }

  #unsatisfied(reply: Reply, start: number): Part {
    const { headers } = reply.answer;
    const range = parseContentRange(headers['content-range']);
    const total = range?.kind === 'unsatisfied' ? range.total : null;
    if (this.#known === null && total !== 0) throw this.#refused(reply, 416, start);
    const size = this.size;
    if (total !== null && total !== (size ?? start)) throw this.changed(start);
    if (size !== null && size !== start)
      throw this.#broken(start, 'the server says that there is no such byte');
    this.#known ??= { version: versionOf(headers), size: start, ranges: true };
    reply.answer.discard();
    return { kind: 'nothing' };
  }

  /** Compares what a reply says of the image with what is known, or takes it as known. */
  #learn(
    headers: IncomingHttpHeaders,
    size: number | null,
    start: number,
    conditional: boolean,
    ranges: boolean,
  ): void {
    const version = versionOf(headers);
    if (this.#known === null) {
      this.#known = { version, size, ranges };
      this.#announced = headers['accept-ranges']?.trim().toLowerCase() === 'bytes';
      return;
    }
    const known = this.#known;
    if (!sameVersion(known.version, version, conditional)) throw this.changed(start);
    if (size !== null && known.size !== null && size !== known.size) throw this.changed(start);
    this.#known = { version: known.version, size: known.size ?? size, ranges: known.ranges || ranges };
  }

  #begin(reply: Reply, start: number, end: number | null): Part {
    const { headers } = reply.answer;
    const chunked = /chunked/i.test(headers['transfer-encoding'] ?? '');
    const framing = chunked ? 'chunked' : headers['content-length'] === undefined ? 'close' : 'length';
    return { kind: 'part', body: reply.answer.body(this.patience.idleMilliseconds), start, end, framing };
  }

  #refused(reply: Reply, status: number, start: number): Error {
    const wait = retryAfter(reply.answer.headers, Date.now());
    if (this.#known === null) {
      const refusal = failure('SOURCE_HTTP_STATUS', { url: this.shown, status });
      const passing = (status === 429 || status === 503) && wait !== null;
      if (!passing || wait > this.patience.longestWaitMilliseconds) return refusal;
      return new ConnectionLost(refusal.message, { retryAfter: wait }, refusal);
    }
    const problem = `the server answered with HTTP status ${status}`;
    if ([408, 425, 429, 500, 502, 503, 504].includes(status)) {
      return new ConnectionLost(problem, { retryAfter: wait });
    }
    if (this.#address !== this.#start) {
      // Addresses that redirects lead to are often signed for a while only.
      this.#address = this.#start;
      return new ConnectionLost(problem);
    }
    return this.#broken(start, problem);
  }

  #broken(offset: number, problem: string): Error {
    if (this.#known === null) return failure('SOURCE_UNREACHABLE', { url: this.shown, problem });
    return failure('SOURCE_DROPPED', { url: this.shown, offset, problem });
  }

  changed(offset: number): Error {
    return failure('SOURCE_CHANGED', { url: this.shown, offset });
  }

  lengthFailure(expected: number, actual: number): Error {
    return failure('SOURCE_LENGTH', { url: this.shown, expected, actual });
  }
}
