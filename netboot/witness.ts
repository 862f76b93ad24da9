/** What the servers of one appliance tell reaches everyone who wants to know. */
import type { Datagram, Step, Witness } from './story/step.ts';

const listeners = new WeakMap<object, Set<Partial<Witness>>>();

function of(appliance: object): Set<Partial<Witness>> {
  const found = listeners.get(appliance) ?? new Set();
  listeners.set(appliance, found);
  return found;
}

/** From now on `witness` is told what servers of `appliance` (its `Services`) see. Answers what ends that. */
export function listen(appliance: object, witness: Partial<Witness>): () => void {
  const all = of(appliance);
  all.add(witness);
  return () => void all.delete(witness);
}

/** Tells everyone who listens, now or later. */
export function witnessOf(appliance: object): Witness {
  const all = of(appliance);
  return {
    step: (step: Step) => {
      for (const witness of all) witness.step?.(step);
    },
    datagram: (datagram: Datagram) => {
      for (const witness of all) witness.datagram?.(datagram);
    },
  };
}
