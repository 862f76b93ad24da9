/** The roll-out that runs: driven by the pages as long as they are open, and kept in this browser meanwhile. */
import { create } from 'zustand';
import type { Machine } from '../../../shared/contract/machine.ts';
import {
  judge,
  newRollout,
  type Rollout,
  type Tried,
  type Verdict,
  waveOf,
  withBefore,
} from '../../../shared/lab/rollout.ts';
import { attempt } from './answer.ts';
import { ask } from './api.ts';
import { keep, kept } from './kept.ts';
import { listen } from './live.ts';

interface Running {
  readonly rollout: Rollout | null;
  readonly verdict: Verdict | null;
}
export const useRollout = create<Running>()(() => ({ rollout: null, verdict: null }));

const machines = new Map<string, Tried>();
let busy = false;
let ends: readonly (() => void)[] = [];

function put(rollout: Rollout | null): void {
  keep('rollout', rollout === null ? null : JSON.stringify(rollout));
  useRollout.setState({ rollout, verdict: rollout === null ? null : judge(rollout, machines) });
}

/** Goes on with the roll-out that this browser kept. */
export function resumeRollout(): void {
  if (useRollout.getState().rollout !== null) return;
  try {
    const found = JSON.parse(kept('rollout') ?? 'null') as Rollout | null;
    if (found === null || !Array.isArray(found.macs) || !Array.isArray(found.waves)) return;
    put(found);
    if (found.state === 'running') void follow(found);
  } catch {
    keep('rollout', null);
  }
}

export async function startRollout(
  image: string,
  name: string,
  chosen: readonly Machine[],
  allowed: number,
): Promise<boolean> {
  const rollout = newRollout(
    image,
    name,
    chosen.map(({ mac }) => mac),
    allowed,
  );
  machines.clear();
  for (const machine of chosen) machines.set(machine.mac, machine);
  put(rollout);
  listenTo();
  return step();
}

/** Ends it; machines of its wave that have not begun are disarmed. */
export async function cancelRollout(): Promise<void> {
  const { rollout } = useRollout.getState();
  if (rollout === null) return;
  await end({ ...rollout, state: 'cancelled' });
}

export function dismissRollout(): void {
  put(null);
}

async function follow(rollout: Rollout): Promise<void> {
  const got = await attempt(async () => {
    for (const mac of rollout.macs) {
      const machine = await ask('GET /machines/{mac}', { params: { mac } }).catch(() => null);
      if (machine !== null) machines.set(mac, machine);
    }
  });
  listenTo();
  if (got) await step();
}

function listenTo(): void {
  for (const stop of ends) stop();
  ends = [
    listen('machine', (news) => {
      if ('deleted' in news) machines.delete(news.mac);
      else machines.set(news.mac, news);
      void step();
    }),
    listen('again', () => {
      const { rollout } = useRollout.getState();
      if (rollout?.state === 'running') void follow(rollout);
    }),
  ];
}

async function step(): Promise<boolean> {
  const { rollout } = useRollout.getState();
  if (rollout === null || rollout.state !== 'running' || busy) return true;
  busy = true;
  try {
    const verdict = judge(rollout, machines);
    useRollout.setState({ verdict });
    switch (verdict.next) {
      case 'wait':
        return true;
      case 'begin':
        return await arm(rollout);
      case 'next':
        return await arm({ ...rollout, wave: rollout.wave + 1 });
      case 'stop':
        await end({ ...rollout, state: 'stopped' });
        return true;
      case 'finish':
        put({ ...rollout, state: 'finished' });
        return true;
    }
  } finally {
    busy = false;
  }
}

async function arm(rollout: Rollout): Promise<boolean> {
  const macs = [...waveOf(rollout)];
  const next = withBefore(rollout, machines);
  return attempt(async () => {
    const body = { action: 'arm', macs, image_sha256: rollout.image, limit: macs.length } as const;
    await ask('POST /machines/actions', { body });
    put(next);
  });
}

/** What is still only armed is disarmed; what is being flashed is let finish. */
async function end(rollout: Rollout): Promise<void> {
  put(rollout);
  const macs = Object.keys(rollout.before).filter((mac) => machines.get(mac)?.state.phase === 'armed');
  if (macs.length === 0) return;
  await attempt(() =>
    ask('POST /machines/actions', { body: { action: 'disarm', macs, limit: macs.length } }),
  );
}
