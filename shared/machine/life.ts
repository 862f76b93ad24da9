/**
 * The life of a machine: one state machine, without a clock and without I/O. Each function takes a life and what
 * happened and answers the life after it; whoever keeps lives compares phases and writes down the transitions.
 */
import type { After, FailureMessage, Progress, Step } from '../contract/agent.ts';
import { failure } from '../failure.ts';

export const phases = [
  /** Met or entered, no image bound. */
  'discovered',
  /** Bound, and the next netboot boots its disk (or, with `tui`, the live system for a person). */
  'assigned',
  /** The next netboot flashes it. */
  'armed',
  /** It has its script and loads the live system. */
  'booting',
  /** The live system is up and gets ready. */
  'preparing',
  'writing',
  'verifying',
  /** Flashed; it restarts. */
  'rebooting',
  /** Flashed and, as far as can be seen from here, running from its disk. */
  'deployed',
  /** In the live system, with a person. */
  'interactive',
  /** In the live system, telling what it is made of. */
  'inspecting',
  'failed',
  /** It netbooted too often without finishing. */
  'stopped',
] as const;
export type Phase = (typeof phases)[number];

export interface Life {
  readonly phase: Phase;
  /** Times are milliseconds since 1970. */
  readonly since: number;
  /** When the machine was last heard in this phase. */
  readonly heard: number;
  /** Plan of the boot that runs, null when none does. */
  readonly plan: string | null;
  readonly step: Step | null;
  readonly attempt: number;
  readonly bytes: number | null;
  readonly total: number | null;
  readonly rate: number | null;
  readonly disk: { readonly path: string; readonly serial: string | null } | null;
  readonly failure: FailureMessage | null;
  /** The next netboot boots the disk once: a flash or an inventory was finished. */
  readonly diskNext: boolean;
  /** When the live system was started without having finished since. */
  readonly boots: readonly number[];
}

/** What the operator decided about a machine. */
export interface Binding {
  readonly policy: 'local' | 'flash' | 'flash-once' | 'tui' | 'inventory';
  readonly image: string | null;
}

/** What a netboot leads to. */
export type Action =
  | { readonly kind: 'flash'; readonly plan: string }
  | { readonly kind: 'interactive'; readonly plan: string }
  | { readonly kind: 'inventory'; readonly plan: string }
  /** The disk: by policy, or once after a flash. */
  | { readonly kind: 'disk'; readonly because: 'policy' | 'finished' }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'stopped'; readonly boots: number; readonly minutes: number };

/** Boots of the live system without finishing, within `minutes`, after which a machine is stopped. */
export interface LoopLimit {
  readonly boots: number;
  readonly minutes: number;
}

const idle = {
  plan: null,
  step: null,
  attempt: 0,
  bytes: null,
  total: null,
  rate: null,
  disk: null,
  failure: null,
} as const;

/** Where a machine is while nothing happens to it. */
export function restingPhase({ policy, image }: Binding): Phase {
  if (image === null) return 'discovered';
  return policy === 'flash' || policy === 'flash-once' ? 'armed' : 'assigned';
}

/** A machine that is new. */
export function newLife(binding: Binding, at: number): Life {
  return { ...idle, phase: restingPhase(binding), since: at, heard: at, diskNext: false, boots: [] };
}

function moved(life: Life, phase: Phase, at: number, changes: Partial<Life> = {}): Life {
  const since = phase === life.phase ? life.since : at;
  return { ...life, phase, since, heard: at, ...changes };
}

/** In the live system, or on the way into it. */
export function isRunning(phase: Phase): boolean {
  return ['booting', 'preparing', 'writing', 'verifying', 'interactive', 'inspecting'].includes(phase);
}

/**
 * The operator decided. A new decision withdraws the plan that runs; the same one again, while its plan runs,
 * changes nothing; otherwise it arms the machine anew.
 */
export function assigned(life: Life, before: Binding, after: Binding, at: number): Life {
  const same = before.policy === after.policy && before.image === after.image;
  if (same && isRunning(life.phase)) return life;
  const phase = restingPhase(after);
  // A box that is told the same "local" again stays what it was: deployed.
  if (same && phase !== 'armed' && life.phase !== 'stopped' && life.phase !== 'failed') return life;
  return moved(life, phase, at, { ...idle, diskNext: false, boots: [] });
}

/** What the next netboot would lead to; `plan` names a new plan. */
export function actionOf(life: Life, binding: Binding, at: number, limit: LoopLimit, plan: string): Action {
  // What a person has just written is booted once, as after every other flash.
  if (binding.policy === 'tui' && !life.diskNext) return { kind: 'interactive', plan };
  const flashes = binding.policy === 'flash' || binding.policy === 'flash-once';
  if (binding.image === null && (flashes || binding.policy === 'local')) return { kind: 'nothing' };
  if (binding.policy === 'local') return { kind: 'disk', because: 'policy' };
  if (life.diskNext) return { kind: 'disk', because: 'finished' };
  const recent = recentBoots(life, at, limit).length;
  if (life.phase === 'stopped' || recent >= limit.boots)
    return { kind: 'stopped', boots: limit.boots, minutes: limit.minutes };
  return flashes ? { kind: 'flash', plan } : { kind: 'inventory', plan };
}

/** A clock that was put back must not hide boots, so those "in the future" count too. */
function recentBoots(life: Life, at: number, limit: LoopLimit): readonly number[] {
  return life.boots.filter((boot) => boot > at - limit.minutes * 60_000);
}

/** The machine asked for its script and got the one of `action`. */
export function netbooted(life: Life, action: Action, binding: Binding, at: number, limit: LoopLimit): Life {
  switch (action.kind) {
    case 'flash':
    case 'inventory': {
      const recent = recentBoots(life, at, limit);
      // Firmware and iPXE ask again within seconds when a download breaks; that is one boot.
      const again = recent.some((boot) => Math.abs(at - boot) < 10_000);
      const boots = again ? recent : [...recent, at].slice(-limit.boots);
      return moved(life, 'booting', at, { ...idle, since: at, plan: action.plan, boots });
    }
    case 'interactive':
      return moved(life, 'booting', at, { ...idle, since: at, plan: action.plan });
    case 'disk':
      if (life.diskNext || life.phase === 'rebooting') {
        const flashed = life.phase === 'rebooting' || life.phase === 'deployed';
        const phase = flashed ? 'deployed' : restingPhase(binding);
        return moved(life, phase, at, { ...idle, diskNext: false });
      }
      return life.phase === 'deployed' ? life : moved(life, restingPhase(binding), at, idle);
    case 'nothing':
      return moved(life, restingPhase(binding), at, idle);
    case 'stopped': {
      if (life.phase === 'stopped') return life;
      const { boots, minutes } = action;
      return moved(life, 'stopped', at, {
        ...idle,
        failure: failure('BOOT_LOOP', { boots, minutes }).report(),
      });
    }
  }
}

/** The live system runs and has fetched `plan`. */
export function planTaken(
  life: Life,
  plan: { readonly id: string; readonly kind: 'flash' | 'interactive' | 'inventory' },
  at: number,
): Life {
  if (life.plan === plan.id && life.phase !== 'booting') return { ...life, heard: at };
  const phase =
    plan.kind === 'flash' ? 'preparing' : plan.kind === 'inventory' ? 'inspecting' : 'interactive';
  return moved(life, phase, at, { ...idle, plan: plan.id });
}

const phaseOfStep: Readonly<Record<Step, Phase>> = {
  preparing: 'preparing',
  clearing: 'writing',
  writing: 'writing',
  flushing: 'writing',
  verifying: 'verifying',
  settling: 'verifying',
  finishing: 'verifying',
};

/** The live system told how far it is; null when its plan is no longer the one. */
export function progressed(life: Life, { plan, ...told }: Progress, at: number): Life | null {
  if (life.plan === null || life.plan !== plan) return null;
  const { step, attempt, bytes, total, rate, disk } = told;
  return moved(life, phaseOfStep[step], at, { step, attempt, bytes, total, rate, disk, failure: null });
}

/** The flash is done. What runs next is the disk, once. */
export function finished(life: Life, after: After, at: number): Life {
  const phase = after === 'reboot' ? 'rebooting' : 'deployed';
  return moved(life, phase, at, { ...idle, disk: life.disk, diskNext: true, boots: [] });
}

/** The machine told what it is made of; with a plan of inventory it is done. */
export function inventoried(life: Life, binding: Binding, at: number): Life {
  if (life.phase !== 'inspecting') return { ...life, heard: at };
  return moved(life, restingPhase(binding), at, { ...idle, diskNext: true, boots: [] });
}

/** The live system failed; null when its plan is no longer the one. */
export function failedWith(
  life: Life,
  told: {
    readonly plan: string | null;
    readonly attempt: number;
    readonly step: Step;
    readonly failure: FailureMessage;
  },
  at: number,
): Life | null {
  if (told.plan !== null && life.plan !== told.plan) return null;
  const { attempt, step, failure } = told;
  return moved(life, 'failed', at, { attempt, step, failure, rate: null });
}

/** Longest silence in each phase, in milliseconds; a phase without one may last for ever. */
export const patience: Readonly<Partial<Record<Phase, number>>> = {
  booting: 10 * 60_000,
  preparing: 10 * 60_000,
  writing: 3 * 60_000,
  verifying: 10 * 60_000,
  inspecting: 5 * 60_000,
  rebooting: 15 * 60_000,
};

/** When the silence of this life becomes too long, null when it never does. */
export function deadline(life: Life): number | null {
  const longest = patience[life.phase];
  return longest === undefined ? null : life.heard + longest;
}

/** Time went by. */
export function ticked(life: Life, at: number): Life {
  // A clock that was put back would make a silence endless: what was heard "later" counts as heard now.
  if (life.heard > at) return { ...life, heard: at };
  const due = deadline(life);
  if (due === null || at < due) return life;
  // A box that boots its disk by itself never tells; it is left alone.
  if (life.phase === 'rebooting') return moved(life, 'deployed', at);
  const minutes = Math.round((patience[life.phase] ?? 0) / 60_000);
  const silent = failure('MACHINE_SILENT', { phase: life.phase, minutes }).report();
  return moved(life, 'failed', at, { failure: silent, rate: null });
}
