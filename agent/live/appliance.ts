/** Speaks to the appliance: one question, one answer, asked again while the network or the appliance is away. */
import { Agent as HttpAgent, type IncomingMessage, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { bodyBytes } from '../../shared/contract/agent.ts';
import type { Checked } from '../../shared/descriptor.ts';
import { asFailure, Failure, failure } from '../../shared/failure.ts';
import { version } from '../version.ts';

export interface ApplianceOptions {
  /** Address without a path. */
  readonly server: string;
  readonly mac: string;
  /** null where the boot script loaded no second initrd; the appliance decides what it thinks of that. */
  readonly token: string | null;
  /** Told of the first failed try of a question, and when it is answered at last. */
  readonly onTrouble: (problem: string | null) => void;
  /** Told the time of the appliance by its `Date`. */
  readonly onDate?: (date: Date) => void;
  /** Milliseconds that one try may take, and pauses between tries. */
  readonly tryMilliseconds?: number;
  readonly firstPause?: number;
  readonly longestPause?: number;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** How long a question is repeated: for ever, or until a number of milliseconds has gone. */
export interface Persistence {
  readonly signal: AbortSignal;
  readonly forMilliseconds?: number;
}

/** Status codes that a repetition may mend. 404: the machine's record may be on its way. */
const passing = (status: number): boolean => [404, 408, 425, 429].includes(status) || status >= 500;

/** TLS is loaded only where it is spoken: most of an agent's start would be for it. */
const secure = (): typeof import('node:https') => process.getBuiltinModule('node:https');

export class Appliance {
  readonly server: string;
  readonly #options: ApplianceOptions;
  readonly #agent: HttpAgent;

  constructor(options: ApplianceOptions) {
    this.server = options.server;
    this.#options = options;
    const keep = { keepAlive: true, maxSockets: 2 };
    this.#agent = options.server.startsWith('https:') ? new (secure().Agent)(keep) : new HttpAgent(keep);
  }

  /**
   * The reply to a GET, if `check` accepts it. Rejects with APPLIANCE_REFUSED, PLAN_INVALID, the signal's reason, or
   * APPLIANCE_UNREACHABLE when the time is over.
   */
  async get<Value>(
    path: string,
    check: (value: unknown) => Checked<Value>,
    persistence: Persistence,
  ): Promise<Value> {
    const { body } = await this.#persist('GET', path, undefined, persistence);
    let value: unknown;
    try {
      value = JSON.parse(body.toString('utf8'));
    } catch (error) {
      throw failure('PLAN_INVALID', { server: this.server, problem: 'it is no JSON' }, error);
    }
    const checked = check(value);
    if (checked.kind === 'invalid')
      throw failure('PLAN_INVALID', { server: this.server, problem: checked.problem });
    return checked.value;
  }

  /** Posts `message` until it is answered. Rejects as `get`, with PLAN_WITHDRAWN on 409. */
  async post(path: string, message: unknown, persistence: Persistence): Promise<void> {
    await this.#persist('POST', path, Buffer.from(JSON.stringify(message)), persistence);
  }

  /** Posts `message` once; false when that failed for now. Rejects as `post`. */
  async tell(path: string, message: unknown, signal: AbortSignal): Promise<boolean> {
    try {
      const answer = await this.#once('POST', path, Buffer.from(JSON.stringify(message)), signal);
      this.#judge(answer.status, path);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Failure && error.code !== 'APPLIANCE_UNREACHABLE') throw error;
      return false;
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #persist(
    method: 'GET' | 'POST',
    path: string,
    body: Buffer | undefined,
    { signal, forMilliseconds }: Persistence,
  ): Promise<Answer> {
    const { firstPause = 250, longestPause = 10_000, onTrouble } = this.#options;
    const began = performance.now();
    let wait = firstPause;
    let troubled = false;
    for (;;) {
      signal.throwIfAborted();
      try {
        const answer = await this.#once(method, path, body, signal);
        this.#judge(answer.status, path);
        if (troubled) onTrouble(null);
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        const found = asFailure(error);
        if (found.code !== 'APPLIANCE_UNREACHABLE') throw found;
        if (forMilliseconds !== undefined && performance.now() - began > forMilliseconds) throw found;
        if (!troubled) onTrouble(found.message);
        troubled = true;
      }
      // Some of it by chance, so that machines that lost one appliance do not come back as one.
      await pause(wait * (0.75 + Math.random() / 2), undefined, { signal });
      wait = Math.min(longestPause, wait * 2);
    }
  }

  #judge(status: number, path: string): void {
    if (status >= 200 && status < 300) return;
    const { server } = this;
    if (passing(status)) throw this.#unreachable(`it answers with HTTP status ${status}`);
    if (status === 409) throw failure('PLAN_WITHDRAWN', { server });
    throw failure('APPLIANCE_REFUSED', { server, status, what: `the ${path.split('/').at(-1)}` });
  }

  #unreachable(problem: string, cause?: unknown): Failure {
    return failure('APPLIANCE_UNREACHABLE', { server: this.server, problem }, cause);
  }

  async #once(
    method: 'GET' | 'POST',
    path: string,
    body: Buffer | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { token, onDate, tryMilliseconds = 10_000 } = this.#options;
    const url = new URL(path, this.server);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(tryMilliseconds)]);
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const ask = url.protocol === 'https:' ? secure().request : request;
        const sent = ask(url, {
          method,
          agent: this.#agent,
          signal: limit,
          headers: {
            'User-Agent': `bty/${version}`,
            Accept: 'application/json',
            ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
            ...(body === undefined
              ? {}
              : { 'Content-Type': 'application/json', 'Content-Length': `${body.length}` }),
          },
        });
        sent.on('error', reject);
        sent.on('response', (answer) => {
          const date = new Date(answer.headers.date ?? '');
          if (!Number.isNaN(date.getTime())) onDate?.(date);
          collect(answer).then(
            (content) => resolve({ status: answer.statusCode ?? 0, body: content }),
            reject,
          );
        });
        sent.end(body);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#unreachable(problemOf(error, tryMilliseconds), error);
    }
  }
}

async function collect(answer: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of answer) {
    const part = piece as Buffer;
    bytes += part.length;
    if (bytes > bodyBytes) throw new Error(`it answers with more than ${bodyBytes} bytes`);
    pieces.push(part);
  }
  return Buffer.concat(pieces);
}

function problemOf(error: unknown, tryMilliseconds: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError' || error.name === 'TimeoutError')
    return `no answer within ${tryMilliseconds / 1000} seconds`;
  return error.message;
}
