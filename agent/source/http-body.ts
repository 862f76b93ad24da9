import type { Inbox } from './inbox.ts';

/** A connection that failed in a way that may pass: the request can be sent again. */
export class ConnectionLost extends Error {
  /** Milliseconds that the server asked to wait, null when it did not. */
  readonly retryAfter: number | null;

  constructor(problem: string, traits: { retryAfter?: number | null } = {}, cause?: unknown) {
    super(problem, { cause });
    this.name = 'ConnectionLost';
    this.retryAfter = traits.retryAfter ?? null;
  }
}

/** More bytes came than the header promised. */
export class ExcessBytes extends Error {
  readonly count: number;
  constructor(count: number) {
    super(`${count} bytes more than promised`);
    this.name = 'ExcessBytes';
    this.count = count;
  }
}

/** A reply's body, read at the reader's pace. */
export interface Body {
  /** Resolves the count, 0 at the end. Rejects with ConnectionLost or ExcessBytes. */
  read(into: Uint8Array): Promise<number>;
  /** Ends the connection unless the body came to its end. */
  discard(): void;
}

/** The body that arrives in `inbox`; a waiting reader waits `idleMilliseconds` for the next byte. */
export function bodyFrom(inbox: Inbox, idleMilliseconds: number, discard: () => void): Body {
  return {
    async read(into) {
      const reading = inbox.read(into);
      if (!inbox.wanted) return reading;
      const timer = setTimeout(() => {
        inbox.fail(new ConnectionLost(`no byte came for ${idleMilliseconds / 1000} seconds`));
        discard();
      }, idleMilliseconds);
      try {
        return await reading;
      } finally {
        clearTimeout(timer);
      }
    },
    discard,
  };
}
