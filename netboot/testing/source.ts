/** A server that images and releases are fetched from, with the moods that real ones have. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

export interface SourceFile {
  readonly bytes: Buffer;
  readonly etag?: string;
  /** Ranges are ignored. */
  readonly whole?: boolean;
  /** No content-length. */
  readonly chunked?: boolean;
  /** The n-th GET (from 0) breaks off after so many bytes. */
  readonly breaks?: readonly number[];
  /** Awaited after the first half of the bytes. */
  readonly gate?: Promise<unknown>;
  readonly status?: number;
}

export interface TestSource {
  readonly url: string;
  readonly asked: Asked[];
  /** What lies at a path; may be changed at any time. */
  readonly files: Map<string, SourceFile>;
  readonly server: Server;
}

export async function startSource(context: Pick<TestContext, 'after'>): Promise<TestSource> {
  const files = new Map<string, SourceFile>();
  const asked: Asked[] = [];
  const gets = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? '').split('?')[0] ?? '');
    const { method = '', headers } = request;
    asked.push({ method, path, range: headers.range, ifRange: headers['if-range']?.toString() });
    const file = files.get(path);
    if (!file) return void response.writeHead(404).end();
    const turn = gets.get(path) ?? 0;
    if (method === 'GET') gets.set(path, turn + 1);
    answer(request, response, file, turn).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, files, server };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  file: SourceFile,
  turn: number,
): Promise<void> {
  if (file.status !== undefined) return void response.writeHead(file.status).end();
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const ifRange = request.headers['if-range']?.toString();
  const partly = from > 0 && !file.whole && (ifRange === undefined || ifRange === file.etag);
  const { bytes } = file;
  if (partly && from >= bytes.length) return void response.writeHead(416).end();
  const body = partly ? bytes.subarray(from) : bytes;
  response.writeHead(partly ? 206 : 200, {
    ...(file.etag === undefined ? {} : { etag: file.etag }),
    ...(file.chunked ? {} : { 'content-length': String(body.length) }),
    ...(partly ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
  });
  if (request.method === 'HEAD') return void response.end();
  const stop = file.breaks?.[turn];
  if (stop !== undefined && stop < body.length) {
    await write(response, body.subarray(0, stop));
    return void response.destroy();
  }
  const half = Math.floor(body.length / 2);
  await write(response, body.subarray(0, half));
  await file.gate;
  response.end(body.subarray(half));
}

function write(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    response.once('close', () => reject(new Error('closed')));
    response.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
