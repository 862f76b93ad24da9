/** Roll-outs as a part of the appliance. */
import { failure } from '../../shared/failure.ts';
import type { Part } from '../appliance.ts';
import type { Services } from '../services.ts';
import { Rollouts } from './rollouts.ts';

const parts = new WeakMap<Services, Rollouts>();

/** The roll-outs of this appliance, once it has started. */
export function rolloutsOf(services: Services): Rollouts {
  const found = parts.get(services);
  if (!found) throw failure('INTERNAL', { problem: 'roll-outs have not started yet' });
  return found;
}

export function rolloutsPart(services: Services): Part {
  const rollouts = new Rollouts(services);
  parts.set(services, rollouts);
  return { name: 'rollouts', close: () => rollouts.close() };
}
