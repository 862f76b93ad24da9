import { ConnectionLost, type Reply } from './http-request.ts';
import { Inbox } from './inbox.ts';
import { codeOf, problemOf } from './problem.ts';

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

/** Bytes that are held for the reader before the connection is paused. */
const heldBytes = 1024 * 1024;

/** `idleMilliseconds` is how long a waiting reader waits for the next byte. */
export function readBody({ response, trouble }: Reply, idleMilliseconds: number): Body {
  const inbox = new Inbox(heldBytes, () => response.resume());
  const socket = response.socket;
  const lost = (error: unknown): ConnectionLost => {
    if (error instanceof ConnectionLost) return error;
    const orderly = socket.readableEnded;
    // Node calls every end before the promised length "aborted (ECONNRESET)".
    const reset = orderly ? 'the server closed the connection' : 'the connection was reset';
    const problem = codeOf(error) === 'ECONNRESET' ? reset : problemOf(error);
    return new ConnectionLost(problem, { orderly }, error);
  };

  response.on('data', (chunk: Buffer) => {
    if (!inbox.put(chunk)) response.pause();
  });
  response.on('end', () => {
    // Bytes past the promised length are an error to the parser, which has told of it by now.
    const excess = codeOf(trouble.error)?.startsWith('HPE_') ? trouble.error : null;
    if (excess) inbox.fail(new ExcessBytes(excessOf(excess)));
    else inbox.end();
  });
  const broken = (error?: unknown): void => {
    inbox.fail(lost(trouble.error ?? error ?? new Error('the connection was closed')));
  };
  response.on('error', broken);
  response.on('close', () => broken());
  if (response.closed) broken();

  return {
    async read(into) {
      const reading = inbox.read(into);
      if (!inbox.wanted) return reading;
      const timer = setTimeout(() => {
        const problem = `no byte came for ${idleMilliseconds / 1000} seconds`;
        inbox.fail(new ConnectionLost(problem));
        response.destroy();
      }, idleMilliseconds);
      try {
        return await reading;
      } finally {
        clearTimeout(timer);
      }
    },
    discard() {
      response.destroy();
    },
  };
}

/** Node's parser error carries the packet and how much of it was understood. */
function excessOf(error: object): number {
  const { rawPacket, bytesParsed } = error as { rawPacket?: unknown; bytesParsed?: unknown };
  if (!(rawPacket instanceof Uint8Array) || typeof bytesParsed !== 'number') return 1;
  return Math.max(1, rawPacket.length - bytesParsed);
}
