/** The appliance's side of the conversation with the desktop app, whatever carries it. */
import type { Duplex, Readable, Writable } from 'node:stream';
import {
  type DesktopReply,
  desktopBytes,
  desktopLine,
  parseDesktopRequest,
} from '../../shared/desktop/protocol.ts';
import { Lines } from '../../shared/helper/lines.ts';

export interface DesktopNeeds {
  /** What is told first to everybody who comes. */
  readonly listening: (stay: boolean) => DesktopReply;
  /** Value of the cookie of a new session. */
  readonly openSession: () => Promise<string>;
  readonly newPassword: () => Promise<string>;
  /** Called once: when it is to stop, or when nobody speaks to it any more and it is not to stay. */
  readonly stop: () => void;
}

/** Everybody who speaks to one appliance. */
export class Desktop {
  readonly #needs: DesktopNeeds;
  readonly #open = new Set<Writable>();
  #stay = false;
  #stopped = false;

  constructor(needs: DesktopNeeds) {
    this.#needs = needs;
  }

  /** Speaks with whoever is behind these two streams until `input` ends. What is no request ends it as well. */
  join(input: Readable, output: Writable): void {
    this.#open.add(output);
    const lines = new Lines(desktopBytes);
    let turn: Promise<void> = Promise.resolve();
    let isOver = false;
    const leave = () => {
      if (isOver) return;
      isOver = true;
      this.#open.delete(output);
      output.end();
      if (this.#open.size === 0 && !this.#stay) this.#stop();
    };
    const say = (reply: DesktopReply) => {
      if (!isOver && output.writable) output.write(desktopLine(reply));
    };
    input.on('data', (bytes: Uint8Array) => {
      for (const line of lines.push(bytes))
        turn = turn.then(() => this.#answer(line, say)).catch(() => leave());
      if (lines.broken) leave();
    });
    for (const end of ['end', 'close', 'error']) input.on(end, leave);
    // An app that is gone reads no more; its end is told by its input.
    output.on('error', () => {});
    say(this.#needs.listening(this.#stay));
  }

  /** As `join`, for a socket. */
  accept(socket: Duplex): void {
    this.join(socket, socket);
  }

  async #answer(line: string, say: (reply: DesktopReply) => void): Promise<void> {
    const parsed = parseDesktopRequest(line);
    if (parsed.kind === 'invalid') throw new Error(parsed.problem);
    const request = parsed.value;
    switch (request.kind) {
      case 'session':
        return say({ kind: 'session', cookie: await this.#needs.openSession() });
      case 'password':
        return say({ kind: 'password', password: await this.#needs.newPassword() });
      case 'stay':
        this.#stay = request.stay;
        return;
      case 'stop':
        return this.#stop();
    }
  }

  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#needs.stop();
  }
}
