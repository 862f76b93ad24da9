import {
  type Agent,
  type ClientRequest,
  get as getPlain,
  Agent as HttpAgent,
  type IncomingMessage,
} from 'node:http';
import { get as getSecure, Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';
import { failure } from '../../shared/failure.ts';
import { version } from '../version.ts';
import { problemOf } from './problem.ts';

/** A connection that failed in a way that may pass: the request can be sent again. */
export class ConnectionLost extends Error {
  /** The server closed the connection in an orderly way (FIN), so it holds that nothing is missing. */
  readonly orderly: boolean;
  /** Milliseconds that the server asked to wait, null when it did not. */
  readonly retryAfter: number | null;

  constructor(
    problem: string,
    traits: { orderly?: boolean; retryAfter?: number | null } = {},
    cause?: unknown,
  ) {
    super(problem, { cause });
    this.name = 'ConnectionLost';
    this.orderly = traits.orderly ?? false;
    this.retryAfter = traits.retryAfter ?? null;
  }
}

interface Answer {
  readonly response: IncomingMessage;
  /** The first error of the connection after the header, which may come in the same moment. */
  readonly trouble: { error: Error | null };
}

/** A reply's header has come; its body has not been read. */
export interface Reply extends Answer {
  /** The address that answered, after redirects. */
  readonly url: URL;
}

export interface Client {
  /** Agent for the protocol of `url`. */
  agent(url: URL): Agent;
  /** Milliseconds from the start of a request to the header of its reply. */
  readonly answerMilliseconds: number;
  close(): void;
}

const mostRedirects = 10;

/** `environment` holds HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case. */
export function openClient(environment: NodeJS.ProcessEnv, answerMilliseconds: number): Client {
  const agents = new Map<string, Agent>();
  const make = (secure: boolean): Agent => {
    const common = { keepAlive: true, proxyEnv: environment };
    if (!secure) return new HttpAgent(common);
    // A private authority that the system trusts is trusted here too, as people expect from other tools.
    return new HttpsAgent({
      ...common,
      ca: [...getCACertificates('default'), ...getCACertificates('system')],
    });
  };
  return {
    answerMilliseconds,
    agent(url) {
      const known = agents.get(url.protocol);
      if (known) return known;
      const made = make(url.protocol === 'https:');
      agents.set(url.protocol, made);
      return made;
    },
    close() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

/**
 * Sends a GET and follows redirects; failures call the address `shown`. Rejects with ConnectionLost, with a Failure that no repetition mends, or
 * with the signal's reason; aborting later ends the body.
 */
export async function request(
  client: Client,
  start: URL,
  shown: string,
  fields: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Reply> {
  const refuse = (problem: string) => failure('SOURCE_UNREACHABLE', { url: shown, problem });
  let url = start;
  for (let redirects = 0; ; redirects++) {
    // RFC 9110 section 15.4: credentials for one host are not for another, nor for another port or protocol.
    const authorization = url.origin === start.origin ? basicCredentials(start) : null;
    const headers = {
      'User-Agent': `bty/${version}`,
      Accept: '*/*',
      // Otherwise byte positions would count something else than the stored image.
      'Accept-Encoding': 'identity',
      ...(authorization === null ? {} : { Authorization: authorization }),
      ...fields,
    };
    const answer = await exchange(client, url, headers, signal);
    const target = redirectOf(answer.response);
    if (target === null) return { ...answer, url };
    answer.response.destroy();
    if (redirects === mostRedirects) throw refuse(`it redirects more than ${mostRedirects} times`);
    const next = URL.parse(target, url.href);
    if (next === null || (next.protocol !== 'http:' && next.protocol !== 'https:')) {
      throw refuse('it redirects to something that is no http or https address');
    }
    if (url.protocol === 'https:' && next.protocol === 'http:') {
      throw refuse('it redirects from https to http, which anyone on the way could tamper with');
    }
    next.username = '';
    next.password = '';
    next.hash = '';
    url = next;
  }
}

function exchange(
  client: Client,
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
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
    const trouble: Answer['trouble'] = { error: null };
    let sent: ClientRequest;
    let timer: NodeJS.Timeout | undefined;
    try {
      sent = get(bare, { agent: client.agent(url), headers, signal });
    } catch (error) {
      fail(error);
      return;
    }
    timer = setTimeout(() => {
      sent.destroy(new ConnectionLost(`no answer for ${client.answerMilliseconds / 1000} seconds`));
    }, client.answerMilliseconds);
    sent.once('response', (response) => {
      clearTimeout(timer);
      resolve({ response, trouble });
    });
    sent.on('error', (error) => {
      trouble.error ??= error;
      fail(error);
    });
  });
}

function redirectOf(response: IncomingMessage): string | null {
  const status = response.statusCode ?? 0;
  return [301, 302, 303, 307, 308].includes(status) ? (response.headers.location ?? null) : null;
}

function basicCredentials(url: URL): string | null {
  if (url.username === '' && url.password === '') return null;
  const credentials = `${decoded(url.username)}:${decoded(url.password)}`;
  return `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
