/** A server on the loopback interface that misbehaves as told. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { HttpOptions } from './http.ts';

/** With a proxy configured, all is read by node:http, even where the proxy does not apply. */
const proxied = { HTTP_PROXY: 'http://127.0.0.1:9', NO_PROXY: '127.0.0.1,localhost,.invalid' };

/** Does not wait where waiting is not what is tested. */
export const hurried: HttpOptions = {
  backOffMilliseconds: () => 0,
  environment: process.env.BTY_TEST_HTTP === 'node' ? proxied : {},
  connectMilliseconds: 120_000,
  idleMilliseconds: 120_000,
};

/** Starts `listener`; resolves its address, "http://127.0.0.1:PORT". */
export async function listen(context: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** How the image is served in one reply. */
export interface Serving {
  readonly bytes: Uint8Array;
  readonly etag?: string;
  readonly lastModified?: string;
  /** Serves Range requests; "ignoring If-Range" without heeding the condition. */
  readonly ranges: boolean | 'ignoring If-Range';
  /** Most bytes in one reply. */
  readonly atMost?: number;
  /** Bytes of the body after which the connection breaks, or no more come. */
  readonly breakAfter?: number;
  readonly breakBy?: 'reset' | 'close' | 'stall';
  /** "chunked" or "close" tell no length; HTTP/1.0 knows only the latter. */
  readonly framing?: 'length' | 'chunked' | 'close';
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Request {
  readonly url: string;
  readonly range: string | null;
  readonly headers: IncomingMessage['headers'];
}

/** Serves an image, each reply as `serving` says for the request's number; `requests` collects what was asked. */
export function imageListener(
  serving: (count: number) => Serving,
  requests: Request[] = [],
): RequestListener {
  return (request, response) => {
    const range = request.headers.range ?? null;
    requests.push({ url: request.url ?? '', range, headers: request.headers });
    serve(request, response, serving(requests.length - 1));
  };
}

function serve(request: IncomingMessage, response: ServerResponse, serving: Serving): void {
  const { bytes, etag, lastModified } = serving;
  const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const condition = request.headers['if-range'];
  const current = condition === undefined || condition === etag || condition === lastModified;
  const partial = asked !== null && (serving.ranges === 'ignoring If-Range' || (serving.ranges && current));
  const start = partial ? Number(asked[1]) : 0;
  let end = partial && asked[2] !== '' ? Math.min(Number(asked[2]) + 1, bytes.length) : bytes.length;
  if (partial) end = Math.min(end, start + (serving.atMost ?? bytes.length));
  if (etag !== undefined) response.setHeader('ETag', etag);
  if (lastModified !== undefined) response.setHeader('Last-Modified', lastModified);
  if (partial && start >= bytes.length) {
    response.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end();
    return;
  }
  if (partial) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${bytes.length}`);
  if ((serving.framing ?? 'length') === 'length') response.setHeader('Content-Length', end - start);
  if (serving.framing === 'close') {
    response.removeHeader('Transfer-Encoding');
    response.setHeader('Connection', 'close');
    response.useChunkedEncodingByDefault = false;
  }
  for (const [name, value] of Object.entries(serving.headers ?? {})) response.setHeader(name, value);
  response.writeHead(partial ? 206 : 200);
  const body = bytes.subarray(start, end);
  const { breakAfter } = serving;
  if (breakAfter === undefined || breakAfter >= body.length) {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, breakAfter), () => {
    if (serving.breakBy === 'stall') return;
    if (serving.breakBy === 'close') response.socket?.end();
    else response.socket?.resetAndDestroy();
  });
  if (breakAfter === 0) response.flushHeaders();
}
