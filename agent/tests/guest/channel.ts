/** A unix socket that one program connects to and speaks lines over. */
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export class Channel {
  readonly #path: string;
  readonly #connected = Promise.withResolvers<Socket>();
  readonly #server = createServer((socket) => this.#accept(socket));
  #onLine: (line: string) => void = () => {};

  constructor(path: string) {
    this.#path = path;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#path, resolve);
    });
  }

  /** Sets who gets each line that comes. */
  set onLine(hear: (line: string) => void) {
    this.#onLine = hear;
  }

  async send(line: string): Promise<void> {
    const socket = await this.#connected.promise;
    socket.write(`${line}\n`);
  }

  async close(): Promise<void> {
    this.#server.close();
    // Who never connected has nothing to be closed.
    const socket = await Promise.race([this.#connected.promise, Promise.resolve(null)]);
    socket?.destroy();
  }

  #accept(socket: Socket): void {
    // Whoever speaks here may end at any time; who waits for it hears of its end.
    socket.on('error', () => {});
    const lines = createInterface({ input: socket });
    lines.on('error', () => {});
    lines.on('line', (line) => this.#onLine(line));
    this.#connected.resolve(socket);
  }
}
