/** How long events are kept: as the settings say, until somebody said otherwise while the appliance ran. */
import type { Retention } from '../../shared/contract/system.ts';
import type { Services } from '../services.ts';
import { keepSetting, keptSetting } from '../store/kept.ts';

type Needs = Pick<Services, 'config' | 'clock' | 'database' | 'events'>;

const key = 'retention_days';
const day = 86_400_000;

/** Days that events are kept; 0 keeps them for ever. */
export function retentionDays({ config, database }: Pick<Services, 'config' | 'database'>): number {
  const kept = keptSetting(database, key);
  return kept === null ? config.retentionDays : Number(kept);
}

export function retentionOf(needs: Needs): Retention {
  const oldest = needs.database.prepare('SELECT ts FROM events ORDER BY id LIMIT 1').get();
  return {
    days: retentionDays(needs),
    configured_days: needs.config.retentionDays,
    changed: keptSetting(needs.database, key) !== null,
    oldest_at: oldest === undefined ? null : String(oldest.ts),
  };
}

/** Takes `days` from now on (null: what the settings say), and away what is older. */
export async function changeRetention(
  needs: Needs,
  days: number | null,
  actor: string,
  address: string,
): Promise<void> {
  const { database, events, config } = needs;
  await database.write(() => {
    const before = retentionDays(needs);
    keepSetting(database, key, days === null ? null : String(days));
    const after = days ?? config.retentionDays;
    const told = after === 0 ? 'for ever' : after === 1 ? 'for 1 day' : `for ${after} days`;
    events.append({
      kind: 'settings.retention',
      subject: ['settings', key],
      actor,
      address,
      summary: `Events are kept ${told}.`,
      details: { before, after },
    });
  });
  await trimEvents(needs);
}

/** Takes away events that are older than they are kept. Answers how many those were. */
export async function trimEvents(needs: Needs): Promise<number> {
  const days = retentionDays(needs);
  return days === 0 ? 0 : needs.events.trim(needs.clock() - days * day);
}
