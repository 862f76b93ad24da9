/** One SSH connection to a machine: commands with their output, files, and ending what runs. No decisions of tasks. */
import { hash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Client, ClientChannel, SFTPWrapper } from 'ssh2';
import { announced, Command, type Ended, type RunOptions, type Sink } from './command.ts';
import { messageOf, told } from './words.ts';

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

/** What came of a question. */
export type Answer =
  | { readonly kind: 'said'; readonly text: string }
  | { readonly kind: 'failed'; readonly code: number }
  /** No answer: not in time, or the connection broke. */
  | { readonly kind: 'silent' };

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
