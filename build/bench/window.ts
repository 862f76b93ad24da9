/** The packed app's window beside a bare Electron: what drives a window lies with the app's tests, and tells JSON. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { atMost, finding, type Run, ratioAtMost, type Section } from './finding.ts';

const program = join(import.meta.dirname, '..', '..', 'app', 'tests', 'bench.ts');

/** The last line that `app/tests/bench.ts` prints; an item for each round. */
export interface Windows {
  readonly bty: readonly Opened[];
  readonly bare: readonly Opened[];
  readonly writing: readonly Smoothness[];
}

export interface Opened {
  /** Milliseconds from the start to a window that answers. */
  readonly start: number;
  /** Bytes when idle, shared pages counted once. */
  readonly memory: number;
}

/** Milliseconds while a disk is written. */
export interface Smoothness {
  /** Between frames: the median, and what 95 of 100 are below. */
  readonly median: number;
  readonly most: number;
  /** How late the program behind the window is: 99 of 100 are below, and the most. */
  readonly late: number;
  readonly latest: number;
}

const method = `Made by \`npm run bench -- --only window\`: the packed app and an Electron that shows a heading, in turn,
on a display of their own (Xvfb) without a graphics card; memory three seconds after the start, shared pages counted once.
Then the app writes 512 MiB to a loop device.`;

export async function benchWindow({ rounds, say, signal }: Run): Promise<Section> {
  say('window: the app is packed once, then opened beside a bare Electron');
  const found = await measured(rounds, signal);
  const beside = (title: string, unit: string, of: (one: Opened) => number, bar: number) =>
    finding(title, unit, found.bty.map(of), ratioAtMost(bar), {
      name: 'bare Electron',
      values: found.bare.map(of),
    });
  const while_ = (title: string, of: (one: Smoothness) => number, bar: number | null = null) =>
    finding(title, 'ms', found.writing.map(of), bar === null ? null : atMost(bar));
  return {
    title: 'The window',
    method,
    findings: [
      beside('start to a window that answers', 'ms', ({ start }) => start, 1.3),
      beside('memory when idle', 'MB', ({ memory }) => memory / 1e6, 1.5),
      while_('between frames while writing, median', ({ median }) => median),
      while_('between frames while writing, 95 of 100', ({ most }) => most),
      while_('main is late while writing, 99 of 100', ({ late }) => late),
      while_('main is late while writing, at most', ({ latest }) => latest, 16),
    ],
  };
}

async function measured(rounds: number, signal: AbortSignal): Promise<Windows> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, String(rounds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal,
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const printed = await text(child.stdout);
  const code = await ended;
  if (code !== 0) throw new Error(`the app's bench ended with ${code}`);
  // Whoever packs the app prints as well.
  return JSON.parse(printed.trimEnd().split('\n').at(-1) ?? '') as Windows;
}
