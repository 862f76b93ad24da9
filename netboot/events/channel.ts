/** One open stream of server-sent events. What a client does not read is not kept for it. */
import type { ServerResponse } from 'node:http';

/** A comment at least this often, in milliseconds, so that proxies and clients know the stream is alive. */
export const heartbeat = 15_000;
/** News that come together within this time go out together. */
const gather = 100;
/** Heartbeats in a row that a client may leave unread. */
const patience = 2;

export interface ChannelOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Writes what there is to say, as long as `channel.isOpen`; called when there may be something. */
  readonly pump: (channel: Channel) => void;
  /** False when the client may no longer listen: asked with every heartbeat. */
  readonly isWelcome: () => boolean;
  readonly onClose: () => void;
}

export class Channel {
  readonly #response: ServerResponse;
  readonly #options: ChannelOptions;
  readonly #beat: NodeJS.Timeout;
  #wake: NodeJS.Timeout | null = null;
  #unread = 0;
  #closed = false;

  constructor(response: ServerResponse, options: ChannelOptions) {
    this.#response = response;
    this.#options = options;
    response.writeHead(200, {
      ...options.headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write(':\n\n');
    response.on('drain', () => this.#goOn()).on('close', () => this.close());
    this.#beat = setInterval(() => {
      if (!options.isWelcome()) this.close();
      else if (this.isOpen) response.write(':\n\n');
      // Who reads nothing comes again with `Last-Event-ID` when it reads again.
      else if (++this.#unread >= patience) this.close();
    }, heartbeat);
    this.wake();
  }

  /** False while the client has not read what was sent: there is no use in saying more. */
  get isOpen(): boolean {
    return !this.#closed && !this.#response.writableNeedDrain;
  }

  /** There may be something to say. */
  wake(): void {
    if (this.#closed || this.#wake !== null) return;
    this.#wake = setTimeout(() => {
      this.#wake = null;
      if (this.isOpen) this.#options.pump(this);
    }, gather);
  }

  /** What was sent is read: the rest at once, but others first. */
  #goOn(): void {
    this.#unread = 0;
    setImmediate(() => {
      if (this.isOpen) this.#options.pump(this);
    });
  }

  send(event: string, data: string, id: number | null = null): void {
    const lines = data.split('\n').map((line) => `data: ${line}\n`);
    this.#response.write(`${id === null ? '' : `id: ${id}\n`}event: ${event}\n${lines.join('')}\n`);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#beat);
    if (this.#wake !== null) clearTimeout(this.#wake);
    this.#options.onClose();
    this.#response.end();
    // A client that does not read would keep the rest for ever.
    setTimeout(() => this.#response.destroy(), 1000).unref();
  }
}
