/**
 * The app's side of the conversation with the helper, without processes and pipes: whoever starts the helper passes
 * on what it prints, writes what `Conversation` says, and tells it when the helper has ended.
 */
import { type Failure, failure } from '../failure.ts';
import { Lines } from './lines.ts';
import { type HelperCommand, type HelperJob, protocolVersion, replyBytes, requestLine } from './protocol.ts';
import { type HelperOutcome, type HelperReply, parseReply } from './reply.ts';

/** The job but for what the conversation adds by itself. */
export type JobWish = Omit<HelperJob, 'kind' | 'version' | 'nonce'>;

/**
 * `starting`: the helper has not greeted, the system may be asking the person for permission. `asked`: it has the
 * job. `running`: its disks are opened. `finished`: it said how all ended. `broken`: it ended, or was found to say
 * nonsense, before that.
 */
export type Stage = 'starting' | 'asked' | 'running' | 'finished' | 'broken';

/** Most replies that are kept in mind; progress is not. Whoever has more to say fills the app's memory. */
const mostKept = 2000;

/** What to do after something was received. */
export interface Received {
  /** To be told to the rest of the app, in this order. */
  readonly replies: readonly HelperReply[];
  /** To be written to the helper, null for nothing. */
  readonly send: string | null;
  /** True when the helper's standard input must be closed: all was said, or it is not to be trusted. */
  readonly close: boolean;
}

export class Conversation {
  readonly #wish: JobWish;
  readonly #lines = new Lines(replyBytes);
  #stage: Stage = 'starting';
  #outcome: HelperOutcome | null = null;
  #problem: string | null = null;
  #kept = 0;

  constructor(wish: JobWish) {
    this.#wish = wish;
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** How all ended, null before that. */
  get outcome(): HelperOutcome | null {
    return this.#outcome;
  }

  /** Takes bytes that the helper printed on its standard output. */
  receive(bytes: Uint8Array): Received {
    const replies: HelperReply[] = [];
    let send: string | null = null;
    for (const line of this.#lines.push(bytes)) {
      if (this.#stage === 'broken') break;
      const parsed = parseReply(line);
      if (parsed.kind === 'invalid') {
        this.#break(parsed.problem);
        break;
      }
      const answer = this.#advance(parsed.value);
      if (answer === 'wrong') break;
      send = answer ?? send;
      replies.push(parsed.value);
    }
    if (this.#lines.broken) this.#break('a line that is too long or no UTF-8');
    return { replies, send, close: this.#stage === 'finished' || this.#stage === 'broken' };
  }

  /** The line for `command`, null when it cannot be said now: before the job, or when all is over. */
  say(command: HelperCommand): string | null {
    return this.#stage === 'asked' || this.#stage === 'running' ? requestLine(command) : null;
  }

  /**
   * The helper has ended, with what it said on standard error. Null when it had said how all ended; else the
   * failure. Never called "denied": whoever started it knows whether permission was given (elevation.ts).
   */
  ended(complaint: string): Failure | null {
    if (this.#stage === 'finished') return null;
    if (this.#problem !== null) return failure('HELPER_NONSENSE', { problem: this.#problem });
    this.#stage = 'broken';
    const said = complaint.trim().split('\n').at(-1)?.slice(0, 300);
    return failure('HELPER_ENDED', said ? { said } : {});
  }

  /** What to send after `reply`; "wrong" when it may not come now. */
  #advance(reply: HelperReply): string | null | 'wrong' {
    const stage = this.#stage;
    const expected: Record<HelperReply['kind'], boolean> = {
      hello: stage === 'starting',
      step: stage === 'asked' || stage === 'running',
      accepted: stage === 'asked',
      event: stage === 'running',
      refused: stage === 'asked' || stage === 'running',
      finished: stage === 'asked' || stage === 'running',
    };
    if (!expected[reply.kind]) {
      this.#break(`"${reply.kind}" out of order`);
      return 'wrong';
    }
    if (isKept(reply) && ++this.#kept > mostKept) {
      this.#break('more than it could have to say');
      return 'wrong';
    }
    switch (reply.kind) {
      case 'hello':
        this.#stage = 'asked';
        return requestLine({ kind: 'job', version: protocolVersion, nonce: reply.nonce, ...this.#wish });
      case 'accepted':
        this.#stage = 'running';
        return null;
      case 'finished':
        this.#stage = 'finished';
        this.#outcome = reply.outcome;
        return null;
      case 'step':
      case 'event':
      case 'refused':
        return null;
    }
  }

  #break(problem: string): void {
    if (this.#stage === 'finished') return;
    this.#stage = 'broken';
    this.#problem ??= problem;
  }
}

/** Whether a screen goes on showing it after the next reply. */
function isKept(reply: HelperReply): boolean {
  if (reply.kind === 'refused') return true;
  return reply.kind === 'event' && (reply.event.kind === 'notice' || reply.event.kind === 'target-added');
}
