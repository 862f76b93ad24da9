/** What a person in front of the machine sees: lines on every console, and one progress line that is drawn anew. */
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { visible } from '../cli/visible.ts';
import { ownTerminal, type Terminal, terminalAt } from '../tui/terminal.ts';

interface Console {
  readonly out: Writable;
  /** A screen shows a line that changes; a serial line, which is often recorded, gets a new one now and then. */
  readonly isScreen: boolean;
  open: boolean;
  lastProgress: number;
}

/** Milliseconds between lines of progress on a serial line, and between drawings on a screen. */
const serialEvery = 5000;
const screenEvery = 250;
/** Output that a console may owe before it is taken for stuck and left out: a serial line without a reader. */
const mostOwed = 64 * 1024;

/** Takes the lines while a program of its own draws on the consoles. */
export type Sink = (text: string, isProblem: boolean) => void;

export class Screen {
  readonly #consoles: readonly Console[];
  readonly #now: () => number;
  readonly #terminals: () => readonly Terminal[];
  #sink: Sink | null = null;

  constructor(
    consoles: readonly { readonly out: Writable; readonly isScreen: boolean }[],
    now: () => number,
    terminals: () => readonly Terminal[] = () => [],
  ) {
    this.#now = now;
    this.#terminals = terminals;
    this.#consoles = consoles.map(({ out, isScreen }) => {
      // A console that is gone must not end the agent.
      out.on('error', () => {});
      return { out, isScreen, open: false, lastProgress: Number.NEGATIVE_INFINITY };
    });
  }

  /** Every console of the running kernel (console(4)). */
  static async ofKernel(): Promise<Screen> {
    const active = await readFile('/sys/class/tty/console/active', 'latin1').catch(() => '');
    const names = active.split(/\s+/).filter((name) => /^[\w-]+$/.test(name));
    const consoles = names.map((name) => ({
      out: createWriteStream(`/dev/${name}`, { flags: 'w' }),
      isScreen: /^tty\d+$/.test(name),
    }));
    return new Screen(
      consoles.length > 0 ? consoles : [{ out: process.stdout, isScreen: false }],
      uptimeMilliseconds,
      () => names.flatMap(consoleTerminal),
    );
  }

  static ofProcess(): Screen {
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
    return new Screen([{ out: process.stdout, isScreen: process.stdout.isTTY }], uptimeMilliseconds, () =>
      isTerminal ? [ownTerminal({ charset: 'ascii', renditions: 'none' })] : [],
    );
  }

  /** The consoles as terminals with keys; none where nobody can type. */
  terminals(): readonly Terminal[] {
    return this.#terminals();
  }

  /** From now on lines go to `sink`, and nothing to the consoles; null gives them back. */
  divert(sink: Sink | null): void {
    this.#sink = sink;
  }

  /** Lines with the time since the machine started. Control characters are escaped. */
  say(...lines: readonly string[]): void {
    if (this.#sink) {
      for (const line of lines) this.#sink(line, false);
      return;
    }
    const stamp = `[${(this.#now() / 1000).toFixed(1).padStart(7)}] `;
    for (const line of lines) this.#all(`${stamp}${visible(line)}`);
  }

  /** A failure that the person has to see, between rules. */
  alarm(sentence: string, advice: string): void {
    if (this.#sink) {
      this.#sink(`${sentence} ${advice}`, true);
      return;
    }
    const rule = '='.repeat(72);
    this.#all(['', rule, ...wrapped(`FAILED: ${sentence}`), ...wrapped(advice), rule, ''].join('\r\n'));
  }

  /** How far a step is. Drawn as often as each kind of console bears. */
  progress(title: string, bytes: number, total: number | null, rate: number | null): void {
    const at = this.#now();
    for (const each of this.#sink ? [] : this.#consoles) {
      if (at - each.lastProgress < (each.isScreen ? screenEvery : serialEvery)) continue;
      each.lastProgress = at;
      const text = progressText(title, bytes, total, rate);
      if (each.isScreen) {
        // Carriage return, then "erase to the end of the line" (ECMA-48, EL).
        this.#put(each, `\r${text}\u001b[K`);
        each.open = true;
      } else this.#put(each, `${text}\r\n`);
    }
  }

  #all(text: string): void {
    for (const each of this.#consoles) {
      this.#put(each, `${each.open ? '\r\u001b[K' : ''}${text}\r\n`);
      each.open = false;
      each.lastProgress = Number.NEGATIVE_INFINITY;
    }
  }

  #put({ out }: Console, text: string): void {
    if (out.writable && out.writableLength < mostOwed) out.write(text);
  }
}

/** A console of the kernel; none where it cannot be opened. A display shows colours, a serial line is left plain. */
function consoleTerminal(name: string): readonly Terminal[] {
  try {
    const renditions = /^tty\d+$/.test(name) ? 'colour' : 'none';
    return [terminalAt(`/dev/${name}`, { charset: 'ascii', renditions })];
  } catch {
    return [];
  }
}

const barWidth = 30;

/** `Writing  [######......]  42%  1.3 of 3.1 GB  85 MB/s  0:21 left` */
export function progressText(
  title: string,
  bytes: number,
  total: number | null,
  rate: number | null,
): string {
  const parts = [visible(title).padEnd(9)];
  if (total !== null && total > 0) {
    const share = Math.min(1, bytes / total);
    const filled = Math.floor(share * barWidth);
    parts.push(`[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`);
    parts.push(`${Math.floor(share * 100)}%`.padStart(4), `${megabytes(bytes)} of ${megabytes(total)}`);
  } else parts.push(megabytes(bytes));
  if (rate !== null) parts.push(`${megabytes(rate)}/s`);
  if (rate !== null && rate > 0 && total !== null) {
    const seconds = Math.max(0, Math.round((total - bytes) / rate));
    parts.push(`${Math.floor(seconds / 60)}:${`${seconds % 60}`.padStart(2, '0')} left`);
  }
  return parts.join('  ');
}

const megabytes = (bytes: number): string =>
  bytes >= 10e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(bytes >= 100e6 ? 0 : 1)} MB`;

/** `text` in lines that an 80-column console does not break. */
function wrapped(text: string): string[] {
  const lines = [''];
  for (const word of visible(text).split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last.length + word.length > 70 && last !== '') lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.map((line) => `  ${line}`);
}

const uptimeMilliseconds = (): number => performance.timeOrigin + performance.now() - bootTime;
const bootTime = performance.timeOrigin + performance.now() - readUptime();

function readUptime(): number {
  // CLOCK_MONOTONIC counts from the start of the machine.
  return Number(process.hrtime.bigint() / 1_000_000n);
}
