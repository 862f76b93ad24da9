/** The roll-outs that are shown: those that run, and one that ended until somebody has seen how. */
import { create } from 'zustand';
import type { Machine } from '../../../shared/contract/machine.ts';
import type { RolloutRow } from '../../../shared/contract/rollout.ts';
import { askAgain, attempt, useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { keep, kept } from './kept.ts';

/** Highest number of those that were looked at after their end. */
const useSeen = create<{ readonly id: number }>()(() => ({ id: Number(kept('rollout-seen') ?? 0) || 0 }));

/** Roll-outs to show, newest first. */
export function useRollouts(): readonly RolloutRow[] {
  const seen = useSeen(({ id }) => id);
  const { value = [] } = useAnswer('rollouts', () => ask('GET /rollouts'), ['machine', 'event']);
  const [newest] = value.filter(({ state, id }) => state !== 'running' && id > seen);
  return value.filter((one) => one.state === 'running' || one === newest);
}

export function startRollout(image: string, chosen: readonly Machine[], allowed: number): Promise<boolean> {
  return attempt(async () => {
    const macs = chosen.map(({ mac }) => mac);
    await ask('POST /rollouts', { body: { image_sha256: image, macs, allowed, limit: macs.length } });
    askAgain('rollouts');
  });
}

/** Ends it; machines of its wave that have not begun are disarmed. */
export async function cancelRollout(id: number): Promise<boolean> {
  const done = await attempt(() => ask('POST /rollouts/{id}/cancel', { params: { id: String(id) } }));
  askAgain('rollouts');
  return done;
}

/** It, and what ended before it, is not shown again in this browser. */
export function dismissRollout(id: number): void {
  keep('rollout-seen', String(id));
  useSeen.setState({ id });
}
