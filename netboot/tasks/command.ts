/** One command on a machine: its output, its end, and ending it with everything that it started. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { ClientChannel } from 'ssh2';
import { failure } from '../../shared/failure.ts';
import { shellWord } from '../../shared/task/variables.ts';
import { messageOf, told } from './words.ts';

/** So far into the output of a command the line that tells its process group is looked for, in bytes. */
const headBytes = 64 * 1024;
/** And so long it is waited for where the command is to be ended, in milliseconds. */
const markPatience = 3_000;

/** How a command ended. */
export type Ended =
  | {
      readonly kind: 'exit';
      readonly code: number /** A process of it still holds its output. */;
      readonly left: boolean;
    }
  | { readonly kind: 'signal'; readonly signal: string }
  | { readonly kind: 'lost'; readonly problem: string }
  /** `signal` was aborted: how what ran was ended. */
  | { readonly kind: 'stopped'; readonly how: string };

export type Sink = (stream: 'stdout' | 'stderr', bytes: Buffer) => Promise<void> | void;

export interface RunOptions {
  readonly sink: Sink;
  /** Aborted: what runs is ended, with its process group. */
  readonly signal: AbortSignal;
  /** The command goes out exactly as it is written; ending it is then up to the server. */
  readonly verbatim: boolean;
}

/** The connection that a command runs on. */
export interface Line {
  readonly isClosed: boolean;
  readonly ask: (command: string, signal: AbortSignal, milliseconds: number) => Promise<string | null>;
}

/**
 * The command, and before it a line that tells its process group: root's sessions of OpenSSH refuse the protocol's
 * own signals (they run without the monitor that would send them), so groups are ended with `kill`.
 */
export function announced(command: string, mark: string): string {
  const group = 'g=$$; if [ -r /proc/$$/stat ]; then read -r a b c d g e </proc/$$/stat; fi';
  const start = `${group}; echo "${mark}:$g"; exec "\${SHELL:-/bin/sh}" -c "$1"`;
  return `exec /bin/sh -c ${shellWord(start)} bty ${shellWord(command)}`;
}

/** Ends a process group, gently and then not, and says which it took. At most 6 seconds. */
function endingOf(group: number): string {
  const alive = `kill -s 0 -- -${group} 2>/dev/null`;
  const wait = (turns: number) =>
    `i=0; while ${alive} && [ $i -lt ${turns} ]; do sleep 0.2; i=$((i+1)); done`;
  const script = [
    `kill -s TERM -- -${group} 2>/dev/null`,
    wait(20),
    `if ${alive}; then kill -s KILL -- -${group} 2>/dev/null; ${wait(10)}; if ${alive}; then echo left; else echo KILL; fi`,
    'else echo TERM; fi',
  ];
  return `exec /bin/sh -c ${shellWord(script.join('; '))}`;
}

export class Command {
  readonly #line: Line;
  readonly #channel: ClientChannel;
  readonly #mark: string | null;
  readonly #options: RunOptions;
  readonly #problem: () => string;
  #group: number | null = null;
  #exit: Ended | null = null;
  /** Looked through for the mark, in bytes; null when it was found, or nothing is to be looked for. */
  #looked: number | null;
  /** End of the output so far, where it may be the beginning of the mark. */
  #held: Buffer = Buffer.alloc(0);
  readonly #marked = Promise.withResolvers<void>();
  /** Pieces that are being written down, and when the last one was. */
  #sinking = 0;
  #heard = performance.now();

  constructor(
    line: Line,
    channel: ClientChannel,
    mark: string | null,
    options: RunOptions,
    problem: () => string,
  ) {
    this.#line = line;
    this.#channel = channel;
    this.#mark = mark;
    this.#options = options;
    this.#problem = problem;
    this.#looked = mark === null ? null : 0;
  }

  async finished(): Promise<Ended> {
    const channel = this.#channel;
    const { signal } = this.#options;
    const closed = once(channel, 'close').then(() => undefined);
    const exited = new Promise<void>((resolve) => {
      channel.once('exit', (code: number | null, name?: string) => {
        this.#exit =
          code === null
            ? { kind: 'signal', signal: told(name ?? 'unknown') }
            : { kind: 'exit', code, left: false };
        resolve();
      });
    });
    channel.on('error', () => {});
    // Nothing is to be read from the appliance; a command that asks gets an end instead of waiting.
    channel.end();
    const read = Promise.all([this.#read(channel, 'stdout'), this.#read(channel.stderr, 'stderr')]);
    const over = Promise.all([read, closed]);
    over.catch(() => {});
    let stopped: ((value: 'stopped') => void) | null = null;
    const stop = new Promise<'stopped'>((resolve) => {
      stopped = resolve;
    });
    const abort = () => stopped?.('stopped');
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      const first = await Promise.race([over, exited, stop]);
      if (first === 'stopped') return await this.#stop(over);
      return await this.#settle(over, stop);
    } catch (error) {
      // Its output cannot be kept: it does not go on unseen.
      await this.#stop(closed);
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #settle(over: Promise<unknown>, stop: Promise<'stopped'>): Promise<Ended> {
    const end = await Promise.race([over.then(() => 'over' as const), stop, this.#silence()]);
    // What it left in the background belongs to it.
    if (end === 'stopped') return this.#stop(over);
    if (end !== 'over') this.#channel.close();
    const left = end === 'left';
    const exit: Ended | null = this.#exit;
    if (exit === null) return { kind: 'lost', problem: this.#problem() };
    return exit.kind === 'exit' ? { ...exit, left } : exit;
  }

  /** What was left in the background may hold the output for ever: after the command, two silent seconds end it. */
  async #silence(): Promise<'left'> {
    if (this.#exit === null) return new Promise<never>(() => {});
    do await pause(500, undefined, { ref: false });
    while (this.#sinking > 0 || performance.now() - this.#heard < 2000);
    return 'left';
  }

  async #stop(over: Promise<unknown>): Promise<Ended> {
    const how = await this.#end();
    await Promise.race([over.catch(() => {}), pause(2000, undefined, { ref: false })]);
    this.#channel.close();
    return { kind: 'stopped', how };
  }

  async #end(): Promise<string> {
    if (this.#line.isClosed) return 'the connection was gone, and what ran may go on';
    if (this.#group === null && this.#looked !== null)
      await Promise.race([this.#marked.promise, pause(markPatience, undefined, { ref: false })]);
    if (this.#group === null) {
      this.#channel.signal('TERM');
      return 'its shell was asked to end; whether it did is not known';
    }
    const limit = AbortSignal.timeout(9_000);
    const said = await this.#line.ask(endingOf(this.#group), limit, 9_000);
    switch (said?.trim()) {
      case 'TERM':
        return 'its processes were ended';
      case 'KILL':
        return 'its processes did not end when asked to, and were killed';
      case 'left':
        return 'some of its processes belong to another user and still run';
      default:
        return 'the machine did not answer, and what ran may go on';
    }
  }

  async #read(stream: AsyncIterable<unknown>, name: 'stdout' | 'stderr'): Promise<void> {
    try {
      for await (const piece of stream) {
        await this.#write(name, name === 'stdout' ? this.#past(piece as Buffer) : (piece as Buffer));
      }
    } catch (error) {
      // A connection that breaks ends its streams early; what it means is told by `finished`.
      if (error instanceof SinkProblem) throw failure('TASK_OUTPUT_LOST', { problem: error.message }, error);
      if (!this.#line.isClosed && !(error instanceof Error && 'code' in error)) throw error;
    }
    if (name === 'stderr') return;
    this.#marked.resolve();
    await this.#write(name, this.#held).catch((error: SinkProblem) => {
      throw failure('TASK_OUTPUT_LOST', { problem: error.message }, error);
    });
  }

  async #write(name: 'stdout' | 'stderr', bytes: Buffer): Promise<void> {
    this.#sinking++;
    try {
      if (bytes.length > 0) await this.#options.sink(name, bytes);
    } catch (error) {
      throw new SinkProblem(messageOf(error), { cause: error });
    } finally {
      this.#sinking--;
      this.#heard = performance.now();
    }
  }

  /** `piece` without the line that tells the group. Before it stands what the machine's shells say when they start. */
  #past(piece: Buffer): Buffer {
    if (this.#looked === null || this.#mark === null) return piece;
    const bytes = Buffer.concat([this.#held, piece]);
    this.#held = Buffer.alloc(0);
    const text = bytes.toString('latin1');
    const found = new RegExp(`${this.#mark}:(\\d{1,10})\n`).exec(text);
    if (found !== null) {
      const group = Number(found[1]);
      if (group > 1) this.#group = group;
      this.#looked = null;
      this.#marked.resolve();
      return Buffer.concat([bytes.subarray(0, found.index), bytes.subarray(found.index + found[0].length)]);
    }
    const from = beginning(text, this.#mark);
    this.#looked += from;
    if (this.#looked > headBytes) {
      this.#looked = null;
      this.#marked.resolve();
      return bytes;
    }
    this.#held = bytes.subarray(from);
    return bytes.subarray(0, from);
  }
}

/** What took the output failed. */
class SinkProblem extends Error {}

/** Where in `text` its end begins that may be the beginning of the mark's line; its length where none may. */
function beginning(text: string, mark: string): number {
  const wanted = `${mark}:`;
  for (let at = Math.max(0, text.length - wanted.length - 10); at < text.length; at++) {
    const end = text.slice(at);
    const may = end.length <= wanted.length ? wanted.startsWith(end) : end.startsWith(wanted);
    if (may && /^\d*$/.test(end.slice(wanted.length))) return at;
  }
  return text.length;
}
