/** One SSH connection to a machine: commands with their output, files, and ending what runs. No decisions of tasks. */
import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Client, ClientChannel, SFTPWrapper } from 'ssh2';
import { failure } from '../../shared/failure.ts';
import { shellWord } from '../../shared/task/variables.ts';

/** Milliseconds for a connection, up to the login. */
const patience = 15_000;
/** Between signs of life, in milliseconds; three without an answer end the connection. */
const sign = 5_000;
/** Longest text of a machine's that goes into a sentence, in letters. */
const mostLetters = 300;
/** So far into the output of a command the line that tells its process group is looked for, in bytes. */
const headBytes = 64 * 1024;
/** And so long it is waited for where the command is to be ended, in milliseconds. */
const markPatience = 3_000;

export interface Login {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** Private key, in the form of OpenSSH. */
  readonly key: Buffer;
  /** Whether this host key (its wire form) is the machine's. */
  readonly accepts: (hostKey: Buffer) => boolean;
  readonly signal: AbortSignal;
}

/** Why there is no connection. */
export class ConnectProblem extends Error {
  readonly kind: 'unreachable' | 'login' | 'host-key';

  constructor(kind: ConnectProblem['kind'], message: string) {
    super(message);
    this.name = 'ConnectProblem';
    this.kind = kind;
  }
}

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

/** What came of a question. */
export type Answer =
  | { readonly kind: 'said'; readonly text: string }
  | { readonly kind: 'failed'; readonly code: number }
  /** No answer: not in time, or the connection broke. */
  | { readonly kind: 'silent' };

export type Sink = (stream: 'stdout' | 'stderr', bytes: Buffer) => Promise<void> | void;

export interface RunOptions {
  readonly sink: Sink;
  /** Aborted: what runs is ended, with its process group. */
  readonly signal: AbortSignal;
  /** The command goes out exactly as it is written; ending it is then up to the server. */
  readonly verbatim: boolean;
}

/** `SHA256:…`, as OpenSSH writes it. */
export function fingerprint(hostKey: Buffer): string {
  return `SHA256:${hash('sha256', hostKey, 'base64').replace(/=+$/, '')}`;
}

/** Logs in. Rejects with a ConnectProblem, or with the signal's reason. */
export async function connect(login: Login): Promise<Remote> {
  const { Client } = await ssh2();
  login.signal.throwIfAborted();
  const client = new Client();
  let refused = false;
  const stop = () => client.destroy();
  login.signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve);
      client.on('error', (error) => {
        const kind = refused ? 'host-key' : error.level === 'client-authentication' ? 'login' : 'unreachable';
        reject(new ConnectProblem(kind, told(error.message)));
      });
      client.once('close', () => reject(new ConnectProblem('unreachable', 'the connection was closed')));
      client.connect({
        host: login.address,
        port: login.port,
        username: login.user,
        privateKey: login.key,
        authHandler: ['publickey'],
        agentForward: false,
        tryKeyboard: false,
        readyTimeout: patience,
        keepaliveInterval: sign,
        keepaliveCountMax: 3,
        hostVerifier: (key: Buffer) => {
          refused = !login.accepts(key);
          return !refused;
        },
      });
    });
    return new Remote(client);
  } catch (error) {
    client.destroy();
    login.signal.throwIfAborted();
    throw error;
  } finally {
    login.signal.removeEventListener('abort', stop);
  }
}

/** A library with much in it, loaded when the first task runs. It is CommonJS: bundled, its names are on `default`. */
async function ssh2(): Promise<typeof import('ssh2')> {
  const loaded = await import('ssh2');
  return 'Client' in loaded ? loaded : (loaded as unknown as { default: typeof import('ssh2') }).default;
}

export class Remote {
  readonly #client: Client;
  #problem = 'the machine closed it';
  #closed = false;

  constructor(client: Client) {
    this.#client = client;
    client.on('error', (error) => {
      this.#problem = told(error.message);
    });
    client.once('close', () => {
      this.#closed = true;
    });
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Runs one command. Rejects only with faults of ours, and of the sink: TASK_OUTPUT_LOST. */
  async run(command: string, options: RunOptions): Promise<Ended> {
    const mark = options.verbatim ? null : randomBytes(9).toString('hex');
    let channel: ClientChannel;
    try {
      channel = await this.#open(mark === null ? command : announced(command, mark), options.signal);
    } catch (error) {
      if (options.signal.aborted)
        return { kind: 'stopped', how: 'the machine had not answered, and what was asked may go on' };
      return { kind: 'lost', problem: this.#closed ? this.#problem : messageOf(error) };
    }
    return new Command(this, channel, mark, options, () => this.#problem).finished();
  }

  /** What a short command printed on its standard output; null when it failed or said nothing in time. */
  async ask(command: string, signal: AbortSignal, milliseconds = 10_000): Promise<string | null> {
    const answer = await this.answer(command, signal, milliseconds);
    return answer.kind === 'said' ? answer.text : null;
  }

  /** As `ask`, and tells a command that failed from a machine that gave no answer. */
  async answer(command: string, signal: AbortSignal, milliseconds = 10_000): Promise<Answer> {
    const pieces: Buffer[] = [];
    let size = 0;
    const sink: Sink = (stream, bytes) => {
      if (stream === 'stdout' && size < 65_536) pieces.push(bytes);
      size += bytes.length;
    };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]);
    const mark = randomBytes(9).toString('hex');
    const ended = await this.run(`echo ${mark}; ${command}`, { sink, signal: limit, verbatim: true });
    if (ended.kind !== 'exit') return { kind: 'silent' };
    if (ended.code !== 0) return { kind: 'failed', code: ended.code };
    const all = Buffer.concat(pieces).toString('utf8');
    // Before it stands what its shell greets with.
    const from = all.indexOf(`${mark}\n`);
    return { kind: 'said', text: from < 0 ? all : all.slice(from + mark.length + 1) };
  }

  /** Sends a file. */
  async put(source: string, target: string, signal: AbortSignal): Promise<void> {
    await this.#copy(signal, (sftp) =>
      pipeline(createReadStream(source), sftp.createWriteStream(target), { signal }),
    );
  }

  /** Fetches a file, of at most `most` bytes; rejects when it is longer. */
  async get(source: string, target: string, most: number, signal: AbortSignal): Promise<number> {
    let size = 0;
    const limited = async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        size += piece.length;
        if (size > most) throw new Error(`the file is longer than ${most} bytes`);
        yield piece;
      }
    };
    await this.#copy(signal, (sftp) => {
      const file = createWriteStream(target, { flags: 'wx', mode: 0o600 });
      return pipeline(sftp.createReadStream(source), limited, file, { signal });
    });
    return size;
  }

  /** A machine that answers nothing more does not even close a file: to break a copy off ends the connection. */
  async #copy(signal: AbortSignal, work: (sftp: SFTPWrapper) => Promise<void>): Promise<void> {
    let sftp: SFTPWrapper | null = null;
    let stop = () => {};
    const stopped = new Promise<never>((_, reject) => {
      stop = () => {
        this.destroy();
        reject(signal.reason);
      };
    });
    stopped.catch(() => {});
    signal.addEventListener('abort', stop, { once: true });
    try {
      sftp = await this.#sftp(signal);
      const copied = work(sftp);
      copied.catch(() => {});
      await Promise.race([copied, stopped]);
    } catch (error) {
      throw new Error(told(messageOf(error)), { cause: error });
    } finally {
      signal.removeEventListener('abort', stop);
      sftp?.end();
    }
  }

  close(): void {
    this.#client.end();
    // A machine that is gone does not answer that.
    setTimeout(() => this.#client.destroy(), 500).unref();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#client.destroy();
  }

  #open(command: string, signal: AbortSignal): Promise<ClientChannel> {
    return this.#until(
      signal,
      (resolve, reject) => {
        this.#client.exec(command, (error, channel) => {
          if (error) reject(error);
          else resolve(channel);
        });
      },
      (channel) => channel.close(),
    );
  }

  #sftp(signal: AbortSignal): Promise<SFTPWrapper> {
    return this.#until(
      signal,
      (resolve, reject) => {
        this.#client.sftp((error, sftp) => {
          if (error) reject(error);
          else resolve(sftp);
        });
      },
      (sftp) => sftp.end(),
    );
  }

  /** A request that the machine does not answer ends with the connection, or with the signal; `late` is let go then. */
  async #until<Value>(
    signal: AbortSignal,
    ask: (resolve: (value: Value) => void, reject: (error: unknown) => void) => void,
    late: (value: Value) => void,
  ): Promise<Value> {
    signal.throwIfAborted();
    if (this.#closed) throw new Error(this.#problem);
    return new Promise<Value>((resolve, reject) => {
      let over = false;
      const done = () => {
        over = true;
        this.#client.off('close', lost);
        signal.removeEventListener('abort', stop);
      };
      const lost = () => {
        done();
        reject(new Error(this.#problem));
      };
      const stop = () => {
        done();
        reject(signal.reason);
      };
      this.#client.once('close', lost);
      signal.addEventListener('abort', stop, { once: true });
      ask(
        (value) => {
          if (over) return late(value);
          done();
          resolve(value);
        },
        (error) => {
          if (over) return;
          done();
          reject(error);
        },
      );
    });
  }
}

/**
 * The command, and before it a line that tells its process group: root's sessions of OpenSSH refuse the protocol's
 * own signals (they run without the monitor that would send them), so groups are ended with `kill`.
 */
function announced(command: string, mark: string): string {
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

class Command {
  readonly #remote: Remote;
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
    remote: Remote,
    channel: ClientChannel,
    mark: string | null,
    options: RunOptions,
    problem: () => string,
  ) {
    this.#remote = remote;
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
    if (this.#remote.isClosed) return 'the connection was gone, and what ran may go on';
    if (this.#group === null && this.#looked !== null)
      await Promise.race([this.#marked.promise, pause(markPatience, undefined, { ref: false })]);
    if (this.#group === null) {
      this.#channel.signal('TERM');
      return 'its shell was asked to end; whether it did is not known';
    }
    const limit = AbortSignal.timeout(9_000);
    const said = await this.#remote.ask(endingOf(this.#group), limit, 9_000);
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
      if (!this.#remote.isClosed && !(error instanceof Error && 'code' in error)) throw error;
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

/** A machine's own words, for a sentence: bounded, and without what a terminal would obey. */
function told(text: string): string {
  const short = text.length > mostLetters ? `${text.slice(0, mostLetters - 1)}…` : text;
  return short.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '\ufffd');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
