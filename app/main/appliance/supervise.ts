/** What is done with the appliance's process, and when: decisions only, with the time as an input. */
import type { ApplianceStage } from '../../../shared/app/appliance.ts';
import { type FailureCode, type FailureReport, failure } from '../../../shared/failure.ts';

/** All in milliseconds. */
export const limits = {
  /** From the first line that it says to its answering. */
  starting: 90_000,
  /** From being asked to stop to being ended by force. */
  stopping: 15_000,
  /** It ran so long that its next end is the first one again. */
  steady: 60_000,
  firstPause: 1000,
  longestPause: 60_000,
} as const;

export type SuperviseEvent =
  /** The person starts it; `asks`: the system will ask for permission first. */
  | { readonly kind: 'start'; readonly at: number; readonly asks: boolean }
  | { readonly kind: 'stop'; readonly at: number }
  /** It said its first line: it has its rights. */
  | { readonly kind: 'begun'; readonly at: number }
  /** It answers, whether it was started or found running. */
  | { readonly kind: 'listening'; readonly at: number }
  /** It is gone; null when it did not say why. */
  | { readonly kind: 'ended'; readonly at: number; readonly failure: FailureReport }
  | { readonly kind: 'time'; readonly at: number; readonly asks: boolean };

/** `spawn`: start it. `ask`: ask it to stop. `kill`: end it by force, or take the question for permission back. */
export type SuperviseAction = 'spawn' | 'ask' | 'kill';

export interface Supervised {
  readonly stage: ApplianceStage;
  readonly actions: readonly SuperviseAction[];
}

/** What may be over by itself a while later; everything else waits for the person. */
const passing: ReadonlySet<FailureCode> = new Set([
  'APPLIANCE_ENDED',
  'APPLIANCE_SILENT',
  'STATE_BUSY',
  'INTERNAL',
]);
/** What no second try changes, even where it ran before. */
const lasting: ReadonlySet<FailureCode> = new Set([
  'PROGRAM_MISSING',
  'PORTS_DENIED',
  'PORTS_WRONG_PASSWORD',
  'PORTS_DISMISSED',
  'PORTS_NO_AGENT',
  'PORTS_UNAVAILABLE',
  'STATE_NEWER',
  'STATE_FOREIGN',
  'NO_SUCH_USER',
]);

/** Pause before try number `tries`, which counts from 1. */
export function pauseBefore(tries: number): number {
  return Math.min(limits.longestPause, limits.firstPause * 2 ** Math.min(tries - 1, 16));
}

export function advance(stage: ApplianceStage, event: SuperviseEvent): Supervised {
  switch (event.kind) {
    case 'start':
      return stage.kind === 'off' || stage.kind === 'failed' || stage.kind === 'waiting'
        ? begin(0, event)
        : same(stage);
    case 'stop':
      return stop(stage, event.at);
    case 'begun':
      return stage.kind === 'asking'
        ? same({ kind: 'starting', since: event.at, tries: stage.tries })
        : same(stage);
    case 'listening':
      return stage.kind === 'stopping'
        ? same(stage)
        : same({ kind: 'running', since: event.at, tries: 'tries' in stage ? stage.tries : 0 });
    case 'ended':
      return end(stage, event.at, event.failure);
    case 'time':
      return pass(stage, event);
  }
}

/** When `advance` wants to be told the time next; null when it needs not. */
export function dueAt(stage: ApplianceStage): number | null {
  switch (stage.kind) {
    case 'starting':
      return stage.since + limits.starting;
    case 'waiting':
      return stage.until;
    case 'stopping':
      return stage.since + limits.stopping;
    case 'off':
    case 'asking':
    case 'running':
    case 'failed':
      return null;
  }
}

function same(stage: ApplianceStage): Supervised {
  return { stage, actions: [] };
}

function begin(tries: number, { at, asks }: { readonly at: number; readonly asks: boolean }): Supervised {
  return { stage: { kind: asks ? 'asking' : 'starting', since: at, tries }, actions: ['spawn'] };
}

function stop(stage: ApplianceStage, at: number): Supervised {
  switch (stage.kind) {
    case 'asking':
      return { stage: { kind: 'stopping', since: at, failure: null, tries: 0 }, actions: ['kill'] };
    case 'starting':
    case 'running':
      return { stage: { kind: 'stopping', since: at, failure: null, tries: 0 }, actions: ['ask'] };
    case 'waiting':
    case 'failed':
      return same({ kind: 'off' });
    case 'stopping':
      return same({ ...stage, failure: null });
    case 'off':
      return same(stage);
  }
}

function end(stage: ApplianceStage, at: number, failure: FailureReport): Supervised {
  switch (stage.kind) {
    case 'stopping':
      return stage.failure === null ? same({ kind: 'off' }) : again(stage.tries, at, stage.failure);
    case 'asking':
    case 'starting':
      // Nothing was there before, so the person is in front of it, unless it is being started again.
      return stage.tries === 0 && !passing.has(failure.code)
        ? same({ kind: 'failed', failure })
        : again(stage.tries, at, failure);
    case 'running':
      return again(at - stage.since >= limits.steady ? 0 : stage.tries, at, failure);
    case 'off':
    case 'waiting':
    case 'failed':
      return same(stage);
  }
}

function again(tries: number, at: number, failure: FailureReport): Supervised {
  if (lasting.has(failure.code)) return same({ kind: 'failed', failure });
  const next = tries + 1;
  return same({ kind: 'waiting', until: at + pauseBefore(next), tries: next, failure });
}

function pass(stage: ApplianceStage, event: { readonly at: number; readonly asks: boolean }): Supervised {
  const due = dueAt(stage);
  if (due === null || event.at < due) return same(stage);
  switch (stage.kind) {
    case 'waiting':
      return begin(stage.tries, event);
    case 'starting': {
      const silent = failure('APPLIANCE_SILENT', { seconds: limits.starting / 1000 }).report();
      const { tries } = stage;
      return { stage: { kind: 'stopping', since: event.at, failure: silent, tries }, actions: ['kill'] };
    }
    case 'stopping':
      // Again after as long, should the first one not have been enough.
      return { stage: { ...stage, since: event.at }, actions: ['kill'] };
    default:
      return same(stage);
  }
}
