/** The HTTP application and the servers that it is reached by. */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server as Door, Socket } from 'node:net';
import cookie from '@fastify/cookie';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Method, Operation } from '../../shared/contract/operation.ts';
import { failure } from '../../shared/failure.ts';
import type { Services } from '../services.ts';
import { authority } from './authority.ts';
import { moreHands } from './hands.ts';
import { refuseForeignSites } from './origin.ts';
import { Problem, tell } from './problem.ts';
import { routePath } from './route.ts';
import { neighbourhood, Tally } from './tally.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    operation?: Operation;
  }
}

/** What a listener serves: everything, or only what machines need while they boot. */
export type Plane = 'all' | 'boot';
const planes = new WeakMap<IncomingMessage, Plane>();

/** Longest path that is looked at, in bytes. */
const longestPath = 8192;

/** Sent with every answer: nothing is framed, sniffed, or loaded from elsewhere. */
export const fixedHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** `operations`: every one that is served, complete once all routes are there. */
export type Routes = (app: FastifyInstance, services: Services, operations: readonly Operation[]) => void;

export interface Application {
  readonly app: FastifyInstance;
  /** Every operation that is served. */
  readonly operations: readonly Operation[];
}

/** The application with `routes`, without a socket. */
export async function makeApplication(services: Services, routes: readonly Routes[]): Promise<Application> {
  const operations: Operation[] = [];
  // Ids of two runs must not be taken for one another in a log.
  const run = randomBytes(4).toString('hex');
  let requests = 0;
  const app = Fastify({
    logger: false,
    genReqId: () => `${run}-${(++requests).toString(36)}`,
    // The contract's own reading of bodies is in route.ts; nothing is read here.
    bodyLimit: Number.MAX_SAFE_INTEGER,
    routerOptions: { maxParamLength: longestPath, ignoreTrailingSlash: false, caseSensitive: true },
    // Routes are chosen on the decoded path, so a hidden slash is a slash (bty-contract 3.2).
    rewriteUrl: ({ url = '/' }) => {
      const [path = '/', ...query] = url.split('?');
      return [path.replaceAll(/%2f/gi, '/'), ...query].join('?');
    },
    frameworkErrors: (error, request, reply) => answerError(services, error, request, reply),
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  await app.register(cookie);
  app.addHook('onRoute', ({ config }) => {
    if (config?.operation && !operations.includes(config.operation)) operations.push(config.operation);
  });
  const admit = (request: FastifyRequest): void => {
    const { host } = request.headers;
    if (host !== undefined && (authority(host) === null || hosts(request) > 1))
      throw new Problem(400, 'invalid Host header');
    const operation = request.routeOptions.config.operation;
    if (planes.get(request.raw) === 'boot' && operation?.boot !== true) throw notFound(request, operations);
    refuseForeignSites(request.headers, request.method, operation);
  };
  // None of them waits for anything, so none is a promise.
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      admit(request);
    } catch (error) {
      done(error as Error);
      return;
    }
    done();
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    for (const [name, value] of Object.entries(fixedHeaders)) {
      if (!reply.hasHeader(name)) reply.header(name, value);
    }
    reply.header('x-request-id', request.id);
    // What is left of a body that was refused is not read to its end.
    if (reply.statusCode >= 400 && !request.raw.complete && hasBody(request))
      reply.header('connection', 'close');
    done(null, payload);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const operation = request.routeOptions.config.operation?.name ?? 'none';
    services.metrics.requests.observe(
      { operation, method: request.method, status: reply.statusCode },
      reply.elapsedTime / 1000,
    );
    const level = levelOf(request.method, reply.statusCode);
    services.log[level]('request', {
      request: request.id,
      method: request.method,
      path: request.url.split('?')[0]?.slice(0, 500),
      status: reply.statusCode,
      address: request.socket.remoteAddress,
      milliseconds: Math.round(reply.elapsedTime),
    });
    done();
  });
  app.setErrorHandler((error, request, reply) => answerError(services, error, request, reply));
  app.setNotFoundHandler((request) => {
    throw notFound(request, operations);
  });
  for (const register of routes) register(app, services, operations);
  await app.ready();
  return { app, operations };
}

function answerError(
  services: Services,
  error: unknown,
  request: FastifyRequest,
  reply: import('fastify').FastifyReply,
): void {
  const told = tell(error);
  if (told.ours) {
    const stack = error instanceof Error ? error.stack : String(error);
    services.log.error('fault', { request: request.id, path: request.url.slice(0, 500), stack });
  }
  for (const [name, value] of Object.entries(told.headers)) reply.header(name, value);
  reply
    .status(told.status)
    .header('content-type', 'application/json')
    .send(JSON.stringify({ ...told.body, ...(told.ours ? { request_id: request.id } : {}) }));
}

/** What changes something is worth a line; 503 is said by `/readyz` and by what is busy, and is no fault. */
function levelOf(method: string, status: number): 'error' | 'info' | 'debug' {
  if (status >= 500 && status !== 503) return 'error';
  return method === 'GET' || method === 'HEAD' ? 'debug' : 'info';
}

/** How many Host headers came: Node.js keeps only the first, and a proxy may have looked at another one. */
function hosts({ raw }: FastifyRequest): number {
  let count = 0;
  for (let index = 0; index < raw.rawHeaders.length; index += 2) {
    const name = raw.rawHeaders[index];
    if (name?.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count;
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** 405 where another method is served at this path, else 404. */
function notFound(request: FastifyRequest, operations: readonly Operation[]): Problem {
  const path = decoded(request.url.split('?')[0] ?? '/');
  const boot = planes.get(request.raw) === 'boot';
  const methods = new Set<Method | 'HEAD'>();
  for (const operation of operations) {
    if ((boot && operation.boot !== true) || !patternOf(operation.path).test(path)) continue;
    methods.add(operation.method);
    if (operation.method === 'GET') methods.add('HEAD');
  }
  if (methods.size === 0 || methods.has(request.method as Method)) return new Problem(404, 'Not Found');
  return new Problem(405, 'Method Not Allowed', { allow: [...methods].join(', ') });
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

const patterns = new Map<string, RegExp>();
function patternOf(path: string): RegExp {
  let found = patterns.get(path);
  if (found === undefined) {
    const source = routePath(path)
      .split('/')
      .map((part) =>
        part === '*' ? '.*' : part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'),
      )
      .join('/');
    found = new RegExp(`^${source}$`, 's');
    patterns.set(path, found);
  }
  return found;
}

export interface Listening {
  readonly server: Server;
  /** Others that take connections for it. */
  readonly more: readonly Door[];
  readonly plane: Plane;
  readonly address: string;
  readonly port: number;
  readonly secure: boolean;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly plane: Plane;
  /** Certificate chain and key in PEM; null for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

const mostConnections = 8192;
/** Connections that wait to be taken, as many as Linux lets wait (net.core.somaxconn). */
const backlog = 4096;
const mostPerAddress = 4096;

/** Milliseconds that the rest of a request has to come, once it is answered. */
const restMilliseconds = 5000;

/** A request that is answered and does not end would keep its connection for ever: nobody waits for its body. */
function endWithAnswer(request: IncomingMessage, response: ServerResponse): void {
  // A request that is destroyed meanwhile has no socket any more.
  const { socket } = request;
  response.once('finish', () => {
    if (request.complete) return;
    const timer = setTimeout(() => socket.destroy(), restMilliseconds);
    request.once('end', () => clearTimeout(timer));
    request.once('close', () => clearTimeout(timer));
  });
}

/** Listens for `app`. Failure: PORT_TAKEN. */
export async function listen(app: FastifyInstance, options: ListenOptions): Promise<Listening> {
  const { host, port, plane, tls } = options;
  const receive = (request: IncomingMessage, response: ServerResponse) => {
    planes.set(request, plane);
    endWithAnswer(request, response);
    app.routing(request, response);
  };
  const limits = {
    // A request's head must come at once; bodies have their own patience (body.ts, uploads by their idleness).
    headersTimeout: 15_000,
    requestTimeout: 0,
    connectionsCheckingInterval: 5_000,
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
    noDelay: true,
  };
  const server = tls ? createSecureServer({ ...limits, ...tls }, receive) : createServer(limits, receive);
  server.maxHeadersCount = 100;
  let open = 0;
  const byAddress = new Tally();
  server.on('connection', (socket: Socket) => {
    const address = neighbourhood(socket.remoteAddress);
    // One address leaves room for all others.
    if (open >= mostConnections || byAddress.of(address) >= mostPerAddress) return void socket.destroy();
    open++;
    byAddress.add(address);
    socket.once('close', () => {
      open--;
      byAddress.remove(address);
    });
  });
  // Answers that nobody reads and uploads that stop are cut after this much silence.
  server.setTimeout(120_000);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE' || error.code === 'EACCES' || error.code === 'EADDRNOTAVAIL';
      const holder = error.code === 'EADDRINUSE' ? 'another program' : `the system (${error.code})`;
      const name = 'TCP';
      reject(taken ? failure('PORT_TAKEN', { protocol: name, address: host, port, holder }, error) : error);
    });
    server.listen({ host, port, backlog }, resolve);
  });
  // Without a descriptor to spare accept(2) fails; who waits is taken once there is one.
  server.on('error', () => {});
  const bound = server.address() as AddressInfo;
  const more = await moreHands(server, backlog, tls === null);
  return { server, more, plane, address: bound.address, port: bound.port, secure: tls !== null };
}

/** Takes no new requests, waits up to `patience` milliseconds for those that run, then ends them. */
export async function stopListening(listening: readonly Listening[], patience: number): Promise<void> {
  await Promise.all(
    listening.map(async ({ server, more }) => {
      const timer = setTimeout(() => server.closeAllConnections(), patience);
      const closed = [server, ...more].map((one) => new Promise((resolve) => one.close(resolve)));
      server.closeIdleConnections();
      await Promise.all(closed);
      clearTimeout(timer);
    }),
  );
}
