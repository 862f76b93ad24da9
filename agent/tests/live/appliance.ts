/** The appliance's side of the contract over real HTTP, as a test wants it: every message is checked and kept. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  checkMessage,
  type FlashPlanMessage,
  Inventory,
  type Plan,
  Progress,
  Status,
} from '../../../shared/contract/agent.ts';

export const mac = '52:54:00:77:00:01';
export const token = 'token-of-this-boot-0123456789';

export interface Message {
  readonly what: string;
  readonly body: unknown;
  /** Milliseconds on the test's clock. */
  readonly at: number;
}

const schemas = { inventory: Inventory, progress: Progress, status: Status } as const;

export class TestAppliance {
  readonly messages: Message[] = [];
  readonly image: Buffer;
  readonly sha256: string;
  /** What is answered to the next questions; the last one stays. */
  plans: Plan[] = [];
  /** Answers instead of the usual ones: status by path's end, once each. */
  readonly trouble: { readonly what: string; readonly status: number }[] = [];
  /** Messages of one kind are answered only when this has resolved. */
  held: { readonly what: string; readonly until: Promise<void> } | null = null;
  /** Breaks the connection of the image after so many bytes, once each. */
  readonly breaks: number[] = [];
  /** Bytes a second of the image; without limit unless given. */
  rate = Number.POSITIVE_INFINITY;
  imageRequests = 0;
  readonly faults: string[] = [];
  #server: Server;
  #news = Promise.withResolvers<void>();
  #address = '';

  /** `tls` makes it answer by https alone. */
  static async start(
    image: Buffer,
    tls?: { readonly key: string; readonly cert: string },
  ): Promise<TestAppliance> {
    const appliance = new TestAppliance(image, tls);
    appliance.#server.listen(0, '127.0.0.1');
    await once(appliance.#server, 'listening');
    const scheme = tls ? 'https' : 'http';
    appliance.#address = `${scheme}://127.0.0.1:${(appliance.#server.address() as AddressInfo).port}`;
    return appliance;
  }

  private constructor(image: Buffer, tls?: { readonly key: string; readonly cert: string }) {
    this.image = image;
    this.sha256 = createHash('sha256').update(image).digest('hex');
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response).catch((error: unknown) => {
        this.faults.push(String(error));
        response.destroy();
      });
    };
    this.#server = tls ? createSecureServer(tls, listener) : createServer(listener);
  }

  get address(): string {
    return this.#address;
  }

  /** A plan that flashes the image onto the disk with exactly so many bytes. */
  flashPlan(bytes: number, more: Partial<FlashPlanMessage> = {}): FlashPlanMessage {
    return {
      kind: 'flash',
      id: 'plan-1',
      title: 'rack 4',
      image: {
        url: `/images/${this.sha256}/test.img.zst`,
        name: 'test.img.zst',
        sha256: this.sha256,
        format: 'img.zst',
        size_bytes: this.image.length,
      },
      disk: { kind: 'match', min_bytes: bytes, max_bytes: bytes },
      verify: 'full',
      grow: false,
      boot_entry: { kind: 'none' },
      after: 'reboot',
      retry: { attempts: 3, first_seconds: 0.2, most_seconds: 1 },
      heartbeat_seconds: 1,
      ...more,
    };
  }

  /** Messages of one kind, as they came. */
  of(what: string): readonly Message[] {
    return this.messages.filter((message) => message.what === what);
  }

  /** Resolves when a message of this kind fits. */
  async hears(what: string, fits: (body: never) => boolean = () => true): Promise<unknown> {
    for (;;) {
      const found = this.messages.find((message) => message.what === what && fits(message.body as never));
      if (found) return found.body;
      await this.#news.promise;
    }
  }

  /** Stops listening, as an appliance that is killed, and comes back under the same address. */
  async away(during: () => Promise<void>): Promise<void> {
    const { port } = this.#server.address() as AddressInfo;
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    await during();
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close').catch(() => {});
  }

  #serveList(request: IncomingMessage, response: ServerResponse): void {
    const row = {
      name: 'test.img.zst',
      format: 'img.zst',
      size_bytes: this.image.length,
      url: `/images/${this.sha256}/test.img.zst`,
      ref: this.sha256.slice(0, 12),
      cached: true,
      sha256: this.sha256,
      virtual_size_bytes: null,
    };
    const body = JSON.stringify([row]);
    response.writeHead(200, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    if (path === '/healthz') return void response.end();
    if (path === '/images') return this.#serveList(request, response);
    if (path.startsWith('/images/')) return this.#serveImage(request, response);
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const what = path.split('/').at(-1) ?? '';
    if (request.headers.authorization !== `Bearer ${token}`)
      this.faults.push(`${what} came without the token`);
    if (!path.startsWith(`/pxe/${mac}/`)) this.faults.push(`nobody asked for ${path}`);
    if (this.held?.what === what) await this.held.until;
    const trouble = this.trouble.findIndex((each) => each.what === what);
    const [found] = trouble < 0 ? [] : this.trouble.splice(trouble, 1);
    if (found) {
      response.writeHead(found.status).end();
      return;
    }
    if (what === 'plan') {
      const plan = this.plans.length > 1 ? this.plans.shift() : this.plans[0];
      this.#keep(what, plan);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(plan));
      return;
    }
    const body: unknown = JSON.parse(Buffer.concat(pieces).toString('utf8'));
    const schema = schemas[what as keyof typeof schemas];
    const checked = checkMessage(schema, body);
    if (checked.kind === 'invalid') this.faults.push(`${what}: ${checked.problem}`);
    this.#keep(what, body);
    response.writeHead(204).end();
  }

  #keep(what: string, body: unknown): void {
    this.messages.push({ what, body, at: performance.now() });
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  async #serveImage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.imageRequests++;
    const { length } = this.image;
    const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const [start, end] = [Number(from), to === '' ? length - 1 : Math.min(Number(to), length - 1)];
    const isPart = request.headers.range !== undefined;
    response.writeHead(isPart ? 206 : 200, {
      etag: `"${this.sha256}"`,
      'accept-ranges': 'bytes',
      'content-length': end - start + 1,
      ...(isPart ? { 'content-range': `bytes ${start}-${end}/${length}` } : {}),
    });
    if (request.method === 'HEAD') return void response.end();
    const closed = once(response, 'close');
    const step = 64 * 1024;
    const began = performance.now();
    for (let at = start; at <= end && !response.destroyed; at += step) {
      const [limit] = this.breaks;
      if (limit !== undefined && at >= limit) {
        this.breaks.shift();
        return void response.destroy();
      }
      if (!response.write(this.image.subarray(at, Math.min(at + step, end + 1)))) {
        await Promise.race([drained(response), closed]);
      }
      const early = ((at - start) / this.rate) * 1000 - (performance.now() - began);
      if (early > 5) await new Promise((resolve) => setTimeout(resolve, early));
    }
    response.end();
  }
}

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => response.once('drain', resolve));
