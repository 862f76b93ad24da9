import type { IncomingHttpHeaders } from 'node:http';
import { Socket } from 'node:net';
import { bodyFrom, ConnectionLost, ExcessBytes } from './http-body.ts';
import { type Answer, type Question, silence } from './http-exchange.ts';
import { Inbox, ReadBuffers } from './inbox.ts';
import { codeOf, problemOf } from './problem.ts';

/** Most bytes of a reply's header. */
const headerBytes = 64 * 1024;
/** Interim replies (1xx) before the one that is meant; a server sends one or two. */
const mostInterim = 16;
const limits = { bytes: 1024 * 1024, chunks: 16 };
const chunkBytes = 128 * 1024;

/**
 * Sends a GET over a TCP connection of its own, and reads into buffers that are used again: node:http allocates
 * and copies every chunk, at several times the processor time. Only for plain http without a proxy. Resolves null
 * for a reply in chunks, which node:http must be asked for. Rejects with ConnectionLost or the signal's reason;
 * aborting later ends the body.
 */
export function exchangeDirectly(question: Question): Promise<Answer | null> {
  return new Promise((resolve, reject) => {
    const { url, signal, answerMilliseconds } = question;
    signal.throwIfAborted();
    const reader = new ReplyReader(signal, (error, answer) => {
      clearTimeout(timer);
      if (signal.aborted) reject(signal.reason);
      else if (error) reject(error);
      else resolve(answer);
    });
    const timer = setTimeout(() => reader.fail(silence(answerMilliseconds)), answerMilliseconds);
    reader.start(url, requestText(question));
  });
}

function requestText({ url, headers }: Question): string {
  const lines = Object.entries({ Host: url.host, ...headers, Connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const first = `GET ${url.pathname}${url.search} HTTP/1.1`;
  const all = [first, ...lines];
  if (all.some((line) => /[\r\n\0]/.test(line))) throw new Error('a header field holds a line break');
  return `${all.join('\r\n')}\r\n\r\n`;
}

type Settle = (error: ConnectionLost | null, answer: Answer | null) => void;

/** The one reply of a connection: first its header, then bytes up to its length or the connection's end. */
class ReplyReader {
  readonly #socket: Socket;
  readonly #inbox: Inbox;
  readonly #settle: Settle;
  readonly #buffers = new ReadBuffers(chunkBytes);
  #header: Buffer | null = Buffer.alloc(0);
  #interim = 0;
  /** Bytes of the body to come, null while only the connection's end tells. */
  #left: number | null = null;
  #ended = false;

  constructor(signal: AbortSignal, settle: Settle) {
    this.#settle = settle;
    const callback = (count: number, buffer: Uint8Array): boolean =>
      this.#received(buffer.subarray(0, count));
    this.#socket = new Socket({ onread: { buffer: this.#buffers.next, callback } });
    // The socket's own `signal` keeps its listener, and with it the buffers, for as long as there is the signal.
    const stop = () => this.#socket.destroy();
    signal.addEventListener('abort', stop, { once: true });
    this.#socket.once('close', () => signal.removeEventListener('abort', stop));
    this.#inbox = new Inbox(limits, () => this.#socket.resume(), this.#buffers.spent);
  }

  start(url: URL, request: string): void {
    const socket = this.#socket;
    socket.on('error', (error) => {
      const reset = codeOf(error) === 'ECONNRESET';
      this.fail(new ConnectionLost(reset ? 'the connection was reset' : problemOf(error), {}, error));
    });
    socket.on('end', () => this.#finished());
    socket.on('close', () => this.fail(new ConnectionLost('the connection was closed')));
    socket.on('connect', () => socket.write(request, 'latin1'));
    socket.connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80) });
  }

  fail(error: ConnectionLost): void {
    this.#settle(error, null);
    this.#inbox.fail(error);
    this.#socket.destroy();
  }

  #received(chunk: Uint8Array): boolean {
    if (this.#header !== null) return this.#receiveHeader(chunk);
    return this.#receiveBody(chunk);
  }

  #receiveHeader(chunk: Uint8Array): boolean {
    let bytes = Buffer.concat([this.#header ?? Buffer.alloc(0), chunk]);
    this.#buffers.spent(chunk);
    for (;;) {
      const end = bytes.indexOf('\r\n\r\n', 0, 'latin1');
      if (end < 0) {
        this.#header = bytes;
        if (bytes.length > headerBytes) this.fail(new ConnectionLost('the header of its reply is too long'));
        return true;
      }
      const header = parseHeader(bytes.toString('latin1', 0, end));
      bytes = bytes.subarray(end + 4);
      if (header === null) {
        this.fail(new ConnectionLost('its reply is not HTTP'));
        return false;
      }
      if (header.status >= 200) {
        this.#header = null;
        return this.#begin(header, new Uint8Array(bytes));
      }
      // RFC 9110 section 15.2: interim replies come before the one that is meant.
      if (++this.#interim > mostInterim) {
        this.fail(
          new ConnectionLost(`more than ${mostInterim} interim replies came before the one that is meant`),
        );
        return false;
      }
    }
  }

  #begin({ status, headers }: Header, rest: Uint8Array): boolean {
    if (headers['transfer-encoding'] !== undefined && (status === 200 || status === 206)) {
      this.#settle(null, null);
      this.#socket.destroy();
      return false;
    }
    this.#left = headers['content-length'] === undefined ? null : Number(headers['content-length']);
    const discard = (): void => void this.#socket.destroy();
    const body = (idleMilliseconds: number) => bodyFrom(this.#inbox, idleMilliseconds, discard);
    this.#settle(null, { status, headers, body, discard });
    return this.#receiveBody(rest);
  }

  #receiveBody(chunk: Uint8Array): boolean {
    if (this.#ended) return false;
    if (this.#left === null) return this.#inbox.put(chunk);
    const excess = chunk.length - this.#left;
    const room = this.#inbox.put(excess > 0 ? chunk.subarray(0, this.#left) : chunk);
    this.#left = Math.max(0, -excess);
    if (this.#left > 0) return room;
    this.#ended = true;
    if (excess > 0) this.#inbox.fail(new ExcessBytes(excess));
    else this.#inbox.end();
    this.#socket.destroy();
    return false;
  }

  /** The server closed its side. */
  #finished(): void {
    if (this.#header !== null) this.fail(new ConnectionLost('the server closed the connection'));
    else if (this.#left === null) this.#inbox.end();
    else this.#inbox.fail(new ConnectionLost('the server closed the connection'));
  }
}

interface Header {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** A reply's header without its last line breaks (RFC 9112 section 4); null when it is none. */
export function parseHeader(text: string): Header | null {
  const [first = '', ...lines] = text.split('\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})(?: [^\r\n]*)?$/.exec(first)?.[1];
  if (status === undefined) return null;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    // No space before the colon, no continued lines: RFC 9112 section 5.1 and 5.2.
    const found = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(line);
    if (!found) return null;
    const [name, value] = [(found[1] ?? '').toLowerCase(), found[2] ?? ''];
    if (name === 'content-length') {
      if (!/^\d{1,15}$/.test(value) || (Object.hasOwn(headers, name) && headers[name] !== value)) return null;
    }
    if (!Object.hasOwn(headers, name) && name !== '__proto__') headers[name] = value;
  }
  return { status: Number(status), headers };
}
