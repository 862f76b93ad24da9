/** The steps of a boot as a person follows them: what belongs together is one stretch. Pure. */
import type { BootDiagnosis } from '../contract/story.ts';

/** What a stretch of a boot is about, in the usual order. */
export const stations = [
  'network',
  'loader',
  'script',
  'live',
  'plan',
  'writing',
  'verifying',
  'disk',
] as const;
export type Station = (typeof stations)[number];

/** A step as it crosses the wire: its kind, when, and the fields of its kind. */
export type WireStep = { readonly at: string; readonly kind: string } & Readonly<Record<string, unknown>>;

/** A step in words: a key of the words of the pages (`lab.steps`), and what stands in its gaps. */
export interface ToldStep {
  readonly at: string;
  readonly kind: string;
  readonly values: Readonly<Record<string, string | number>>;
  readonly tone: 'usual' | 'bad';
  /** Why it was done so, as the appliance said. */
  readonly reasons: readonly string[];
}

export interface Stretch {
  readonly station: Station;
  /** True where iPXE, and no longer the firmware, asks for an address. */
  readonly again: boolean;
  readonly from: string;
  readonly to: string;
  readonly state: 'done' | 'now' | 'failed';
  readonly steps: readonly ToldStep[];
}

const stationOfKind: Readonly<Record<string, Station>> = {
  'tftp-probe': 'loader',
  'tftp-start': 'loader',
  'tftp-done': 'loader',
  'tftp-failed': 'loader',
  ipxe: 'script',
  script: 'script',
  token: 'live',
  agent: 'live',
  plan: 'plan',
  inventory: 'plan',
  write: 'writing',
  verify: 'verifying',
  reboot: 'disk',
  done: 'disk',
  'local-boot': 'disk',
  alive: 'disk',
};
const bad: ReadonlySet<string> = new Set(['nak', 'decline', 'tftp-failed', 'failed', 'ignored']);

function stationOf(step: WireStep, before: Station | null): Station {
  if (step.kind === 'failed') return before ?? 'plan';
  if (step.kind === 'file') {
    if (step.role === 'binary') return 'loader';
    if (step.role === 'image') return 'writing';
    return step.role === 'local-boot' ? 'disk' : 'live';
  }
  return stationOfKind[step.kind] ?? 'network';
}

/** Joins `steps`, oldest first, to stretches; the last one is as `diagnosis` says. */
export function timelineOf(
  steps: readonly WireStep[],
  diagnosis: Pick<BootDiagnosis, 'state'>,
): readonly Stretch[] {
  const found: { station: Station; again: boolean; steps: ToldStep[] }[] = [];
  for (const step of steps) {
    const last = found.at(-1);
    const station = stationOf(step, last?.station ?? null);
    if (last?.station === station) last.steps.push(told(step));
    else {
      const again = station === 'network' && found.some((one) => one.station === 'loader');
      found.push({ station, again, steps: [told(step)] });
    }
  }
  return found.map((one, index) => ({
    ...one,
    from: one.steps[0]?.at ?? '',
    to: one.steps.at(-1)?.at ?? '',
    state: index < found.length - 1 ? 'done' : stateOf(diagnosis),
  }));
}

function stateOf({ state }: Pick<BootDiagnosis, 'state'>): Stretch['state'] {
  if (state === 'running') return 'now';
  return state === 'done' ? 'done' : 'failed';
}

function told(step: WireStep): ToldStep {
  const values: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(step)) {
    if (typeof value === 'string' || typeof value === 'number') values[name] = value;
  }
  const reasons = Array.isArray(step.reasons)
    ? step.reasons.filter((reason): reason is string => typeof reason === 'string')
    : [];
  return { at: step.at, kind: kindOf(step), values, tone: isBad(step) ? 'bad' : 'usual', reasons };
}

function isBad(step: WireStep): boolean {
  return bad.has(step.kind) || (step.kind === 'file' && step.complete === false);
}

/** The key of the sentence: some kinds have one sentence with what they name and one without. */
function kindOf(step: WireStep): string {
  switch (step.kind) {
    case 'discover':
      return step.userClass === 'iPXE' || step.userClass === 'bty' ? 'discoverIpxe' : 'discover';
    case 'offer':
      return typeof step.offered === 'string' ? 'offer' : 'offerProxy';
    case 'request':
      return step.ours === false ? 'requestOther' : 'request';
    case 'boot-server-reply':
      return typeof step.bootFile === 'string' ? 'boot-server-reply' : 'bootServerNothing';
    case 'file':
      return step.complete === false ? 'fileCut' : 'file';
    case 'script':
      return step.script === 'machine' ? 'script' : 'scriptFirst';
    default:
      return step.kind;
  }
}
