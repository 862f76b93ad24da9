/** One SSH connection to a machine: commands with their output, files, and ending what runs. No decisions of tasks. */
import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Client, ClientChannel, SFTPWrapper } from 'ssh2';
import { shellWord } from '../../shared/task/variables.ts';

/** Milliseconds for a connection, up to the login. */
const patience = 15_000;
/** Between signs of life, in milliseconds; three without an answer end the connection. */
const sign = 5_000;

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
        reject(new ConnectProblem(kind, error.message));
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
      this.#problem = error.message;
    });
    client.once('close', () => {
      this.#closed = true;
    });
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Runs one command. Rejects only with faults of ours. */
  async run(command: string, options: RunOptions): Promise<Ended> {
    const mark = options.verbatim ? null : randomBytes(9).toString('hex');
    let channel: ClientChannel;
    try {
      channel = await this.#open(mark === null ? command : announced(command, mark));
    } catch (error) {
      return { kind: 'lost', problem: this.#closed ? this.#problem : messageOf(error) };
    }
    return new Command(this, channel, mark, options, () => this.#problem).finished();
  }

  /** What a short command printed on its standard output; null when it failed or said nothing in time. */
  async ask(command: string, signal: AbortSignal, milliseconds = 10_000): Promise<string | null> {
    const pieces: Buffer[] = [];
    let size = 0;
    const sink: Sink = (stream, bytes) => {
      if (stream === 'stdout' && size < 65_536) pieces.push(bytes);
      size += bytes.length;
    };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]);
    const ended = await this.run(command, { sink, signal: limit, verbatim: true });
    return ended.kind === 'exit' && ended.code === 0 ? Buffer.concat(pieces).toString('utf8') : null;
  }

  /** Sends a file. */
  async put(source: string, target: string, signal: AbortSignal): Promise<void> {
    const sftp = await this.#sftp(signal);
    try {
      await pipeline(createReadStream(source), sftp.createWriteStream(target), { signal });
    } finally {
      sftp.end();
    }
  }

  /** Fetches a file, of at most `most` bytes; rejects when it is longer. */
  async get(source: string, target: string, most: number, signal: AbortSignal): Promise<number> {
    const sftp = await this.#sftp(signal);
    let size = 0;
    try {
      const limited = async function* (pieces: AsyncIterable<Buffer>) {
        for await (const piece of pieces) {
          size += piece.length;
          if (size > most) throw new Error(`the file is longer than ${most} bytes`);
          yield piece;
        }
      };
      const target_ = createWriteStream(target, { flags: 'wx', mode: 0o600 });
      await pipeline(sftp.createReadStream(source), limited, target_, { signal });
      return size;
    } finally {
      sftp.end();
    }
  }

  close(): void {
    this.#client.end();
    // A machine that is gone does not answer that.
    setTimeout(() => this.#client.destroy(), 500).unref();
  }

  #open(command: string): Promise<ClientChannel> {
    return this.#until((resolve, reject) => {
      this.#client.exec(command, (error, channel) => {
        if (error) reject(error);
        else resolve(channel);
      });
    });
  }

  #sftp(signal: AbortSignal): Promise<SFTPWrapper> {
    signal.throwIfAborted();
    return this.#until((resolve, reject) => {
      this.#client.sftp((error, sftp) => {
        if (error) reject(error);
        else resolve(sftp);
      });
    });
  }

  /** A request that the machine never answers ends with the connection. */
  async #until<Value>(
    ask: (resolve: (value: Value) => void, reject: (error: unknown) => void) => void,
  ): Promise<Value> {
    if (this.#closed) throw new Error(this.#problem);
    return new Promise<Value>((resolve, reject) => {
      const lost = () => reject(new Error(this.#problem));
      this.#client.once('close', lost);
      const done = () => this.#client.off('close', lost);
      ask(
        (value) => {
          done();
          resolve(value);
        },
        (error) => {
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
  #head: Buffer | null = Buffer.alloc(0);
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
    if (mark === null) this.#head = null;
  }

  async finished(): Promise<Ended> {
    const channel = this.#channel;
    const { signal } = this.#options;
    const closed = once(channel, 'close').then(() => undefined);
    const exited = new Promise<void>((resolve) => {
      channel.once('exit', (code: number | null, name?: string) => {
        this.#exit =
          code === null ? { kind: 'signal', signal: name ?? 'unknown' } : { kind: 'exit', code, left: false };
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
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #settle(over: Promise<unknown>, stop: Promise<'stopped'>): Promise<Ended> {
    const end = await Promise.race([over.then(() => 'over' as const), stop, this.#silence()]);
    if (end === 'stopped' && this.#exit === null) return this.#stop(over);
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
    await Promise.race([over, pause(2000, undefined, { ref: false })]);
    this.#channel.close();
    return { kind: 'stopped', how };
  }

  async #end(): Promise<string> {
    if (this.#remote.isClosed) return 'the connection was gone, and what ran may go on';
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
        const bytes = name === 'stdout' ? this.#past(piece as Buffer) : (piece as Buffer);
        this.#sinking++;
        if (bytes.length > 0) await this.#options.sink(name, bytes);
        this.#sinking--;
        this.#heard = performance.now();
      }
    } catch (error) {
      // A connection that breaks ends its streams early; what it means is told by `finished`.
      if (!this.#remote.isClosed && !(error instanceof Error && 'code' in error)) throw error;
    } finally {
      if (name === 'stdout' && this.#head !== null && this.#head.length > 0) {
        const rest = this.#head;
        this.#head = null;
        await this.#options.sink(name, rest);
      }
    }
  }

  /** `piece` without the line that tells the group. What does not begin with it is the machine's own. */
  #past(piece: Buffer): Buffer {
    if (this.#head === null || this.#mark === null) return piece;
    const head = Buffer.concat([this.#head, piece]);
    const found = /^([0-9a-f]+):(\d{1,10})\n/.exec(head.subarray(0, 64).toString('latin1'));
    if (found?.[1] === this.#mark) {
      const group = Number(found[2]);
      if (group > 1) this.#group = group;
      this.#head = null;
      return head.subarray(found[0].length);
    }
    const could = head.length < 64 && `${this.#mark}:`.startsWith(head.subarray(0, 19).toString('latin1'));
    if (could) {
      this.#head = head;
      return Buffer.alloc(0);
    }
    this.#head = null;
    return head;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
