/** One boot of a machine, as a value: where it begins, how steps are added, how far it came. Pure. */
import type { Step, StepKind } from './step.ts';

/** How far a machine came, in order. */
export const stages = [
  'asked',
  'answered',
  'address',
  'boot-server',
  'boot-file',
  'ipxe',
  'script',
  'kernel',
  'initrd',
  'agent',
  'plan',
  'writing',
  'verifying',
  'done',
  'alive',
] as const;
export type Stage = (typeof stages)[number];

export interface Boot {
  readonly mac: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly lastAt: number;
  readonly stage: Stage;
  readonly steps: readonly Step[];
  /** Steps that found no room. */
  readonly dropped: number;
}

/** Steps that one boot keeps: the first ones and the last ones matter most. */
export const mostSteps = 400;
/** Silence after which firmware that asks again was switched on anew, in milliseconds. */
const silence = 120_000;

const stageOf: Readonly<Partial<Record<StepKind, Stage>>> = {
  discover: 'asked',
  offer: 'answered',
  ack: 'address',
  request: 'address',
  'boot-server-request': 'boot-server',
  'boot-server-reply': 'boot-server',
  'tftp-probe': 'boot-file',
  'tftp-start': 'boot-file',
  'tftp-done': 'boot-file',
  'tftp-failed': 'boot-file',
  ipxe: 'ipxe',
  script: 'script',
  token: 'initrd',
  agent: 'agent',
  plan: 'plan',
  inventory: 'plan',
  write: 'writing',
  verify: 'verifying',
  reboot: 'done',
  done: 'done',
  'local-boot': 'done',
  alive: 'alive',
};

function rank(stage: Stage): number {
  return stages.indexOf(stage);
}

export function reached(boot: Boot, stage: Stage): boolean {
  return rank(boot.stage) >= rank(stage);
}

function stageFor(step: Step): Stage | null {
  if (step.kind === 'file') {
    if (step.role === 'binary') return 'boot-file';
    if (step.role === 'kernel') return 'kernel';
    return step.role === 'initrd' ? 'initrd' : null;
  }
  if (step.kind === 'discover' && isIpxe(step)) return 'ipxe';
  return stageOf[step.kind] ?? null;
}

export function isIpxe(step: { readonly userClass: string | null }): boolean {
  return step.userClass === 'iPXE' || step.userClass === 'bty';
}

/** True for a DISCOVER of something that boots: firmware or iPXE, not an operating system. */
export function wantsBoot(step: Step): boolean {
  if (step.kind !== 'discover') return false;
  return isIpxe(step) || /^(PXE|HTTP)Client/.test(step.vendorClass ?? '');
}

/**
 * Whether `step` begins a new boot. Firmware sends 4 to 8 trains of DISCOVERs for one power-on (each network card,
 * IPv4 then IPv6 then HTTP): they are one boot as long as nothing was loaded. After the live system started or the
 * disk was booted, firmware that asks was started anew.
 */
export function beginsNew(boot: Boot | null, step: Step): boolean {
  if (boot === null) return true;
  if (!wantsBoot(step)) return false;
  if (step.at - boot.lastAt > silence) return true;
  if (reached(boot, 'kernel')) return true;
  const firmware = step.kind === 'discover' && !isIpxe(step);
  return firmware && reached(boot, 'script') && step.at - boot.lastAt > 5000;
}

/** How long the agent of a machine may have gone unheard while the appliance was away, in milliseconds. */
const away = 86_400_000;
const ofAgent: ReadonlySet<StepKind> = new Set([
  ...(['agent', 'plan', 'inventory', 'write', 'verify', 'reboot', 'done', 'failed'] as const),
]);
const ofKernel: ReadonlySet<StepKind> = new Set(['file', 'token']);

/**
 * Whether `step` goes on with a boot of which only the database knows, as when the appliance was started anew in the
 * middle of it. What firmware asks for may as well be the next boot; what the agent tells cannot.
 */
export function goesOn(boot: Boot, step: Step): boolean {
  const age = step.at - boot.lastAt;
  const isImage = step.kind === 'file' && step.role === 'image';
  if (isImage || ofAgent.has(step.kind)) {
    const isLast = step.kind === 'done' || step.kind === 'reboot';
    return age <= away && (isLast || !reached(boot, 'done'));
  }
  if (wantsBoot(step)) return false;
  return age <= silence && !reached(boot, ofKernel.has(step.kind) ? 'agent' : 'kernel');
}

export function newBoot(step: Step): Boot {
  const mac = step.mac ?? '';
  const empty: Boot = { mac, startedAt: step.at, lastAt: step.at, stage: 'asked', steps: [], dropped: 0 };
  return withStep(empty, step);
}

/** Progress of one kind replaces the progress before it, so that a long flash keeps its beginning. */
function replaces(last: Step | undefined, step: Step): boolean {
  return last !== undefined && (step.kind === 'write' || step.kind === 'verify') && last.kind === step.kind;
}

export function withStep(boot: Boot, step: Step): Boot {
  const stage = stageFor(step);
  const next = stage !== null && rank(stage) > rank(boot.stage) ? stage : boot.stage;
  const seen: Boot = { ...boot, stage: next, lastAt: Math.max(boot.lastAt, step.at) };
  const last = boot.steps.at(-1);
  if (replaces(last, step)) return { ...seen, steps: [...boot.steps.slice(0, -1), step] };
  if (boot.steps.length < mostSteps) return { ...seen, steps: [...boot.steps, step] };
  const half = mostSteps / 2;
  const kept = [...boot.steps.slice(0, half), ...boot.steps.slice(half + 1), step];
  return { ...seen, steps: kept, dropped: boot.dropped + 1 };
}
