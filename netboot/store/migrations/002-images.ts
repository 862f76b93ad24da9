import type { Migration } from '../migration.ts';

/** Background jobs, the operator's rows of the catalog, and what files held when they were last read. */
export const images: Migration = {
  name: '002-images',
  run: (database) =>
    database.exec(`
      CREATE TABLE jobs (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        status TEXT NOT NULL,
        input TEXT NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER,
        result TEXT NOT NULL,
        error TEXT,
        queued_at INTEGER NOT NULL,
        started_at INTEGER,
        finished_at INTEGER,
        PRIMARY KEY (kind, key)
      ) STRICT, WITHOUT ROWID;

      -- added_at is the text of the wire.
      CREATE TABLE catalog_entries (
        src TEXT PRIMARY KEY,
        sha256 TEXT,
        name TEXT NOT NULL,
        sha_url TEXT,
        format TEXT,
        size_bytes INTEGER,
        description TEXT,
        added_at TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX catalog_entries_by_added ON catalog_entries (added_at, src);

      -- A row speaks of the file only while all of device .. changed are still the file's.
      CREATE TABLE file_facts (
        folder TEXT NOT NULL,
        name TEXT NOT NULL,
        device TEXT NOT NULL,
        inode TEXT NOT NULL,
        size INTEGER NOT NULL,
        modified TEXT NOT NULL,
        changed TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        facts TEXT NOT NULL,
        hashed_at INTEGER NOT NULL,
        PRIMARY KEY (folder, name)
      ) STRICT, WITHOUT ROWID;
    `),
};
