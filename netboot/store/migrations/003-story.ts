import type { Migration } from '../migration.ts';

/** How machines booted: each boot with its steps (JSON) and its first datagrams. */
export const story: Migration = {
  name: '003-story',
  run: (database) =>
    database.exec(`
      CREATE TABLE boots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        mac TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        stage TEXT NOT NULL,
        dropped INTEGER NOT NULL,
        steps TEXT NOT NULL
      ) STRICT;
      CREATE INDEX boots_by_mac ON boots (mac, id);

      CREATE TABLE boot_datagrams (
        boot INTEGER NOT NULL REFERENCES boots (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        at INTEGER NOT NULL,
        source TEXT NOT NULL,
        source_port INTEGER NOT NULL,
        target TEXT NOT NULL,
        target_port INTEGER NOT NULL,
        length INTEGER NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (boot, number)
      ) STRICT, WITHOUT ROWID;
    `),
};
