import type { FlashState, TargetState } from '../../shared/flash/advance.ts';
import { headline } from '../../shared/flash/advance.ts';
import type { Bottleneck, FlashEvent } from '../../shared/flash/event.ts';
import { print, printError } from './output.ts';
import { visibleJson } from './visible.ts';

/** Tells a running flash to a person or a program; called with every event and the state after it. */
export type Reporter = (event: FlashEvent, state: FlashState) => void;

/** One line of progress: the lifecycle events of the contract (section 1.4), and ours. */
interface Line {
  readonly event: string;
  readonly target?: string;
  readonly note?: string;
  readonly total_bytes?: number;
  readonly bytes_written?: number;
  readonly [more: string]: unknown;
}

export function reporterFor(form: 'text' | 'ndjson' | 'none'): Reporter {
  if (form === 'none') return () => {};
  const throttle = new Throttle(1000);
  return (event, state) => {
    for (const line of lines(event, state, throttle)) {
      if (form === 'ndjson') print(visibleJson(line));
      else printError(text(line, state.targets.length > 1));
    }
  };
}

/** Lets one event a second through for each disk and phase. */
class Throttle {
  readonly #every: number;
  readonly #last = new Map<string, number>();

  constructor(every: number) {
    this.#every = every;
  }

  passes(key: string, at: number): boolean {
    if (at - (this.#last.get(key) ?? -this.#every) < this.#every) return false;
    this.#last.set(key, at);
    return true;
  }
}

function lines(event: FlashEvent, state: FlashState, throttle: Throttle): Line[] {
  switch (event.kind) {
    case 'started':
      return [{ event: 'started', ...total(event.imageBytes), targets: event.targets }];
    case 'phase':
      return phaseLines(event, state);
    case 'progress': {
      if (!throttle.passes(`${event.target} ${event.phase}`, event.at)) return [];
      const found = state.targets.find(({ target }) => target === event.target);
      return found ? [progressLine(found, state.bottleneck)] : [];
    }
    case 'source':
    case 'target-added':
      return [];
    case 'notice':
      return [{ event: 'notice', ...(event.target && { target: event.target }), note: event.text }];
    case 'target-finished':
      return finishedLines(event);
    case 'finished': {
      const { outcome, sha256, storedBytes, imageBytes } = event;
      const targets = state.targets.map(({ target, result }) => ({
        target,
        outcome: result?.outcome,
        verified: result?.verified,
      }));
      const sizes = { stored_bytes: storedBytes, image_bytes: imageBytes };
      return [{ event: 'summary', note: headline(state), outcome, sha256, ...sizes, targets }];
    }
  }
}

function phaseLines(event: FlashEvent & { kind: 'phase' }, state: FlashState): Line[] {
  const { target } = event;
  switch (event.phase) {
    case 'writing':
      return [{ event: 'writing', target, note: state.format, ...total(state.imageBytes) }];
    case 'clearing':
    case 'flushing':
    case 'verifying':
      return [{ event: event.phase, target }];
    case 'settling':
      return [];
  }
}

function progressLine(state: TargetState, bottleneck: Bottleneck | null): Line {
  const { target, bytes, phase } = state;
  const more = {
    ...total(state.total),
    ...(state.rate !== null && { bytes_per_second: Math.round(state.rate) }),
    ...(state.eta !== null && { eta_seconds: Math.round(state.eta) }),
  };
  if (phase === 'verifying') return { event: 'verifying_progress', target, bytes_verified: bytes, ...more };
  return {
    event: 'writing_progress',
    target,
    bytes_written: bytes,
    ...more,
    ...(bottleneck && { bottleneck }),
  };
}

function finishedLines(event: FlashEvent & { kind: 'target-finished' }): Line[] {
  const { target, outcome, verified, account, failure } = event;
  const result = {
    bytes_written: account.written,
    bytes_zeroed: account.zeroed,
    bytes_skipped: account.skipped,
    verified,
  };
  if (outcome === 'done') {
    return [
      { event: 'synced', target },
      ...(event.partitionsRead ? [{ event: 'partprobed', target }] : []),
      { event: 'done', target, ...result },
    ];
  }
  const cause = failure
    ? { note: failure.message, code: failure.code, advice: failure.advice, details: failure.details }
    : {};
  return [{ event: outcome, target, ...cause, ...result }];
}

const total = (bytes: number | null) => (bytes === null ? {} : { total_bytes: bytes });

function text(line: Line, several: boolean): string {
  const done = line.bytes_written ?? (line.bytes_verified as number | undefined);
  const rate = line.bytes_per_second as number | undefined;
  const eta = line.eta_seconds as number | undefined;
  const of = line.total_bytes;
  const parts = [
    `[${line.event}]`,
    ...(several && line.target ? [line.target] : []),
    ...(line.note ? [line.note] : []),
    ...(done === undefined ? [] : [of ? `${done}/${of} bytes (${percent(done, of)}%)` : `${done} bytes`]),
    ...(rate === undefined ? [] : [`${(rate / 1e6).toFixed(1)} MB/s`]),
    ...(eta === undefined ? [] : [`${eta} s left`]),
    ...(line.bottleneck ? [`limited by ${line.bottleneck}`] : []),
  ];
  return parts.join(' ');
}

const percent = (done: number, of: number): number => Math.floor((done / of) * 100);
