/** A terminal: raw keys in, bytes out, and everything back as it was. */
import { closeSync, constants, openSync, write, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ReadStream, WriteStream } from 'node:tty';
import type { Size } from './lines.ts';
import { askSize, enterScreen, leaveScreen, type Renditions } from './painter.ts';
import type { Charset } from './text.ts';

/** What a terminal can draw. */
export interface Look {
  readonly charset: Charset;
  readonly renditions: Renditions;
}

export interface Terminal {
  readonly look: Look;
  readonly size: Size;
  /** Raw input from now on; `onResize` when the size is another one. */
  start(onBytes: (bytes: Uint8Array) => void, onResize: () => void): void;
  /** The terminal has said where its lower right corner is. */
  learn(size: Size): void;
  /** Asks for the size where the system does not know it. */
  askSize(): Promise<void>;
  /** Resolves when the terminal has taken `text`, or is gone. */
  write(text: string): Promise<void>;
  /** The screen and the modes from before. */
  stop(): Promise<void>;
  /** The same at once, when the process ends. */
  stopNow(): void;
}

const usual: Size = { columns: 80, rows: 24 };
/** Milliseconds between tries to write to a line that takes nothing, and how long the last words may take. */
const again = 15;
const lastWords = 1000;

/** What is known of the environment and the device: serial lines and old terminals get neither colour nor Unicode. */
export function lookOf(
  environment: Readonly<Record<string, string | undefined>>,
  device: string,
  plain: boolean,
): Look {
  const term = environment.TERM ?? '';
  const serial = /\/tty(S|USB|ACM|AMA|MXS|SC|PS|O)\d+$|\/hvc\d+$/.test(device);
  if (plain || serial) return { charset: 'ascii', renditions: 'none' };
  const locale = environment.LC_ALL || environment.LC_CTYPE || environment.LANG || '';
  // The console's font has 256 or 512 signs, and a KVM switch shows it as it is.
  const old = term === '' || /^(linux|vt\d|ansi|dumb|console|cons25)/.test(term);
  const charset = !old && /utf-?8/i.test(locale) ? 'unicode' : 'ascii';
  if (/^(vt\d|ansi-m|dumb)/.test(term) || term === '') return { charset, renditions: 'mono' };
  return { charset, renditions: environment.NO_COLOR ? 'mono' : 'colour' };
}

export interface TtyOptions {
  readonly input: ReadStream;
  /** Descriptor for output; closed in the end. */
  readonly output: number;
  readonly look: Look;
  /** The size as the system knows it, zeros where it does not. */
  readonly measure: () => Size;
  /** Calls back when that may have changed. */
  readonly watch: (changed: () => void) => () => void;
}

export class TtyTerminal implements Terminal {
  readonly look: Look;
  readonly #options: TtyOptions;
  #learnt: Size | null = null;
  #state: 'new' | 'started' | 'stopped' = 'new';
  #unwatch: () => void = () => {};

  constructor(options: TtyOptions) {
    this.#options = options;
    this.look = options.look;
  }

  get size(): Size {
    const { columns, rows } = this.#options.measure();
    return columns > 0 && rows > 0 ? { columns, rows } : (this.#learnt ?? usual);
  }

  start(onBytes: (bytes: Uint8Array) => void, onResize: () => void): void {
    if (this.#state === 'stopped') return;
    const { input, watch } = this.#options;
    if (this.#state === 'new') {
      input.on('data', onBytes);
      // A terminal that is gone ends the program by SIGHUP, not by an error.
      input.on('error', () => {});
      this.#unwatch = watch(onResize);
    }
    this.#state = 'started';
    input.setRawMode(true);
    input.resume();
    void this.write(enterScreen);
    void this.askSize();
  }

  learn({ columns, rows }: Size): void {
    if (columns >= 2 && rows >= 2 && columns <= 1000 && rows <= 1000) this.#learnt = { columns, rows };
  }

  async askSize(): Promise<void> {
    const { columns, rows } = this.#options.measure();
    if (columns <= 0 || rows <= 0) await this.write(askSize);
  }

  async write(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length && this.#state === 'started'; ) {
      const count = await this.#some(bytes.subarray(done));
      if (count === null) return;
      if (count === 0) await pause(again);
      done += count;
    }
  }

  async stop(): Promise<void> {
    if (this.#state !== 'started') return;
    await Promise.race([this.write(leaveScreen), pause(lastWords)]);
    this.#close();
  }

  stopNow(): void {
    if (this.#state !== 'started') return;
    try {
      writeSync(this.#options.output, leaveScreen);
    } catch {
      // It is gone, or takes nothing.
    }
    this.#close();
  }

  #close(): void {
    this.#state = 'stopped';
    this.#unwatch();
    const { input, output } = this.#options;
    try {
      input.setRawMode(false);
    } catch {
      // It is gone.
    }
    input.pause();
    input.unref();
    if (output > 2) closeSync(output);
  }

  /** Bytes that the terminal took, 0 when none for now, null when it is gone. */
  #some(bytes: Uint8Array): Promise<number | null> {
    return new Promise((resolve) => {
      write(this.#options.output, bytes, (error, count) => {
        if (!error) resolve(count);
        else resolve(error.code === 'EAGAIN' ? 0 : null);
      });
    });
  }
}

/**
 * Opens `path` for output by itself: a line without a reader then never blocks a thread, and other programs keep
 * their own modes. Null where the system does not allow that.
 */
function openOutput(path: string): number | null {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}

/** The terminal that this program was started in. */
export function ownTerminal(look: Look): TtyTerminal {
  const { stdin, stdout } = process;
  return new TtyTerminal({
    input: stdin,
    output: openOutput('/proc/self/fd/1') ?? 1,
    look,
    measure: () => ({ columns: stdout.columns || 0, rows: stdout.rows || 0 }),
    watch: (changed) => {
      stdout.on('resize', changed);
      return () => stdout.off('resize', changed);
    },
  });
}

/** The terminal at `path`, a console of the live system. Throws the system's error where it cannot be opened. */
export function terminalAt(path: string, look: Look): TtyTerminal {
  const input = new ReadStream(openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK));
  return new TtyTerminal({
    input,
    output: openOutput(path) ?? 1,
    look,
    measure: () => measured(path),
    // A console changes its size when a driver of the display is loaded, and tells nobody.
    watch: (changed) => {
      let before = measured(path);
      const timer = setInterval(() => {
        const now = measured(path);
        if (now.columns !== before.columns || now.rows !== before.rows) changed();
        before = now;
      }, 3000);
      return () => clearInterval(timer);
    },
  });
}

function measured(path: string): Size {
  try {
    const stream = new WriteStream(openSync(path, constants.O_WRONLY | constants.O_NOCTTY));
    const size = { columns: stream.columns || 0, rows: stream.rows || 0 };
    stream.destroy();
    return size;
  } catch {
    return { columns: 0, rows: 0 };
  }
}
