/** What has to be done from time to time. */
import type { Part } from './appliance.ts';
import type { Clock } from './clock.ts';
import { dhcpOf } from './dhcp/part.ts';
import { trimEvents } from './events/retention.ts';
import type { Services } from './services.ts';

const second = 1000;

/** Ends silences of machines, takes away what is older than the settings say. */
export function upkeepPart(services: Services): Part {
  const { machines, log } = services;
  const guarded = (name: string, work: () => Promise<unknown>) => () => {
    work().catch((error: unknown) => log.error('upkeep', { task: name, problem: String(error) }));
  };
  const timers = [
    setInterval(
      guarded('silences', () => machines.tick()),
      5 * second,
    ),
  ];
  const trim = guarded('retention', () => trimEvents(services));
  trim();
  timers.push(setInterval(trim, 3600 * second));
  return {
    name: 'upkeep',
    close: () => {
      for (const timer of timers) clearInterval(timer);
    },
  };
}

/** Looks whether the clock was set, and moves with it what was noted with the old time. Answers what ends that. */
export function followClock(services: Services, clock: Clock): () => void {
  let following = false;
  const follow = async () => {
    const moved = await services.database.write(() => {
      const by = clock.jump;
      if (by === 0) return null;
      services.boots.moveTime(by);
      services.access.moveTime(by);
      const leases = dhcpOf(services).store.moveTime(by);
      clock.follow(by);
      const seconds = Math.round(by / second);
      const summary = `The clock was set ${Math.abs(seconds)} s ${by > 0 ? 'ahead' : 'back'}.`;
      const subject = ['settings', 'clock'] as const;
      services.events.append({
        ...{ kind: 'clock.jumped', subject, actor: 'system', address: null },
        ...{ summary, details: { seconds } },
      });
      services.log.warn('clock', { seconds });
      return leases;
    });
    await moved;
  };
  const timer = setInterval(() => {
    if (following || clock.jump === 0) return;
    following = true;
    follow()
      .catch((error: unknown) => services.log.error('clock', { problem: String(error) }))
      .finally(() => {
        following = false;
      });
  }, second);
  return () => clearInterval(timer);
}
