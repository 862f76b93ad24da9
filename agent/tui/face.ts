/** One terminal in front of the state: its keys, and its screen, drawn anew when it has taken the last drawing. */
import { type Key, KeyReader } from './keys.ts';
import type { Line, Size } from './lines.ts';
import { paint } from './painter.ts';
import type { State } from './state.ts';
import type { Terminal } from './terminal.ts';
import { view } from './view.ts';

/** Milliseconds after which an ESC without more is the key, and between two drawings at least. */
const escapeAfter = 100;
const drawEvery = 40;

export class Face {
  readonly #terminal: Terminal;
  readonly #keys = new KeyReader();
  readonly #onKey: (key: Key) => void;
  #state: State | null = null;
  #shown: readonly Line[] | null = null;
  #size: Size | null = null;
  #drawing = false;
  #timer: NodeJS.Timeout | null = null;
  #escape: NodeJS.Timeout | null = null;
  #open = true;

  constructor(terminal: Terminal, onKey: (key: Key) => void) {
    this.#terminal = terminal;
    this.#onKey = onKey;
  }

  start(): void {
    this.#terminal.start(
      (bytes) => this.#hear(bytes),
      () => this.repaint(),
    );
  }

  /** The newest state takes the place of those before, drawn or not. */
  show(state: State): void {
    this.#state = state;
    if (this.#drawing || this.#timer !== null || !this.#open) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#draw();
    }, drawEvery);
  }

  /** Draws everything, as after another program has written to the terminal. */
  repaint(): void {
    this.#shown = null;
    if (this.#state) this.show(this.#state);
  }

  /** As `repaint`, and the terminal's modes and size are made sure of. */
  async renew(): Promise<void> {
    this.#terminal.start(
      () => {},
      () => {},
    );
    this.repaint();
  }

  async stop(): Promise<void> {
    this.#close();
    await this.#terminal.stop();
  }

  stopNow(): void {
    this.#close();
    this.#terminal.stopNow();
  }

  #close(): void {
    this.#open = false;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#escape) clearTimeout(this.#escape);
  }

  #draw(): void {
    if (this.#state === null || !this.#open) return;
    const { size, look } = this.#terminal;
    const other = this.#size?.columns !== size.columns || this.#size.rows !== size.rows;
    const lines = view(this.#state, size, look.charset);
    const text = paint(other ? null : this.#shown, lines, look.renditions);
    this.#shown = lines;
    this.#size = size;
    if (text === '') return;
    this.#drawing = true;
    const drawn = this.#state;
    void this.#terminal.write(text).then(() => {
      this.#drawing = false;
      if (this.#state !== null && (this.#state !== drawn || this.#shown === null)) this.show(this.#state);
    });
  }

  #hear(bytes: Uint8Array): void {
    if (this.#escape) clearTimeout(this.#escape);
    this.#escape = null;
    this.#pass(this.#keys.feed(bytes));
    if (this.#keys.waiting && this.#open)
      this.#escape = setTimeout(() => this.#pass(this.#keys.flush()), escapeAfter);
  }

  #pass(keys: readonly Key[]): void {
    for (const key of keys) {
      if (!this.#open) return;
      if (key.kind === 'position') {
        this.#terminal.learn({ columns: key.column, rows: key.row });
        if (this.#state) this.show(this.#state);
      } else this.#onKey(key);
    }
  }
}
