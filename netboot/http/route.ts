/** One operation becomes a route: who may call, what comes in, what goes out. */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Static, TSchema } from 'typebox';
import { includes, type Operation } from '../../shared/contract/operation.ts';
import type { Services } from '../services.ts';
import { authority, clientAddress, ownAuthority } from './authority.ts';
import { parseForm, parseJson, readBody, usualBytes } from './body.ts';
import { checked, checkedQuery } from './check.ts';
import { cookieName, sessionCookie } from './cookie.ts';
import type { Principal } from './principal.ts';
import { Problem } from './problem.ts';

type BodyOf<One extends Operation> = One['body'] extends { readonly schema: infer Schema extends TSchema }
  ? One['body'] extends { readonly optional: true }
    ? Static<Schema> | undefined
    : Static<Schema>
  : undefined;
type QueryOf<One extends Operation> = One['query'] extends TSchema ? Static<One['query']> : undefined;

/** One request of an operation. */
export interface Call<One extends Operation = Operation> {
  readonly operation: One;
  /** Decoded segments by the names in the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: QueryOf<One>;
  readonly body: BodyOf<One>;
  /** Who calls; null on open operations without credentials, and for live systems. */
  readonly principal: Principal | null;
  /** Bearer token as it came, for operations of the live system. */
  readonly bearer: string | undefined;
  /** Address of the client. */
  readonly address: string;
  /** `host:port` by which the appliance was asked, well-formed. */
  readonly host: string;
  readonly secure: boolean;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export type Headers = Readonly<Record<string, string | readonly string[]>>;
export type Answer =
  | { readonly kind: 'json'; readonly status: number; readonly value: unknown; readonly headers?: Headers }
  | {
      readonly kind: 'text';
      readonly status: number;
      readonly type: string;
      readonly text: string | Uint8Array;
      readonly headers?: Headers;
    }
  | { readonly kind: 'empty'; readonly status: number; readonly headers?: Headers }
  | { readonly kind: 'redirect'; readonly to: string; readonly headers?: Headers }
  /** The handler wrote or hijacked the reply itself. */
  | { readonly kind: 'handled' };

export const json = (value: unknown, status = 200, headers: Headers = {}): Answer => {
  return { kind: 'json', status, value, headers };
};
export const text = (
  content: string | Uint8Array,
  type: string,
  status = 200,
  headers: Headers = {},
): Answer => {
  return { kind: 'text', status, type, text: content, headers };
};
export const empty = (status = 204, headers: Headers = {}): Answer => ({ kind: 'empty', status, headers });
/** 303, as the contract has it everywhere. */
export const redirect = (to: string, headers: Headers = {}): Answer => ({ kind: 'redirect', to, headers });
export const handled: Answer = { kind: 'handled' };

export type Handler<One extends Operation> = (call: Call<One>) => Answer | Promise<Answer>;

/** What is known of a request before its fields are looked at. */
export type Caller = Pick<Call, 'params' | 'bearer' | 'address'>;
/** Throws when `caller` is not entitled: for operations whose right is not the operator's to give. */
export type Entitle = (caller: Caller) => void;

/** Serves `operation` (and HEAD where it is a GET) with `handler`; what `entitle` throws comes before any field. */
export function serve<One extends Operation>(
  app: FastifyInstance,
  services: Services,
  operation: One,
  handler: Handler<One>,
  entitle: Entitle = () => undefined,
): void {
  app.route({
    method: operation.method,
    url: routePath(operation.path),
    config: { operation },
    handler: async (request, reply) => {
      const call = await callOf(services, operation, request, reply, entitle);
      return send(reply, await handler(call));
    },
  });
}

/** `/images/{key}/{rest...}` in the form of fastify: `/images/:key/*`. */
export function routePath(path: string): string {
  return path.replaceAll(/\{[a-z_]+\.\.\.\}$/g, '*').replaceAll(/\{([a-z_]+)\}/g, ':$1');
}

/** The order is the contract's (3.1): malformed JSON, then who it is, then the fields; the path is the handler's. */
async function callOf<One extends Operation>(
  services: Services,
  operation: One,
  request: FastifyRequest,
  reply: FastifyReply,
  entitle: Entitle,
): Promise<Call<One>> {
  const proxied = request.headers['x-forwarded-for'];
  const address = clientAddress(request.socket.remoteAddress, proxied, services.proxies);
  const bearer = /^Bearer +(\S{1,4096})$/i.exec(request.headers.authorization ?? '')?.[1];
  const raw = await bodyOf(operation, request.raw);
  const principal = operation.access === 'agent' ? null : authorize(services, operation, request, bearer);
  const cookie = request.cookies[cookieName];
  if (principal?.renew === true && cookie !== undefined)
    reply.header('set-cookie', sessionCookie(cookie, services.config, isSecure(request)));
  const params = request.params as Record<string, string>;
  entitle({ params, bearer, address });
  const query = operation.query
    ? checkedQuery(operation.query, request.query as Record<string, unknown>)
    : undefined;
  return {
    operation,
    params,
    query: query as QueryOf<One>,
    body: checkedBody(operation, raw) as BodyOf<One>,
    principal,
    bearer,
    address,
    host: hostOf(request.raw),
    secure: isSecure(request),
    request,
    reply,
  };
}

type RawBody = { readonly value: unknown } | null;

async function bodyOf(operation: Operation, request: IncomingMessage): Promise<RawBody> {
  const { body } = operation;
  if (!body || body.kind === 'raw') return null;
  const bytes = await readBody(request, body.kind === 'json' ? (body.bytes ?? usualBytes) : usualBytes);
  if (body.kind === 'form') return { value: parseForm(bytes) };
  if (body.kind === 'ignored' || bytes.length === 0) return null;
  return { value: parseJson(bytes) };
}

function checkedBody(operation: Operation, raw: RawBody): unknown {
  const { body } = operation;
  if (!body || (body.kind !== 'json' && body.kind !== 'form')) return undefined;
  if (raw === null) {
    if (body.kind === 'json' && body.optional) return undefined;
    throw new Problem(422, [{ type: 'missing', loc: ['body'], msg: 'Field required', input: null }]);
  }
  return checked(body.schema, raw.value, 'body');
}

function authorize(
  services: Services,
  operation: Operation,
  request: FastifyRequest,
  bearer: string | undefined,
): Principal | null {
  const cookie = request.cookies[cookieName];
  const found = services.access.authenticate({ cookie, bearer });
  if (operation.access === 'open' || operation.access === 'agent') return found;
  if (found === null) {
    const challenge: Record<string, string> =
      bearer === undefined ? {} : { 'www-authenticate': 'Bearer error="invalid_token"' };
    throw new Problem(401, 'login required', challenge);
  }
  if (includes(found.scope, operation.access)) return found;
  throw new Problem(403, `this token may ${found.scope}; ${operation.name} needs ${operation.access}`);
}

/** True over TLS. */
function isSecure({ raw }: FastifyRequest): boolean {
  return 'encrypted' in raw.socket && raw.socket.encrypted === true;
}

function hostOf(request: IncomingMessage): string {
  const { host } = request.headers;
  return (host === undefined ? null : authority(host)) ?? ownAuthority(request);
}

function send(reply: FastifyReply, answer: Answer): FastifyReply {
  if (answer.kind === 'handled') return reply;
  for (const [name, value] of Object.entries(answer.headers ?? {})) reply.header(name, value);
  switch (answer.kind) {
    case 'json':
      return reply
        .status(answer.status)
        .header('content-type', 'application/json')
        .send(JSON.stringify(answer.value));
    case 'text':
      return reply.status(answer.status).header('content-type', answer.type).send(answer.text);
    case 'empty':
      return reply.status(answer.status).send();
    case 'redirect':
      return reply.status(303).header('location', answer.to).send();
  }
}
