/** A server with one image, which it gives out as slowly as the test wants, and with an ear. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomBytes } from '../../unpack/testing.ts';

const piece = 256 * 1024;
/** Bytes that come so fast that a test does not take long; what is left comes more slowly, and waits for the test. */
const soon = 16 << 20;

export class SlowServer {
  readonly image: Buffer;
  /** Paths that were posted to. */
  readonly told: string[] = [];
  /** Milliseconds between the first pieces of the image. */
  pause = 60;
  /** `Authorization` of every question for the list. */
  readonly credentials: (string | undefined)[] = [];
  readonly #server: Server;
  #bytes = 0;
  #news = Promise.withResolvers<void>();

  static async start(size: number, port = 0): Promise<SlowServer> {
    const server = new SlowServer(size);
    server.#server.listen(port, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  private constructor(size: number) {
    this.image = randomBytes(size, 7);
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves when so many bytes of the image were sent. */
  async sent(bytes: number): Promise<void> {
    while (this.#bytes < bytes) await this.#news.promise;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'POST') {
      this.told.push(request.url ?? '');
      response.writeHead(204).end();
      return;
    }
    if (request.url === '/images') return this.#serveList(request, response);
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const { length } = this.image;
    const from = Number(range?.[1] ?? 0);
    const to = range?.[2] ? Math.min(length, Number(range[2]) + 1) : length;
    response.writeHead(range ? 206 : 200, {
      'Accept-Ranges': 'bytes',
      ETag: '"1"',
      'Content-Length': to - from,
      ...(range ? { 'Content-Range': `bytes ${from}-${to - 1}/${length}` } : {}),
    });
    for (let at = from; at < to && request.method === 'GET' && !response.destroyed; at += piece) {
      const end = Math.min(to, at + piece);
      response.write(this.image.subarray(at, end));
      this.#bytes = Math.max(this.#bytes, end);
      this.#news.resolve();
      this.#news = Promise.withResolvers();
      const wait = end <= soon ? this.pause : 10 * this.pause;
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    }
    response.end();
  }

  #serveList(request: IncomingMessage, response: ServerResponse): void {
    this.credentials.push(request.headers.authorization);
    const sha256 = createHash('sha256').update(this.image).digest('hex');
    const { length } = this.image;
    const rows = [
      {
        name: 'slow.img',
        format: 'img',
        size_bytes: length,
        url: '/images/1/slow.img',
        sha256,
        virtual_size_bytes: length,
      },
      { name: 'no address' },
    ];
    const body = JSON.stringify(rows);
    response.writeHead(200, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}
