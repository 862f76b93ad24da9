/** The key of the appliance lies in a file that anybody with the right may make or change: an event tells of it. */
import type { EventLog } from '../events/log.ts';
import type { Author } from '../machines/machines.ts';
import type { Database } from '../store/database.ts';
import { keepSetting, keptSetting } from '../store/kept.ts';
import type { LoadedKey } from './key.ts';

const kept = 'task_key';
const nobody: Author = { actor: 'system', address: null };

/** Appends an event when the key is another one than it last was. `maker`: who made it over HTTP. */
export async function tellOfKey(
  needs: { readonly database: Database; readonly events: EventLog },
  key: LoadedKey | null,
  maker: Author | null = null,
): Promise<void> {
  const { database, events } = needs;
  const fingerprint = key?.fingerprint ?? null;
  if (keptSetting(database, kept) === fingerprint) return;
  await database.write(() => {
    const before = keptSetting(database, kept);
    if (before === fingerprint) return;
    keepSetting(database, kept, fingerprint);
    events.append({
      ...(fingerprint === null ? lost(before) : found(fingerprint, before, maker !== null)),
      subject: ['task', 'key'],
      ...(maker ?? nobody),
      details: { fingerprint, before },
    });
  });
}

function found(fingerprint: string, before: string | null, isMade: boolean) {
  if (isMade)
    return {
      kind: 'task.key.made',
      summary: `The key of the appliance was made: ${fingerprint}. Tasks are on.`,
    };
  return before === null
    ? { kind: 'task.key.found', summary: `The appliance has a key: ${fingerprint}. Tasks are on.` }
    : {
        kind: 'task.key.changed',
        summary: `The key of the appliance is another one: ${fingerprint}; it was ${before}.`,
      };
}

function lost(before: string | null) {
  return { kind: 'task.key.gone', summary: `The key of the appliance, ${before}, is gone. Tasks are off.` };
}
