import type { Migration } from '../migration.ts';

/** Task files with their versions, what ran on machines, and which host key each has since its flash. */
export const tasks: Migration = {
  name: '005-tasks',
  run: (database) =>
    database.exec(`
      CREATE TABLE task_files (
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        text TEXT NOT NULL,
        summary TEXT NOT NULL,
        steps INTEGER NOT NULL,
        saved_at INTEGER NOT NULL,
        saved_by TEXT NOT NULL,
        PRIMARY KEY (name, version)
      ) STRICT, WITHOUT ROWID;

      -- state is what goes over the wire.
      CREATE TABLE task_runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        mac TEXT NOT NULL,
        status TEXT NOT NULL,
        stage TEXT NOT NULL,
        -- Of its folder when it ended.
        bytes INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL
      ) STRICT;
      CREATE INDEX task_runs_by_mac ON task_runs (mac, id);
      CREATE INDEX task_runs_by_status ON task_runs (status, id);

      CREATE TABLE task_host_keys (
        mac TEXT PRIMARY KEY,
        -- last_flashed_at of the machine when it was met; null where it was never flashed.
        flashed_at INTEGER,
        fingerprint TEXT NOT NULL,
        pinned_at INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
    `),
};
