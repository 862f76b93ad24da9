/**
 * The appliance's HTTP interface, typed by the contract: `ask('GET /machines/{mac}', { params: { mac } })`. Only types
 * of the contract come in, no schema: page and interface are parts of one program, and a page of another version is told
 * so (`live.ts`).
 */
import type { Static, TSchema } from 'typebox';
import type { accessOperations } from '../../../shared/contract/access.ts';
import type { bootOperations } from '../../../shared/contract/boot.ts';
import type { dhcpOperations } from '../../../shared/contract/dhcp.ts';
import type { eventOperations } from '../../../shared/contract/event.ts';
import type { imageOperations } from '../../../shared/contract/image.ts';
import type { jobOperations } from '../../../shared/contract/job.ts';
import type { machineOperations } from '../../../shared/contract/machine.ts';
import type { rolloutOperations } from '../../../shared/contract/rollout.ts';
import type { storyOperations } from '../../../shared/contract/story.ts';
import type { systemOperations } from '../../../shared/contract/system.ts';
import type { taskOperations } from '../../../shared/contract/task.ts';
import { waitedFor } from './waiting.ts';

type Tables =
  | typeof accessOperations
  | typeof bootOperations
  | typeof dhcpOperations
  | typeof eventOperations
  | typeof imageOperations
  | typeof jobOperations
  | typeof machineOperations
  | typeof rolloutOperations
  | typeof storyOperations
  | typeof systemOperations
  | typeof taskOperations;
type Values<Table> = Table extends unknown ? Table[keyof Table] : never;
type Known = Values<Tables>;
type NameOf<One> = One extends {
  readonly method: infer M extends string;
  readonly path: infer P extends string;
}
  ? `${M} ${P}`
  : never;

/** `GET /machines/{mac}` and the like: every operation of the contract. */
export type Name = NameOf<Known>;
type Found<Which extends Name> = Which extends `${infer M} ${infer P}`
  ? Extract<Known, { readonly method: M; readonly path: P }>
  : never;

type ParameterOf<Path> = Path extends `${string}{${infer Parameter}}${infer Rest}`
  ? Parameter | ParameterOf<Rest>
  : never;
type Params<Which> = [ParameterOf<Which>] extends [never]
  ? unknown
  : { readonly params: Readonly<Record<ParameterOf<Which>, string>> };
type Query<One> = One extends { readonly query: infer Schema extends TSchema }
  ? { readonly query?: Static<Schema> }
  : unknown;
type Body<One> = One extends {
  readonly body: { readonly kind: 'json'; readonly schema: infer Schema extends TSchema };
}
  ? { readonly body: Static<Schema> }
  : unknown;
export type Input<Which extends Name> = Params<Which> &
  Query<Found<Which>> &
  Body<Found<Which>> & {
    readonly signal?: AbortSignal;
    /** Do it only to what has this `etag`; else it is refused with 412. */
    readonly ifMatch?: string;
  };

type Replies<One> = One extends { readonly replies: infer All } ? All : never;
type Told<All> = {
  [Status in keyof All]: Status extends 200 | 201 | 202
    ? All[Status] extends { readonly schema: infer Schema extends TSchema }
      ? Static<Schema>
      : undefined
    : never;
}[keyof All];
export type Reply<Which extends Name> = Told<Replies<Found<Which>>>;

/** What the appliance refused, or that it was not reached. */
export class Refusal extends Error {
  /** HTTP status; 0 when there was no answer at all. */
  readonly status: number;
  /** Of the failure table, null where the answer names none. */
  readonly code: string | null;
  readonly advice: string;
  /** What the sentence speaks of. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    message: string,
    code: string | null = null,
    advice = '',
    details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.code = code;
    this.advice = advice;
    this.details = details;
  }
}

/** Called whenever an answer says that nobody is logged in. */
let onLoggedOut = (): void => undefined;
export function whenLoggedOut(call: () => void): void {
  onLoggedOut = call;
}

interface Loose {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
  readonly ifMatch?: string;
}

/** Address of an operation, for links and downloads. */
export function address<Which extends Name>(name: Which, input: Input<Which>): string {
  return addressOf(name, input as Loose);
}

function addressOf(name: string, { params = {}, query = {} }: Loose): string {
  const path = (name.split(' ')[1] ?? '').replaceAll(/\{([a-z_]+)(\.\.\.)?\}/g, (_, key: string) =>
    encodeURIComponent(params[key] ?? ''),
  );
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') search.set(key, String(value));
  }
  return search.size === 0 ? path : `${path}?${search}`;
}

/** Asks, and rejects with a Refusal (or with the reason of `signal`). */
export async function ask<Which extends Name>(
  name: Which,
  ...[input]: Record<never, never> extends Input<Which> ? [Input<Which>?] : [Input<Which>]
): Promise<Reply<Which>> {
  const { value } = await askWhole(name, ...([input] as [Input<Which>]));
  return value;
}

/** As `ask`, with the headers of the answer. */
export async function askWhole<Which extends Name>(
  name: Which,
  ...[input]: Record<never, never> extends Input<Which> ? [Input<Which>?] : [Input<Which>]
): Promise<{ readonly value: Reply<Which>; readonly headers: Headers }> {
  const loose = (input ?? {}) as Loose;
  const { body, ifMatch } = loose;
  const request = {
    method: name.split(' ')[0] ?? 'GET',
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(loose.signal ? { signal: loose.signal } : {}),
  };
  const { response, text } = await waitedFor(async () => {
    const answer = await send(addressOf(name, loose), request);
    const told = await answer.text().catch((error: unknown) => {
      // The connection broke in the middle of the answer.
      if (loose.signal?.aborted) throw error;
      throw new Refusal(0, '', 'UNREACHABLE');
    });
    return { response: answer, text: told };
  });
  return { value: parsed(text, response) as Reply<Which>, headers: response.headers };
}

function parsed(text: string, { status }: Response): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // A proxy answered in the appliance's place, with a page of its own.
    throw new Refusal(status, '', 'NOT_THE_APPLIANCE');
  }
}

/** `fetch` whose unhappy answers are Refusals. */
export async function send(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, credentials: 'same-origin' });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refusal(0, '', 'UNREACHABLE');
  }
  if (response.ok) return response;
  const refusal = await refusalOf(response);
  if (refusal.status === 401) onLoggedOut();
  throw refusal;
}

export async function refusalOf(response: Response): Promise<Refusal> {
  const text = await response.text().catch(() => '');
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy answered, with a page of its own.
  }
  const known = (typeof body === 'object' && body !== null ? body : {}) as Readonly<Record<string, unknown>>;
  const code = typeof known.code === 'string' ? known.code : `HTTP_${response.status}`;
  const advice = typeof known.advice === 'string' ? known.advice : '';
  const details = (
    typeof known.details === 'object' && known.details !== null ? known.details : {}
  ) as Readonly<Record<string, unknown>>;
  return new Refusal(response.status, sentenceOf(known.detail) || response.statusText, code, advice, details);
}

function sentenceOf(detail: unknown): string {
  if (typeof detail === 'string') return detail;
  if (!Array.isArray(detail)) return '';
  return (detail as { loc?: unknown[]; msg?: unknown }[])
    .slice(0, 5)
    .map(({ loc = [], msg }) => `${loc.slice(1).join('.')}: ${String(msg)}`)
    .join('; ');
}
