import {
  type Agent,
  type ClientRequest,
  get as getPlain,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { get as getSecure } from 'node:https';
import { type Body, bodyFrom, ConnectionLost, ExcessBytes } from './http-body.ts';
import { Inbox } from './inbox.ts';
import { codeOf, problemOf } from './problem.ts';

/** A reply whose header has come; its body has not been read. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Starts to take the body in; `idleMilliseconds` is how long a waiting reader waits for the next byte. */
  body(idleMilliseconds: number): Body;
  /** Ends the connection. */
  discard(): void;
}

export interface Question {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds from the start to the header of the reply. */
  readonly answerMilliseconds: number;
  readonly signal: AbortSignal;
}

const limits = { bytes: 1024 * 1024, chunks: 1024 };

/**
 * Sends a GET by node:http or node:https, without its redirects. Rejects with ConnectionLost or the signal's
 * reason; aborting later ends the body.
 */
export function exchange(
  { url, headers, answerMilliseconds, signal }: Question,
  agent: Agent,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const bare = new URL(url);
    bare.username = '';
    bare.password = '';
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      if (signal.aborted) reject(signal.reason);
      else reject(error instanceof ConnectionLost ? error : new ConnectionLost(problemOf(error), {}, error));
    };
    const get = url.protocol === 'https:' ? getSecure : getPlain;
    const trouble: Trouble = { error: null };
    let sent: ClientRequest;
    let timer: NodeJS.Timeout | undefined;
    try {
      sent = get(bare, { agent, headers, signal });
    } catch (error) {
      fail(error);
      return;
    }
    timer = setTimeout(() => sent.destroy(silence(answerMilliseconds)), answerMilliseconds);
    sent.once('response', (response) => {
      clearTimeout(timer);
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: (idleMilliseconds) => bodyOf(response, trouble, idleMilliseconds),
        discard: () => void response.destroy(),
      });
    });
    sent.on('error', (error) => {
      trouble.error ??= error;
      fail(error);
    });
  });
}

export function silence(milliseconds: number): ConnectionLost {
  return new ConnectionLost(`no answer for ${milliseconds / 1000} seconds`);
}

/** The first error of a connection, which may come in the same moment as the header. */
interface Trouble {
  error: Error | null;
}

function bodyOf(response: IncomingMessage, trouble: Trouble, idleMilliseconds: number): Body {
  const inbox = new Inbox(limits, () => response.resume());
  const socket = response.socket;
  const lost = (error: unknown): ConnectionLost => {
    if (error instanceof ConnectionLost) return error;
    const orderly = socket.readableEnded;
    // Node calls every end before the promised length "aborted (ECONNRESET)".
    const reset = orderly ? 'the server closed the connection' : 'the connection was reset';
    const problem = codeOf(error) === 'ECONNRESET' ? reset : problemOf(error);
    return new ConnectionLost(problem, {}, error);
  };

  response.on('data', (chunk: Buffer) => {
    if (!inbox.put(chunk)) response.pause();
  });
  response.on('end', () => {
    // Bytes past the promised length are an error to the parser, which has told of it by now.
    const excess = codeOf(trouble.error)?.startsWith('HPE_') ? trouble.error : null;
    if (excess) inbox.fail(new ExcessBytes(excessOf(excess)));
    else inbox.end();
  });
  const broken = (error?: unknown): void => {
    inbox.fail(lost(trouble.error ?? error ?? new Error('the connection was closed')));
  };
  response.on('error', broken);
  response.on('close', () => broken());
  if (response.closed) broken();
  return bodyFrom(inbox, idleMilliseconds, () => void response.destroy());
}

/** Node's parser error carries the packet and how much of it was understood. */
function excessOf(error: object): number {
  const { rawPacket, bytesParsed } = error as { rawPacket?: unknown; bytesParsed?: unknown };
  if (!(rawPacket instanceof Uint8Array) || typeof bytesParsed !== 'number') return 1;
  return Math.max(1, rawPacket.length - bytesParsed);
}
