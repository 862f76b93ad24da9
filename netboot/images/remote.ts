/** Asks servers for files: http and https, redirects, ranges, patience, nothing else. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { redacted } from '../../shared/address.ts';
import { failure } from '../../shared/failure.ts';
import { problemOf } from './words.ts';

const mostRedirects = 10;
const patience = 30_000;

export interface RemoteOptions {
  readonly signal: AbortSignal;
  readonly method?: 'GET' | 'HEAD';
  /** First byte wanted; above 0 the answer may still be the whole. */
  readonly from?: number;
  /** Strong entity tag that the rest must belong to. */
  readonly etag?: string | null;
  /** Milliseconds of silence after which a server is given up. */
  readonly idle?: number;
}

export interface RemoteFile {
  readonly url: string;
  /** First byte that the body holds. */
  readonly from: number;
  /** Bytes of the whole, null when the server does not tell. */
  readonly total: number | null;
  /** Strong entity tag, null without. */
  readonly etag: string | null;
  readonly body: IncomingMessage;
}

/**
 * Opens `url`. Rejects with SOURCE_UNREACHABLE, SOURCE_HTTP_STATUS, or the signal's reason; the body errors when the
 * connection breaks, is silent too long, or `signal` aborts.
 */
export async function openRemote(url: string, options: RemoteOptions): Promise<RemoteFile> {
  let target = parsed(url, url);
  for (let redirect = 0; redirect <= mostRedirects; redirect++) {
    const response = await ask(target, options);
    const status = response.statusCode ?? 0;
    const location = response.headers.location;
    if (status >= 300 && status < 400 && location !== undefined) {
      response.resume();
      response.destroy();
      const next = parsed(new URL(location, target).href, url);
      // Whoever asked for a safe connection does not get an open one.
      if (target.protocol === 'https:' && next.protocol === 'http:') {
        throw failure('SOURCE_UNREACHABLE', { url: redacted(url), problem: 'it leads from https to http' });
      }
      target = next;
      continue;
    }
    const opened = interpret(target.href, response, options.from ?? 0);
    if (opened) return opened;
    response.destroy();
    throw failure('SOURCE_HTTP_STATUS', { url: redacted(url), status });
  }
  throw failure('SOURCE_UNREACHABLE', {
    url: redacted(url),
    problem: `more than ${mostRedirects} redirects`,
  });
}

function parsed(href: string, shown: string): URL {
  const url = URL.parse(href);
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw failure('SOURCE_UNREACHABLE', {
    url: redacted(shown).slice(0, 500),
    problem: 'it is no http or https address',
  });
}

function interpret(url: string, response: IncomingMessage, from: number): RemoteFile | null {
  const { headers, statusCode } = response;
  const etag = headers.etag?.startsWith('"') ? headers.etag : null;
  const length = headers['content-length'] === undefined ? null : Number(headers['content-length']);
  if (statusCode === 200) return { url, from: 0, total: length, etag, body: response };
  if (statusCode !== 206) return null;
  const range = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(headers['content-range'] ?? '');
  if (range === null || Number(range[1]) !== from) return null;
  return { url, from, total: range[3] === '*' ? null : Number(range[3]), etag, body: response };
}

function ask(url: URL, options: RemoteOptions): Promise<IncomingMessage> {
  const { signal, method = 'GET', from = 0, etag = null, idle = patience } = options;
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = {
      'user-agent': 'bty',
      accept: '*/*',
      // Digests are of the bytes as they are stored.
      'accept-encoding': 'identity',
    };
    if (from > 0) {
      headers.range = `bytes=${from}-`;
      if (etag !== null) headers['if-range'] = etag;
    }
    if (url.username !== '' || url.password !== '') {
      const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      headers.authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
    }
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, { method, headers, signal, agent: false });
    request.setTimeout(idle, () => request.destroy(new Error(`it was silent for ${idle / 1000} seconds`)));
    request.on('response', resolve);
    request.on('error', (error) => {
      if (signal.aborted) reject(signal.reason);
      else
        reject(failure('SOURCE_UNREACHABLE', { url: redacted(url.href), problem: problemOf(error) }, error));
    });
    request.end();
  });
}

/** A small text file. Rejects as `openRemote`, or with SOURCE_LENGTH when it is longer than `most` bytes. */
export async function fetchText(url: string, most: number, signal: AbortSignal): Promise<string> {
  const { body } = await openRemote(url, { signal });
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > most) throw failure('SOURCE_LENGTH', { url: redacted(url), expected: most, actual: bytes });
      pieces.push(piece);
    }
  } finally {
    body.destroy();
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Bytes of the file at `url` as far as a HEAD tells within ten seconds; null when it does not. */
export async function sizeOfRemote(url: string, signal: AbortSignal): Promise<number | null> {
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(10_000)]);
    const { total, body } = await openRemote(url, { signal: bounded, method: 'HEAD' });
    body.destroy();
    return total;
  } catch {
    return null;
  }
}
