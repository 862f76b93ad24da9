import { type Agent, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';
import { failure } from '../../shared/failure.ts';
import { version } from '../version.ts';
import { exchangeDirectly } from './http-direct.ts';
import { type Answer, exchange, type Question } from './http-exchange.ts';

/** An answer that is no redirect. */
export interface Reply {
  readonly answer: Answer;
  /** The address that answered, after redirects. */
  readonly url: URL;
}

export interface Client {
  /** Asks once. `long` says that much is to come, so that the connection may be one of its own. */
  ask(question: Omit<Question, 'answerMilliseconds'>, long: boolean): Promise<Answer>;
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
  const agent = (url: URL): Agent => {
    const known = agents.get(url.protocol);
    if (known) return known;
    const made = make(url.protocol === 'https:');
    agents.set(url.protocol, made);
    return made;
  };
  let direct = !environment.HTTP_PROXY && !environment.http_proxy;
  return {
    async ask(asked, long) {
      const question = { ...asked, answerMilliseconds };
      if (direct && long && asked.url.protocol === 'http:') {
        const answer = await exchangeDirectly(question);
        if (answer) return answer;
        direct = false;
      }
      return exchange(question, agent(asked.url));
    },
    close() {
      for (const made of agents.values()) made.destroy();
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
  long: boolean,
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
    const answer = await client.ask({ url, headers, signal }, long);
    const target = redirectOf(answer);
    if (target === null) return { answer, url };
    answer.discard();
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

function redirectOf({ status, headers }: Answer): string | null {
  return [301, 302, 303, 307, 308].includes(status) ? (headers.location ?? null) : null;
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
