import type { Migration } from '../migration.ts';

/** Settings that were changed while the appliance ran, and roll-outs. */
export const settings: Migration = {
  name: '006-settings',
  run: (database) =>
    database.exec(`
      -- What is not here is as flags, environment and bty.toml say.
      CREATE TABLE kept_settings (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;

      -- state is a Rollout of shared/lab/rollout.ts.
      CREATE TABLE rollouts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        running INTEGER NOT NULL,
        state TEXT NOT NULL,
        begun_at INTEGER NOT NULL,
        begun_by TEXT NOT NULL,
        ended_at INTEGER
      ) STRICT;
      CREATE INDEX rollouts_running ON rollouts (running, id);
    `),
};
