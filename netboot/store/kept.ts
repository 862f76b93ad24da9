/** Settings that were changed while the appliance ran. */
import type { Database } from './database.ts';

/** What was kept under `name`; null when nothing was. */
export function keptSetting(database: Database, name: string): string | null {
  const row = database.prepare('SELECT value FROM kept_settings WHERE name = ?').get(name);
  return row === undefined ? null : String(row.value);
}

/** Inside a write: keeps `value` under `name`; null forgets it. */
export function keepSetting(database: Database, name: string, value: string | null): void {
  if (value === null) database.prepare('DELETE FROM kept_settings WHERE name = ?').run(name);
  else database.prepare('INSERT OR REPLACE INTO kept_settings (name, value) VALUES (?, ?)').run(name, value);
}
