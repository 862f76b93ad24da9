/**
 * A canary roll-out: an image for one machine, then for a tenth of them, then for all; too many failures stop it. Pure,
 * and without a clock: a machine is done or failed when it is otherwise than it was before its wave began.
 */

/** What is looked at of a machine. */
export interface Tried {
  readonly mac: string;
  readonly last_flashed_at: string | null;
  readonly state: { readonly phase: string; readonly since: string };
}

export interface Rollout {
  /** SHA-256 of the image, and its name for people. */
  readonly image: string;
  readonly name: string;
  /** In the order in which they have their turn. */
  readonly macs: readonly string[];
  /** How many machines have had their turn after each wave. */
  readonly waves: readonly number[];
  /** Wave that runs, from 0. */
  readonly wave: number;
  /** Share of failures, from 0 to 1, above which it stops. */
  readonly allowed: number;
  /** How each machine of the waves so far was before its turn. */
  readonly before: Readonly<Record<string, { readonly flashed: string | null; readonly since: string }>>;
  readonly state: 'running' | 'stopped' | 'cancelled' | 'finished';
}

/** 1, then a tenth (at least one more), then all of `count`. */
export function wavesOf(count: number): readonly number[] {
  if (count <= 0) return [];
  const tenth = Math.max(2, Math.ceil(count / 10));
  return [...new Set([1, Math.min(tenth, count), count])];
}

export function newRollout(image: string, name: string, macs: readonly string[], allowed: number): Rollout {
  const every = [...new Set(macs)];
  return {
    image,
    name,
    macs: every,
    waves: wavesOf(every.length),
    wave: 0,
    allowed,
    before: {},
    state: 'running',
  };
}

/** Machines whose turn the wave that runs is. */
export function waveOf({ macs, waves, wave }: Rollout): readonly string[] {
  return macs.slice(waves[wave - 1] ?? 0, waves[wave] ?? macs.length);
}

/** The roll-out once the machines of its wave, as they are now, are about to be armed. */
export function withBefore(rollout: Rollout, machines: ReadonlyMap<string, Tried>): Rollout {
  const before = { ...rollout.before };
  for (const mac of waveOf(rollout)) {
    const machine = machines.get(mac);
    before[mac] = { flashed: machine?.last_flashed_at ?? null, since: machine?.state.since ?? '' };
  }
  return { ...rollout, before };
}

export interface Verdict {
  /** `begin`: the wave is to be armed. `wait`: for its machines. `next`: the next wave may begin. */
  readonly next: 'begin' | 'wait' | 'next' | 'stop' | 'finish';
  /** Of all waves so far. */
  readonly tried: number;
  readonly done: number;
  readonly failed: number;
  /** Machines that will have been left alone if it ends here. */
  readonly left: number;
}

/** What follows from how the machines are. A machine that was deleted meanwhile counts as failed. */
export function judge(rollout: Rollout, machines: ReadonlyMap<string, Tried>): Verdict {
  const tried = rollout.macs.slice(0, rollout.waves[rollout.wave] ?? rollout.macs.length);
  let done = 0;
  let failed = 0;
  let begun = true;
  for (const mac of tried) {
    const before = rollout.before[mac];
    if (before === undefined) {
      begun = false;
      continue;
    }
    const machine = machines.get(mac);
    if (machine === undefined) failed++;
    else if (machine.last_flashed_at !== before.flashed) done++;
    else if (isFailed(machine) && machine.state.since !== before.since) failed++;
  }
  const counts = { tried: tried.length, done, failed, left: rollout.macs.length - tried.length };
  const next = (): Verdict['next'] => {
    if (failed > rollout.allowed * tried.length) return 'stop';
    if (!begun) return 'begin';
    if (done + failed < tried.length) return 'wait';
    return rollout.wave >= rollout.waves.length - 1 ? 'finish' : 'next';
  };
  return { next: next(), ...counts };
}

const isFailed = ({ state }: Tried) => state.phase === 'failed' || state.phase === 'stopped';
