import type { Bottleneck, FlashEvent, Outcome, TargetPhase, TargetResult } from './event.ts';

/** A disk in a running flash, as a screen shows it. */
export interface TargetState {
  readonly target: string;
  readonly size: number;
  readonly phase: TargetPhase | 'waiting' | 'finished';
  /** Bytes done in this phase, and their total, null where unknown. */
  readonly bytes: number;
  readonly total: number | null;
  /** Bytes per second, smoothed over the last seconds of this phase; null before it is known. */
  readonly rate: number | null;
  /** Seconds left in this phase, null where unknown. */
  readonly eta: number | null;
  readonly result: TargetResult | null;
  /** The progress that `rate` was computed from. */
  readonly mark: { readonly at: number; readonly bytes: number } | null;
}

export interface FlashState {
  readonly stage: 'idle' | 'running' | 'finished';
  readonly image: string;
  readonly format: string;
  readonly storedBytes: number | null;
  readonly imageBytes: number | null;
  readonly bottleneck: Bottleneck | null;
  readonly targets: readonly TargetState[];
  readonly notices: readonly string[];
  readonly outcome: Outcome | null;
  readonly sha256: string | null;
}

export const idle: FlashState = {
  stage: 'idle',
  image: '',
  format: '',
  storedBytes: null,
  imageBytes: null,
  bottleneck: null,
  targets: [],
  notices: [],
  outcome: null,
  sha256: null,
};

/** Weight of the newest interval in the smoothed rate, for intervals of about a quarter of a second. */
const weight = 0.2;

/** The state after `event`. Pure: the same events give the same state on every screen. */
export function advance(state: FlashState, event: FlashEvent): FlashState {
  switch (event.kind) {
    case 'started':
      return {
        ...idle,
        stage: 'running',
        image: event.image,
        format: event.format,
        storedBytes: event.storedBytes,
        imageBytes: event.imageBytes,
        targets: event.targets.map(({ target, size }) => waiting(target, size, event.imageBytes)),
      };
    case 'target-added': {
      // One that is tried again takes the place of its last try.
      const others = state.targets.filter(({ target }) => target !== event.target);
      return { ...state, targets: [...others, waiting(event.target, event.size, state.imageBytes)] };
    }
    case 'phase':
      return change(state, event.target, (old) => ({
        ...old,
        phase: event.phase,
        bytes: 0,
        rate: null,
        eta: null,
        mark: { at: event.at, bytes: 0 },
      }));
    case 'progress':
      return change(state, event.target, (old) => progress(old, event.at, event.bytes, event.total));
    case 'source':
      return { ...state, bottleneck: event.bottleneck };
    case 'notice':
      return { ...state, notices: [...state.notices, event.text] };
    case 'target-finished': {
      const { kind: _kind, at: _at, target, ...result } = event;
      return change(state, target, (old) => ({
        ...old,
        phase: 'finished',
        rate: null,
        eta: null,
        mark: null,
        result,
      }));
    }
    case 'finished':
      return { ...state, stage: 'finished', outcome: event.outcome, sha256: event.sha256 };
  }
}

function waiting(target: string, size: number, total: number | null): TargetState {
  return {
    target,
    size,
    phase: 'waiting',
    bytes: 0,
    total,
    rate: null,
    eta: null,
    result: null,
    mark: null,
  };
}

function change(state: FlashState, target: string, by: (old: TargetState) => TargetState): FlashState {
  return { ...state, targets: state.targets.map((old) => (old.target === target ? by(old) : old)) };
}

function progress(old: TargetState, at: number, bytes: number, total: number | null): TargetState {
  const seconds = old.mark ? (at - old.mark.at) / 1000 : 0;
  if (!old.mark || seconds <= 0) return { ...old, bytes, total, mark: old.mark ?? { at, bytes } };
  const newest = (bytes - old.mark.bytes) / seconds;
  const rate = old.rate === null ? newest : old.rate * (1 - weight) + newest * weight;
  const eta = total === null || rate <= 0 ? null : Math.max(0, (total - bytes) / rate);
  return { ...old, bytes, total, rate, eta, mark: { at, bytes } };
}

/** "2 of 3 flashed, 1 failed": the worst outcome in one sentence. */
export function headline(state: FlashState): string {
  const of = (outcome: Outcome) => state.targets.filter(({ result }) => result?.outcome === outcome).length;
  const done = of('done');
  const others = [
    [of('failed'), 'failed'],
    [of('cancelled'), 'cancelled'],
  ] as const;
  const parts = others.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  const unverified = state.targets.filter(
    ({ result }) => result?.outcome === 'done' && !result.verified,
  ).length;
  if (unverified > 0)
    parts.push(unverified === done ? 'written, not verified' : `${unverified} not verified`);
  return [`${done} of ${state.targets.length} flashed`, ...parts].join(', ');
}
